// The version of the API this release speaks.

import { RELEASE } from '../api/release.ts';

export const KUBERNETES_VERSION = `v${RELEASE}.0`;
