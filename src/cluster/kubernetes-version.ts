// The version of the API this release speaks.

import { RELEASE } from '../api/generated/facts.ts';

export const KUBERNETES_VERSION = `v${RELEASE}.0`;
