// The versions a cluster tells: the API's, with the project's own as build metadata, and this package's.

import { KUBERNETES_VERSION } from './kubernetes-version.ts';
import { RELEASE } from '../api/release.ts';
import { CORACLE_VERSION } from './package-version.ts';
import type { VersionInfo } from '../server/plain-paths.ts';

export { KUBERNETES_VERSION };
export const GIT_VERSION = `${KUBERNETES_VERSION}+coracle.${CORACLE_VERSION}`;

export function versionInfo(): VersionInfo {
  const [major = '', minor = ''] = RELEASE.split('.');
  return {
    major,
    minor,
    gitVersion: GIT_VERSION,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: `node${process.versions.node}`,
    compiler: 'v8',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}
