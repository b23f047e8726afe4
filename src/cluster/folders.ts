// Folders that must be there and be ours to write to.

import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { UserError } from '../cli/platform.ts';

/** Each level on its own: asked for all at once, Node tries for ever where a folder cannot be, as below /proc. */
function make(path: string): void {
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path || statSync(dirname(path), { throwIfNoEntry: false })) throw error;
    make(dirname(path));
    mkdirSync(path, { mode: 0o755 });
  }
}

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'it is on a read-only file system',
  ENOTDIR: 'a part of its path is a file',
  EEXIST: 'there is a file of that name',
  ENOENT: 'no folder can be made there',
  ENOSPC: 'the disk is full',
};

/** Makes the folder with its parents. Throws a UserError that ends in `hint` when it cannot be had. */
export function writableFolder(path: string, hint: string): void {
  try {
    make(path);
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new UserError(`${path} cannot be written (${WHY[code] ?? message}): ${hint}`);
  }
}
