// A file tree as an image layer: a tar that is the same to the byte for the same tree, whatever the clock and the order
// in which the file system lists. Times are 0; modes, owners, links and device nodes are kept.
// https://github.com/opencontainers/image-spec/blob/main/layer.md

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack, type Header, type Pack } from 'tar-stream';

/** One file of an image; `path` is absolute inside it. Content comes from a file on the disk or from memory. */
export interface LayerFile {
  readonly path: string;
  readonly source: string | Uint8Array;
  /** Default: that of the source, 0644 for bytes. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface WrittenBlob {
  /** `sha256:<hex>` of the bytes. */
  readonly digest: string;
  readonly size: number;
}

interface Entry {
  readonly header: EntryHeader;
  readonly content?: string | Uint8Array;
}

type EntryHeader = Partial<Header> & Pick<Header, 'name'>;

const EPOCH = new Date(0);
const S_IFMT = 0o170000;

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

async function treeEntries(root: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  const seen = new Map<string, string>();
  const visit = async (path: string): Promise<void> => {
    const full = join(root, path);
    const stat = await lstat(full);
    const base = { mode: stat.mode & ~S_IFMT, uid: stat.uid, gid: stat.gid, mtime: EPOCH };
    if (stat.isDirectory()) {
      if (path !== '') entries.push({ header: { ...base, name: `${path}/`, type: 'directory' } });
      for (const name of (await readdir(full)).toSorted(compare)) await visit(posix.join(path, name));
      return;
    }
    const inode = `${stat.dev}:${stat.ino}`;
    const first = seen.get(inode);
    if (first !== undefined) {
      entries.push({ header: { ...base, name: path, type: 'link', linkname: first } });
      return;
    }
    if (stat.nlink > 1) seen.set(inode, path);
    if (stat.isFile()) entries.push({ header: { ...base, name: path, type: 'file', size: stat.size }, content: full });
    else if (stat.isSymbolicLink()) {
      entries.push({ header: { ...base, name: path, type: 'symlink', linkname: await readlink(full) } });
    } else if (stat.isFIFO()) entries.push({ header: { ...base, name: path, type: 'fifo' } });
    else if (stat.isCharacterDevice() || stat.isBlockDevice()) {
      const type = stat.isBlockDevice() ? 'block-device' : 'character-device';
      entries.push({ header: { ...base, name: path, type, ...deviceNumbers(stat.rdev) } });
    }
    // A socket is of no use without the process behind it.
  };
  await visit('');
  return entries;
}

/** How glibc packs a device number. */
function deviceNumbers(rdev: number): { devmajor: number; devminor: number } {
  return { devmajor: (rdev >> 8) & 0xfff, devminor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) };
}

async function fileEntries(files: readonly LayerFile[]): Promise<Entry[]> {
  const entries = new Map<string, Entry>();
  for (const { path, source, mode, uid = 0, gid = 0 } of files) {
    const name = posix.normalize(path).replace(/^\/+/, '');
    const stat = typeof source === 'string' ? await lstat(source) : undefined;
    if (stat && !stat.isFile()) throw new Error(`${String(source)} is not a regular file`);
    for (let dir = posix.dirname(name); dir !== '.'; dir = posix.dirname(dir)) {
      const header = { name: `${dir}/`, type: 'directory' as const, mode: 0o755, uid: 0, gid: 0, mtime: EPOCH };
      entries.set(header.name, { header });
    }
    const size = stat ? stat.size : source.length;
    const bits = mode ?? (stat ? stat.mode & ~S_IFMT : 0o644);
    const header: EntryHeader = { name, type: 'file', mode: bits, uid, gid, mtime: EPOCH, size };
    entries.set(name, { header, content: source });
  }
  return [...entries.values()].toSorted((a, b) => compare(a.header.name, b.header.name));
}

async function addEntry(tar: Pack, { header, content }: Entry): Promise<void> {
  if (typeof content === 'string') return pipeline(createReadStream(content), tar.entry(header));
  await new Promise<void>((resolve, reject) => {
    tar.entry(header, content ? Buffer.from(content) : '', (error) => (error ? reject(error) : resolve()));
  });
}

/** Passes bytes through and knows their digest in the end. */
class Digester extends Transform {
  private readonly hash = createHash('sha256');
  private size = 0;

  override _transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void): void {
    this.hash.update(chunk);
    this.size += chunk.length;
    done(null, chunk);
  }

  get blob(): WrittenBlob {
    return { digest: `sha256:${this.hash.copy().digest('hex')}`, size: this.size };
  }
}

/** Writes a tar of the entries to a file. */
export async function writeTar(output: string, entries: readonly Entry[]): Promise<WrittenBlob> {
  const tar = pack();
  const digester = new Digester();
  const written = pipeline(tar, digester, createWriteStream(output));
  const add = async () => {
    for (const entry of entries) await addEntry(tar, entry);
    tar.finalize();
  };
  await Promise.all([written, add().catch((error: unknown) => void tar.destroy(error as Error))]);
  return digester.blob;
}

/** A layer of a folder's content, or of single files. */
export async function writeLayer(
  output: string,
  content: { readonly rootfsDir: string } | { readonly files: readonly LayerFile[] },
): Promise<WrittenBlob> {
  return writeTar(output, 'files' in content ? await fileEntries(content.files) : await treeEntries(content.rootfsDir));
}

export function fileEntry(name: string, content: string | Uint8Array, size: number): Entry {
  return { header: { name, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: EPOCH, size }, content };
}
