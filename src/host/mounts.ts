// The mounts of a mount namespace, as the kernel lists them, and the few things a node does to them.
// https://www.kernel.org/doc/html/latest/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts

import { mkdir, readFile } from 'node:fs/promises';
import { run } from './run.ts';

export interface MountEntry {
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  /** Mounts made below it are seen by other mount namespaces and the other way round. */
  readonly shared: boolean;
}

/** The kernel writes blanks and backslashes as octal numbers. */
const unescape = (text: string) => text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));

export function parseMountInfo(text: string): MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const fields = before.split(' ');
      const [type = '', source = ''] = after.split(' ');
      return {
        mountPoint: unescape(fields[4] ?? ''),
        type,
        source: unescape(source),
        shared: fields.slice(6).some((field) => field.startsWith('shared:')),
      };
    });
}

const readMounts = async (pid: number | 'self') => parseMountInfo(await readFile(`/proc/${pid}/mountinfo`, 'utf8'));

let reading: Promise<unknown> = Promise.resolve();
let next: Promise<MountEntry[]> | undefined;

/**
 * In the order in which they were mounted. With hundreds of containers the list is long: those who ask for this process's
 * while it is read share the next reading, so that everybody has one that began after they asked.
 */
export function listMounts(pid: number | 'self' = 'self'): Promise<MountEntry[]> {
  if (pid !== 'self') return readMounts(pid);
  next ??= reading.then(() => {
    next = undefined;
    const mounts = readMounts('self');
    reading = mounts.catch(() => undefined);
    return mounts;
  });
  return next;
}

export const isBelow = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

/** The mount a path lies on. */
export function mountOf(mounts: readonly MountEntry[], path: string): MountEntry | undefined {
  return mounts
    .filter((mount) => mount.mountPoint === '/' || isBelow(path, mount.mountPoint))
    .toSorted((a, b) => a.mountPoint.length - b.mountPoint.length)
    .at(-1);
}

/**
 * Makes mounts below a folder visible in the mount namespaces that are made from now on, and theirs here. On machines
 * whose root is shared (systemd makes it so) nothing is to do; on others the folder becomes a mount of its own.
 */
export async function shareFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (mountOf(await listMounts(), folder)?.shared) return;
  await run('mount', ['--bind', folder, folder]);
  await run('mount', ['--make-shared', folder]);
}

/** Unmounts everything at and below the folders, the youngest first; what is busy goes when its last user does. */
export async function unmountBelow(...folders: readonly string[]): Promise<string[]> {
  const mounts = await listMounts();
  const points = mounts.map((mount) => mount.mountPoint).filter((point) => folders.some((f) => isBelow(point, f)));
  for (const point of points.toReversed()) await run('umount', ['--lazy', point]);
  return points;
}
