// Files that are replaced whole or not at all.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

let counter = 0;

/** Writes beside the target, then renames over it. `durable` waits for the disk. */
export function writeFileAtomic(path: string, text: string, options: { mode: number; durable?: boolean }): void {
  const temporary = `${path}.${process.pid}.${counter++}.tmp`;
  const fd = openSync(temporary, 'wx', options.mode);
  try {
    try {
      writeSync(fd, text);
      if (options.durable) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
