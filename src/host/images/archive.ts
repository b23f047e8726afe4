// Which images an archive holds, read from its index without reading the layers: a tar's headers say where the next is.
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md and the format of `docker save`

import { open, type FileHandle } from 'node:fs/promises';
import { fullReference } from './reference.ts';

const BLOCK = 512;
const MAX_INDEX_BYTES = 16 << 20;

interface OciIndex {
  readonly manifests?: readonly { readonly annotations?: Readonly<Record<string, string>> }[];
}
type DockerManifest = readonly { readonly RepoTags?: readonly string[] | null }[];

const textOf = (header: Buffer, from: number, to: number) => header.toString('latin1', from, to).replace(/\0.*$/s, '');

/** Octal text, or binary when the number is too large for that. */
function sizeOf(header: Buffer): number {
  if (header[124]! & 0x80) return Number(header.readBigUInt64BE(128));
  return parseInt(textOf(header, 124, 136).trim() || '0', 8);
}

/** The contents of the wanted files of a tar. Throws when it is none. */
async function readFiles(file: FileHandle, wanted: readonly string[]): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const header = Buffer.alloc(BLOCK);
  for (let at = 0; ;) {
    const { bytesRead } = await file.read(header, 0, BLOCK, at);
    if (bytesRead < BLOCK || header.every((byte) => byte === 0)) return found;
    if (textOf(header, 257, 262) !== 'ustar') throw new Error('it is not a tar archive');
    const size = sizeOf(header);
    const name = textOf(header, 0, 100).replace(/^\.\//, '');
    if (wanted.includes(name) && size <= MAX_INDEX_BYTES) {
      const content = Buffer.alloc(size);
      await file.read(content, 0, size, at + BLOCK);
      found.set(name, content);
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
}

/** Full references; empty when the archive names none. Throws for what is no image archive, compressed ones included. */
export async function archiveReferences(path: string): Promise<string[]> {
  const file = await open(path);
  try {
    const files = await readFiles(file, ['index.json', 'manifest.json']);
    if (files.size === 0) throw new Error('it has neither index.json nor manifest.json');
    const json = (name: string) => JSON.parse(files.get(name)?.toString() ?? 'null') as unknown;
    const oci = (json('index.json') as OciIndex | null)?.manifests ?? [];
    const docker = (json('manifest.json') as DockerManifest | null) ?? [];
    const names = [
      ...oci.map(({ annotations = {} }) => annotations['io.containerd.image.name'] ?? ''),
      ...docker.flatMap(({ RepoTags }) => RepoTags ?? []),
    ];
    return [...new Set(names.filter((name) => name !== '').map(fullReference))];
  } finally {
    await file.close();
  }
}
