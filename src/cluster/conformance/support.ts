// What the scenarios share: a watch that keeps what it saw, and the body of a pod and of a workload.

import type { AnyKind, Kind } from '../../api/kind.ts';
import type { Draft, KubeObject } from '../../api/object.ts';
import type { WatchEvent } from '../../api/op.ts';
import type { Client, ListOptions } from '../../client/client.ts';

export interface Watching<T> {
  readonly events: WatchEvent<T>[];
  /** `ADDED name`, in order; bookmarks are left out. */
  seen(): string[];
  /** Types alone. */
  types(): string[];
  stop(): void;
}

/** Watches from now on. Let promises run (`cluster.settle()`) before looking. */
export async function watching<T extends KubeObject>(
  client: Client,
  kind: Kind<T>,
  options: ListOptions = {},
): Promise<Watching<T>> {
  const resourceVersion =
    options.resourceVersion ?? (await client.list(kind, { ...options, limit: 1 })).metadata.resourceVersion;
  const stream = await client.watch(kind, { ...options, resourceVersion });
  const events: WatchEvent<T>[] = [];
  stream.start({ events: (batch) => void events.push(...batch), closed: () => {} });
  const real = () => events.filter((e) => e.type !== 'BOOKMARK');
  return {
    events,
    seen: () => real().map((e) => `${e.type} ${e.object.metadata.name}`),
    types: () => real().map((e) => e.type),
    stop: () => stream.stop(),
  };
}

export const podSpec = (more: object = {}) => ({ containers: [{ name: 'c', image: 'app:1' }], ...more });
/** A workload's spec of pods labelled `app`. */
export const workload = (app: string, more: object = {}, pod: object = {}) => ({
  selector: { matchLabels: { app } },
  template: { metadata: { labels: { app } }, spec: podSpec(pod) },
  ...more,
});

/** Creates without the full type of the object: a scenario says only what matters. */
export function make<T extends KubeObject>(
  client: Client,
  kind: Kind<T>,
  name: string,
  body: object = {},
  metadata: object = {},
): Promise<T> {
  const place = kind.namespaced ? { namespace: 'default' } : {};
  return client.create(kind, { metadata: { name, ...place, ...metadata }, ...body } as unknown as Draft<T>);
}

export const inDefault = (name: string) => ({ namespace: 'default', name });
export const names = async (client: Client, kind: AnyKind, options: ListOptions = {}): Promise<string[]> =>
  (await client.list(kind, options)).items.map((o) => o.metadata.name);

/** `Reason: message` of the refusal, or `accepted`. */
export const refusal = (answer: Promise<unknown>): Promise<string> =>
  answer.then(
    () => 'accepted',
    (error: unknown) =>
      error instanceof Error ? `${String((error as { reason?: string }).reason)}: ${error.message}` : String(error),
  );
