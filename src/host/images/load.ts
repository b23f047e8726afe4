// Loads image archives (OCI layout or `docker save`) into containerd. containerd's own `ctr` does the import: it ships
// with every containerd and knows both formats.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import type { ContainerRuntime } from '../../kubelet/runtime.ts';
import { archiveReferences } from './archive.ts';

const run = promisify(execFile);
const APPEAR_MS = 5_000;

export interface ImageStore {
  /** containerd's socket. */
  readonly socket: string;
  readonly runtime: Pick<ContainerRuntime, 'imageStatus'>;
}

/** ctr's own sentence without its prefix and its usage text. */
function reasonOf(error: unknown): string {
  const { stderr = '', message } = error as { stderr?: string; message: string };
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('time='));
  return (lines.at(-1) ?? message).replace(/^ctr: /, '');
}

/** Resolves to the references the archive brought, once the runtime interface shows them. */
export async function loadImages(store: ImageStore, archive: string): Promise<readonly string[]> {
  if (!existsSync(archive)) throw new Error(`there is no image archive ${archive}`);
  const args = ['--address', store.socket, '--namespace', 'k8s.io', 'images', 'import', archive];
  let output: string;
  try {
    output = (await run('ctr', args, { maxBuffer: 1 << 24 })).stdout;
  } catch (error) {
    throw new Error(`cannot load ${archive}: ${reasonOf(error)}`, { cause: error });
  }
  const names = [...output.matchAll(/^(?:unpacking )?(\S+) \((?:sha256:[0-9a-f]+)\)/gm)].map((match) => match[1]!);
  // Newer versions print another form; then the archive itself says what it brought.
  const references = names.length > 0 ? [...new Set(names)] : await archiveReferences(archive);
  await Promise.all(references.map((reference) => appears(store, reference)));
  return references;
}

/** The runtime interface learns of an import by an event, a moment later. */
async function appears({ runtime }: ImageStore, reference: string): Promise<void> {
  for (let waited = 0, step = 2; ; waited += step, step = Math.min(step * 2, 100)) {
    if (await runtime.imageStatus(reference)) return;
    if (waited > APPEAR_MS) throw new Error(`${reference} was imported, but the container runtime does not show it`);
    await new Promise((resolve) => setTimeout(resolve, step));
  }
}
