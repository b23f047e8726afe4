// Keeps container logs small: a log that has grown too long is renamed and begun anew, and old ones go.
// https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-rotation

import { sleep } from '../base/env.ts';
import type { NodeContext } from './node-context.ts';
import type { PodWork } from './pod-work.ts';
import type { ContainerStatus } from './runtime.ts';

const LOOK_EVERY = 10_000;

/** Runs until the signal aborts. */
export async function rotateLogs(node: NodeContext, works: () => Iterable<PodWork>): Promise<void> {
  for (;;) {
    await sleep(node.env, LOOK_EVERY, { signal: node.signal, unref: true });
    for (const work of works()) {
      for (const container of work.runtime.all()) {
        if (container.state !== 'running') continue;
        try {
          await rotateLog(node, work, container);
        } catch (error) {
          if (!node.signal.aborted) node.env.log.warn('cannot rotate a log', { container: container.id, error });
        }
      }
    }
  }
}

async function rotateLog(node: NodeContext, work: PodWork, { id, logPath }: ContainerStatus): Promise<void> {
  const { files } = node.host;
  const path = logPath.startsWith('/') ? logPath : `${work.logDirectory}/${logPath}`;
  if (((await files.size(path)) ?? 0) <= node.config.logMaxBytes) return;
  const slash = path.lastIndexOf('/');
  const directory = path.slice(0, slash);
  // The times in their names sort; the new log and this one count as well.
  const old = (await files.list(directory)).filter((n) => n.startsWith(`${path.slice(slash + 1)}.`)).sort();
  for (const name of old.slice(0, Math.max(0, old.length - (node.config.logMaxFiles - 2)))) {
    await files.remove(`${directory}/${name}`);
  }
  const rotated = `${path}.${stamp(node.env.clock.now())}`;
  await files.rename(path, rotated);
  try {
    await node.runtime.reopenLog(id);
  } catch (error) {
    await files.rename(rotated, path);
    throw error;
  }
}

/** `20260102-150405`. */
const stamp = (ms: number) => new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');

/** Removes an instance's log with everything that was rotated away from it. */
export async function removeLogs(node: NodeContext, path: string): Promise<void> {
  const { files } = node.host;
  const slash = path.lastIndexOf('/');
  const name = path.slice(slash + 1);
  const directory = path.slice(0, slash);
  for (const entry of await files.list(directory)) {
    if (entry === name || entry.startsWith(`${name}.`)) await files.remove(`${directory}/${entry}`);
  }
}
