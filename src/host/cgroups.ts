// Cgroups of pods, in version 1, version 2 and the mixed layout (version 1 with an empty version 2 beside it).
// https://docs.kernel.org/admin-guide/cgroup-v2.html

import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CgroupLimits, HostCgroups } from '../kubelet/host.ts';
import { listMounts } from './mounts.ts';

interface Hierarchy {
  readonly root: string;
  readonly version: 1 | 2;
  /** Of those that pods are limited by. */
  readonly cpu: boolean;
  readonly memory: boolean;
}

const errno = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';
const RETRIES_MS = [0, 5, 10, 20, 50, 100, 200, 400];

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

async function findHierarchies(): Promise<Hierarchy[]> {
  const mounts = (await listMounts()).filter((m) => m.type === 'cgroup' || m.type === 'cgroup2');
  const mixed = mounts.some((m) => m.type === 'cgroup');
  const seen = new Set<string>();
  const found: Hierarchy[] = [];
  for (const { mountPoint: root, type } of mounts) {
    if (seen.has(root)) continue;
    seen.add(root);
    if (type === 'cgroup2') {
      found.push({ root, version: 2, cpu: !mixed, memory: !mixed });
    } else {
      const [cpu, memory] = await Promise.all([
        exists(join(root, 'cpu.shares')),
        exists(join(root, 'memory.limit_in_bytes')),
      ]);
      found.push({ root, version: 1, cpu, memory });
    }
  }
  return found;
}

/** The layout is looked at once. */
export function hostCgroups(): HostCgroups {
  let hierarchies: Promise<Hierarchy[]> | undefined;
  const all = () => (hierarchies ??= findHierarchies());
  return {
    async apply(path, limits) {
      const limited = (await all()).filter((h) => h.cpu || h.memory);
      await Promise.all(limited.map((h) => (h.version === 1 ? applyV1(h, path, limits) : applyV2(h, path, limits))));
    },
    async remove(path) {
      if (path === '' || path === '/') throw new Error('the root cgroup is not ours to remove');
      await Promise.all((await all()).map(({ root }) => removeTree(join(root, path))));
    },
    async children(path) {
      const names = new Set<string>();
      for (const { root } of await all()) for (const name of await directories(join(root, path))) names.add(name);
      return [...names];
    },
  };
}

async function applyV1(h: Hierarchy, path: string, limits: CgroupLimits): Promise<void> {
  const dir = join(h.root, path);
  await mkdir(dir, { recursive: true });
  if (h.cpu) {
    await writeFile(join(dir, 'cpu.shares'), String(limits.cpuShares));
    await writeFile(join(dir, 'cpu.cfs_period_us'), String(limits.cpuPeriod));
    await writeFile(join(dir, 'cpu.cfs_quota_us'), String(limits.cpuQuota ?? -1));
  }
  if (h.memory) await writeFile(join(dir, 'memory.limit_in_bytes'), String(limits.memoryBytes ?? -1));
}

/** Each level has to hand the controllers down before the next can use them. */
async function applyV2(h: Hierarchy, path: string, limits: CgroupLimits): Promise<void> {
  const dir = join(h.root, path);
  const levels: string[] = [];
  for (let at = dirname(dir); at.length >= h.root.length; at = dirname(at)) levels.unshift(at);
  for (const level of levels) {
    await mkdir(level, { recursive: true });
    const available = (await readFile(join(level, 'cgroup.controllers'), 'utf8')).trim().split(' ');
    const wanted = available.filter((c) => c !== '').map((c) => `+${c}`);
    await writeFile(join(level, 'cgroup.subtree_control'), wanted.join(' '));
  }
  await mkdir(dir, { recursive: true });
  // https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2254-cgroup-v2
  const weight = 1 + Math.floor(((limits.cpuShares - 2) * 9999) / 262_142);
  await writeFile(join(dir, 'cpu.weight'), String(weight));
  await writeFile(join(dir, 'cpu.max'), `${limits.cpuQuota ?? 'max'} ${limits.cpuPeriod}`);
  await writeFile(join(dir, 'memory.max'), String(limits.memoryBytes ?? 'max'));
}

async function directories(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((e) => e.isDirectory()).map((e) => e.name);
  } catch (error) {
    if (errno(error) === 'ENOENT') return [];
    throw error;
  }
}

/** False when something is in it. */
async function removedEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if (errno(error) === 'ENOENT') return true;
    if (errno(error) === 'EBUSY' || errno(error) === 'ENOTEMPTY') return false;
    throw error;
  }
}

/** Kills what still runs there: its sandbox is gone, so nobody else would. */
async function removeTree(path: string): Promise<void> {
  // The runtime has removed its own below, as a rule.
  if (await removedEmpty(path)) return;
  for (const name of await directories(path)) await removeTree(join(path, name));
  for (const ms of RETRIES_MS) {
    if (ms > 0) await delay(ms);
    try {
      return await rmdir(path);
    } catch (error) {
      if (errno(error) === 'ENOENT') return;
      if (errno(error) !== 'EBUSY') throw error;
      await killAll(path);
    }
  }
  throw new Error(`cgroup ${path} cannot be removed: processes in it do not end`);
}

async function killAll(path: string): Promise<void> {
  const pids = (await readFile(join(path, 'cgroup.procs'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      if (errno(error) !== 'ESRCH') throw error;
    }
  }
}
