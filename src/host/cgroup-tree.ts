// Cgroups as trees of folders, in every hierarchy the machine has: one with version 2, one per controller with version 1.
// https://docs.kernel.org/admin-guide/cgroup-v2.html

import { readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { parseMountInfo } from './mounts.ts';
import { processRef, signalProcess, type ProcessRef } from './processes.ts';

const EMPTY_MS = 10_000;

/** The mount points of all hierarchies. */
export function cgroupHierarchies(): string[] {
  const mounts = parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  return mounts.filter((mount) => mount.type === 'cgroup' || mount.type === 'cgroup2').map((mount) => mount.mountPoint);
}

/** True when everything is in the one hierarchy of version 2. */
export function isPureCgroupV2(): boolean {
  const mounts = parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  return mounts.some((mount) => mount.type === 'cgroup2' && mount.mountPoint === '/sys/fs/cgroup');
}

/** The folder and all below it, the deepest first; empty when there is none. */
function foldersBelow(folder: string): string[] {
  try {
    const children = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...children.flatMap((entry) => foldersBelow(join(folder, entry.name))), folder];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The folders of a cgroup, e.g. `/kubepods`, and of those below it, in all hierarchies. */
export function cgroupFolders(path: string): string[] {
  return cgroupHierarchies().flatMap((hierarchy) => foldersBelow(join(hierarchy, path)));
}

/** What runs in a cgroup or below it. */
export function cgroupProcesses(path: string): ProcessRef[] {
  const pids = cgroupFolders(path).flatMap((folder) => {
    try {
      return readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
    } catch {
      // It was removed meanwhile.
      return [];
    }
  });
  // A process of another PID namespace shows as 0.
  return [...new Set(pids)].filter((pid) => pid > 0).flatMap((pid) => processRef(pid) ?? []);
}

/** Kills everything in a cgroup and below it, and what is born meanwhile. Resolves once nothing runs there. */
async function killCgroup(path: string): Promise<void> {
  for (let waited = 0, step = 1; ; waited += step, step = Math.min(step * 2, 50)) {
    const processes = cgroupProcesses(path);
    if (processes.length === 0) return;
    if (waited > EMPTY_MS) throw new Error(`cannot kill what runs in the cgroup ${path}: ${pidsOf(processes)}`);
    for (const one of processes) signalProcess(one, 'SIGKILL');
    await delay(step);
  }
}

const pidsOf = (processes: readonly ProcessRef[]) => processes.map((one) => one.pid).join(', ');

/** Kills what runs there and removes the cgroup with all below it. No error when there is none. */
export async function removeCgroup(path: string): Promise<void> {
  if (path === '/' || path === '') throw new Error('the root cgroup cannot be removed');
  await killCgroup(path);
  for (let waited = 0, step = 1; ; waited += step, step = Math.min(step * 2, 50)) {
    const busy = cgroupFolders(path).filter((folder) => !removed(folder));
    if (busy.length === 0) return;
    if (waited > EMPTY_MS) throw new Error(`cannot remove the cgroup ${busy.at(-1)}: it is busy`);
    // The kernel lets go of dead processes a moment after they are dead.
    await delay(step);
  }
}

function removed(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code === 'EBUSY' || code === 'ENOTEMPTY') return false;
    throw error;
  }
}
