// The version of this package.

import { readFileSync } from 'node:fs';

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
