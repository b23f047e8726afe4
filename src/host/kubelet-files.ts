// The kubelet's files on a real machine.

import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FileKind, HostFiles, PayloadFile } from '../kubelet/host.ts';
import { isBelow, listMounts } from './mounts.ts';

const errno = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

/** Resolves to undefined where there is nothing. */
async function ifThere<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (errno(error) === 'ENOENT' || errno(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

export const kubeletFiles: HostFiles = {
  async makeDirectory(path, mode) {
    await mkdir(path, { recursive: true });
    if (mode !== undefined) await chmod(path, mode);
  },

  async write(path, content, mode) {
    try {
      await writeFile(path, content);
    } catch (error) {
      if (errno(error) !== 'ENOENT') throw error;
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
    }
    // The mode given at creation is cut by the umask.
    await chmod(path, mode);
  },

  async read(path, limit, from = 'start') {
    const file = await ifThere(open(path, 'r'));
    if (!file) return undefined;
    try {
      const { size } = await file.stat();
      const position = from === 'end' ? Math.max(0, size - limit) : 0;
      const { buffer, bytesRead } = await file.read(new Uint8Array(limit), 0, limit, position);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  },

  async kind(path): Promise<FileKind | undefined> {
    const found = await ifThere(stat(path));
    if (!found) return undefined;
    if (found.isDirectory()) return 'directory';
    if (found.isFile()) return 'file';
    if (found.isSocket()) return 'socket';
    if (found.isCharacterDevice()) return 'charDevice';
    return found.isBlockDevice() ? 'blockDevice' : 'other';
  },

  async list(path) {
    return (await ifThere(readdir(path))) ?? [];
  },

  async remove(path) {
    if (!(await ifThere(lstat(path)))) return;
    const mounted = (await listMounts()).find((m) => isBelow(m.mountPoint, path));
    if (mounted) throw new Error(`${path} is not removed: ${mounted.mountPoint} is still mounted`);
    await rm(path, { recursive: true, force: true });
  },

  async size(path) {
    return (await ifThere(stat(path)))?.size;
  },

  async rename(from, to) {
    await rename(from, to);
  },

  publish,
  takeGroup,
  resolveBelow,
};

async function replaceLink(path: string, target: string): Promise<void> {
  const temporary = `${path}_tmp`;
  await rm(temporary, { force: true });
  await symlink(target, temporary);
  await rename(temporary, path);
}

const DATA = '..data';

/** The layout readers of ConfigMap volumes know: `name` -> `..data/name`, `..data` -> `..<random>`. */
async function publish(directory: string, files: readonly PayloadFile[], group?: number): Promise<boolean> {
  await kubeletFiles.makeDirectory(directory, group === undefined ? 0o777 : 0o2777);
  if (group !== undefined) await chown(directory, -1, group);
  const old = await ifThere(readlink(join(directory, DATA)));
  if (old !== undefined && (await sameContent(join(directory, old), files))) return false;
  const fresh = await mkdtemp(`${directory}/..`);
  await chmod(fresh, 0o755);
  for (const file of files) await writePayload(fresh, file);
  if (group !== undefined) await takeGroup(fresh, group, { rootOnly: false, readOnly: true });
  await replaceLink(join(directory, DATA), fresh.slice(directory.length + 1));
  await linkNames(directory, new Set(files.map((file) => file.path.split('/')[0]!)));
  if (old !== undefined) await rm(join(directory, old), { recursive: true, force: true });
  return true;
}

async function writePayload(root: string, { path, bytes, mode, uid }: PayloadFile): Promise<void> {
  const target = join(root, path);
  if (path.includes('/')) await mkdir(dirname(target), { recursive: true });
  await writeFile(target, bytes);
  await chmod(target, mode);
  if (uid !== undefined) await chown(target, uid, -1);
}

/** New names get their link before stale ones lose theirs. */
async function linkNames(directory: string, wanted: ReadonlySet<string>): Promise<void> {
  const present = new Set((await readdir(directory)).filter((name) => !name.startsWith('..')));
  for (const name of wanted) if (!present.has(name)) await symlink(join(DATA, name), join(directory, name));
  for (const name of present) if (!wanted.has(name)) await unlink(join(directory, name));
}

async function sameContent(root: string, files: readonly PayloadFile[]): Promise<boolean> {
  const wanted = new Map(files.map((file) => [file.path, file]));
  for (const path of await filesBelow(root)) {
    const file = wanted.get(path);
    if (!file || !wanted.delete(path) || !file.bytes || !(await readFile(join(root, path))).equals(file.bytes)) {
      return false;
    }
    if (((await stat(join(root, path))).mode & file.mode) !== file.mode) return false;
  }
  return wanted.size === 0;
}

async function filesBelow(root: string): Promise<string[]> {
  const entries = (await ifThere(readdir(root, { withFileTypes: true, recursive: true }))) ?? [];
  return entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name).slice(root.length + 1));
}

const GROUP_WRITE = 0o660;
const GROUP_READ = 0o440;
const GROUP_ENTER = 0o2110;

async function takeGroup(
  path: string,
  gid: number,
  { rootOnly, readOnly }: { readonly rootOnly: boolean; readonly readOnly: boolean },
): Promise<void> {
  const mask = readOnly ? GROUP_READ : GROUP_WRITE;
  const root = await stat(path);
  if (rootOnly && root.gid === gid && (root.mode & (mask | GROUP_ENTER)) === (mask | GROUP_ENTER)) return;
  const visit = async (target: string): Promise<void> => {
    const found = await lstat(target);
    await lchown(target, -1, gid);
    if (found.isSymbolicLink()) return;
    await chmod(target, (found.mode & 0o7777) | mask | (found.isDirectory() ? GROUP_ENTER : 0));
    if (!found.isDirectory()) return;
    for (const name of await readdir(target)) await visit(join(target, name));
  };
  await visit(path);
}

/** Links are followed where they stay inside; a link to the outside, or `..`, is refused. */
async function resolveBelow(base: string, relative: string): Promise<string> {
  if (relative.startsWith('/') || relative.split('/').includes('..')) {
    throw new Error(`subPath ${JSON.stringify(relative)} must be relative and must not contain '..'`);
  }
  const root = await realpath(base);
  const { mode } = await stat(root);
  let path = root;
  for (const part of relative.split('/').filter((p) => p !== '' && p !== '.')) {
    const next = join(path, part);
    let real = await ifThere(realpath(next));
    if (real === undefined) {
      if (await ifThere(lstat(next))) throw new Error(`subPath ${JSON.stringify(relative)}: ${part} leads nowhere`);
      await mkdir(next);
      await chmod(next, mode & 0o7777);
      real = next;
    }
    if (!isBelow(real, root)) throw new Error(`subPath ${JSON.stringify(relative)} is not within its volume`);
    path = real;
  }
  return path;
}
