// A directory that holds an LMDB environment: taken by one process at a time, and looked at before LMDB maps it, since
// in a damaged file, or on a full disk, a mapping ends in a signal instead of an error. Also tells LMDB's errors apart.

import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  statfsSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { damageOf } from './lmdb-check.ts';
import { StoreError, type StoreFault } from '../store/store.ts';

const ONE_BYTE = Buffer.alloc(1);
/** LMDB's table of readers needs some kilobytes. */
const LOCK_SIZE = 2 ** 16;
/** LMDB's file may end before its last page when that is free; not by much, for such pages are taken first. */
const SLACK = 2 ** 20;

/** Paths taken in this process: LMDB's table of readers tells processes apart, no more. */
const taken = new Set<string>();

export class LmdbDirectory {
  /** Without symbolic links. */
  readonly path: string;
  /** There was no environment yet. */
  readonly isNew: boolean;
  /** A file to try the disk with. */
  readonly #probe: number;

  /** Creates the directory if need be. Throws StoreError `readonly`, `full`, `corrupt`, and Error when it is taken. */
  constructor(directory: string) {
    try {
      // In steps, since a recursive mkdir that fails hides why.
      mkdirSync(dirname(resolve(directory)), { recursive: true });
      if (!existsSync(directory)) mkdirSync(directory, { mode: 0o700 });
      this.path = realpathSync(directory);
      const data = join(this.path, 'data.mdb');
      this.isNew = !existsSync(data) || statSync(data).size === 0;
      if (!this.isNew) checkFile(data);
      const lock = join(this.path, 'lock.mdb');
      if (!existsSync(lock)) writeFileSync(lock, Buffer.alloc(LOCK_SIZE), { mode: 0o600 });
      if (taken.has(this.path)) throw inUse(this.path, process.pid);
      this.#probe = openSync(join(this.path, 'probe'), 'w', 0o600);
    } catch (error) {
      throw faultOf(error, directory);
    }
    taken.add(this.path);
  }

  /**
   * Throws StoreError `readonly` or `full` when LMDB had better not try to write `bytes` now: a write that the system
   * refuses as a whole makes its library write beyond the end of a buffer, which sooner or later ends the process.
   */
  checkWritable(bytes: number): void {
    try {
      writeSync(this.#probe, ONE_BYTE, 0, 1, 0);
      if (bytes > 0 && freeBytes(this.path) < 4 * bytes)
        throw Object.assign(new Error('No space left on device'), { code: 'ENOSPC' });
    } catch (error) {
      throw faultOf(error, this.path);
    }
  }

  /**
   * Throws an Error that names the other process, if there is one. `readers` is LMDB's table of readers, in which every
   * process stays that has read anything; the entries of dead processes go when an environment is opened.
   */
  checkAlone(readers: string): void {
    const pids = [...readers.matchAll(/^\s*(\d+) [0-9a-f]+ /gm)].map((match) => Number(match[1]));
    const other = pids.find((pid) => pid !== process.pid);
    if (other !== undefined) throw inUse(this.path, other);
  }

  release(): void {
    taken.delete(this.path);
    closeSync(this.#probe);
  }
}

const inUse = (path: string, pid: number) => new Error(`the store in ${path} is in use by process ${pid}`);

// The two meta pages of LMDB's format 2 (`MDB_meta` in mdb.c), of which the one with the higher transaction counts.
const META = { magic: 24, version: 28, pageSize: 48, roots: [88, 136], lastPage: 144, transaction: 152, size: 168 };
const MAGIC = 0xbeefc0de;

/** Throws StoreError `corrupt` when the file is none of LMDB's, cut off, or damaged in its structure. */
function checkFile(data: string): void {
  const file = openSync(data, 'r');
  try {
    const first = readMeta(file, 0);
    const second = first && readMeta(file, first.pageSize);
    if (!first || !second) throw new StoreError('corrupt', `${data} is no LMDB file, or damaged`);
    const current = second.transaction > first.transaction ? second : first;
    const { lastPage, pageSize } = current;
    const { size } = statSync(data);
    const expected = (lastPage + 1) * pageSize;
    if (size + SLACK < expected) {
      throw new StoreError('corrupt', `${data} is cut off: it has ${size} bytes of ${expected}`);
    }
    // Now LMDB can read each page; one that was in use and is empty does not pass for one. Appending harms nothing, even
    // if another process is just writing to the file.
    if (size < expected) appendFileSync(data, Buffer.alloc(expected - size));
    const damage = damageOf({ ...current, file });
    if (!damage) return;
    // Another process may just be writing: then the pages of before are taken for new ones, and it will be told apart later.
    const newest = [readMeta(file, 0), readMeta(file, pageSize)].map((meta) => meta?.transaction ?? 0n);
    if (newest.includes(current.transaction) && newest.every((transaction) => transaction <= current.transaction))
      throw new StoreError(
        'corrupt',
        `${data} is damaged: ${damage}. Restore it from a backup, or move it away to begin anew`,
      );
  } finally {
    closeSync(file);
  }
}

function readMeta(file: number, at: number) {
  const page = Buffer.alloc(META.size);
  if (readSync(file, page, 0, META.size, at) < META.size) return undefined;
  const pageSize = page.readUInt32LE(META.pageSize);
  const known = page.readUInt32LE(META.magic) === MAGIC && (page.readUInt32LE(META.version) & 0xffff) === 2;
  if (!known || pageSize < 256 || pageSize > 2 ** 16) return undefined;
  const lastPage = Number(page.readBigUInt64LE(META.lastPage));
  const roots = META.roots.map((offset) => page.readBigUInt64LE(offset));
  return { pageSize, lastPage, roots, transaction: page.readBigUInt64LE(META.transaction) };
}

/** By the numbers of errno and of LMDB. */
const FAULTS: Readonly<Record<string, StoreFault>> = {
  28: 'full', // ENOSPC
  122: 'full', // EDQUOT
  27: 'full', // EFBIG
  [-30792]: 'full', // MDB_MAP_FULL
  30: 'readonly', // EROFS
  13: 'readonly', // EACCES
  1: 'readonly', // EPERM
  ENOSPC: 'full',
  EDQUOT: 'full',
  EROFS: 'readonly',
  EACCES: 'readonly',
  EPERM: 'readonly',
  [-30797]: 'corrupt', // MDB_PAGE_NOTFOUND
  [-30796]: 'corrupt', // MDB_CORRUPTED
  [-30794]: 'corrupt', // MDB_VERSION_MISMATCH
  [-30793]: 'corrupt', // MDB_INVALID
};

/** The StoreError of an error of the file system or of LMDB, when `bytes` were to be written; other errors stay. */
export function faultOf(error: unknown, path: string, bytes = 0): Error {
  if (error instanceof StoreError || !(error instanceof Error)) return error as Error;
  const code = (error as { code?: number | string }).code;
  if (code === undefined) return error;
  let fault = FAULTS[code] ?? 'unknown';
  // LMDB reports a write cut short by a full disk as an input/output error.
  const isFull = code === 5 && freeBytes(path) < 4 * bytes + 2 ** 20;
  if (isFull) fault = 'full';
  const why = isFull ? 'No space left on device' : error.message;
  return new StoreError(fault, `the store in ${path}: ${why}`, { cause: error });
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}
