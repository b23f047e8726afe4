// The versions a cluster tells: the API's, with the project's own as build metadata, and this package's.

import { readFileSync } from 'node:fs';
import { KUBERNETES_VERSION } from './kubernetes-version.ts';
import { RELEASE } from '../api/generated/facts.ts';
import type { VersionInfo } from '../server/plain-paths.ts';

/** `package.json` is one folder above dist/ and two above src/cluster/. */
function packageVersion(): string {
  for (const up of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (name === 'coracle' && version) return version;
    } catch {
      // The other place, then.
    }
  }
  throw new Error('package.json of coracle is missing: the installation is damaged');
}

export const CORACLE_VERSION = packageVersion();
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
