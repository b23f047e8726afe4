// Kernel settings that a node needs and gives back. Several clusters may want the same one: the first writes down what
// was there before, each leaves a claim, and the last to go restores it.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface SysctlClaims {
  /** Shared by all clusters of one network namespace; must not survive a reboot, e.g. /run/coracle/sysctls. */
  readonly dir: string;
  /** Who claims: the cluster's name. */
  readonly owner: string;
}

const pathOf = (name: string) => `/proc/sys/${name.replaceAll('.', '/')}`;

/** Undefined when this kernel has no such setting. Slashes stand for dots inside a part: `net/ipv4/conf/eth0.1/...`. */
export async function readSysctl(name: string): Promise<string | undefined> {
  try {
    return (await readFile(pathOf(name), 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function writeSysctl(name: string, value: string): Promise<void> {
  await writeFile(pathOf(name), value);
}

/** Sets values until they are released. Names with slashes are not for here. Throws when the kernel has no such setting. */
export async function claimSysctls(claims: SysctlClaims, values: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    const before = await readSysctl(name);
    if (before === undefined) throw new Error(`the kernel has no setting ${name}`);
    const dir = join(claims.dir, name);
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, '.before'), before, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await writeFile(join(dir, claims.owner), '');
    if (before !== value) await writeSysctl(name, value);
  }
}

/** Gives back everything this owner claimed; values nobody claims any more become what they were. */
export async function releaseSysctls({ dir, owner }: SysctlClaims): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    const claims = await readdir(join(dir, name));
    if (!claims.includes(owner)) continue;
    await rm(join(dir, name, owner));
    if (claims.some((claim) => claim !== owner && claim !== '.before')) continue;
    const before = await readFile(join(dir, name, '.before'), 'utf8').catch(() => undefined);
    if (before !== undefined && (await readSysctl(name)) !== undefined) await writeSysctl(name, before);
    await rm(join(dir, name), { recursive: true });
  }
}
