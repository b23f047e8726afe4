// Bugs on purpose, one value each, made at the seams where drivers are handed in anyway: the simulation is worth what it
// finds of them.

import type { ReplicaSet } from '../../src/api/kinds/apps/replica-set.ts';
import type { KubeObject } from '../../src/api/object.ts';
import type { ApiOp, ApiResult, NoUser, ObjectResult } from '../../src/api/op.ts';
import { Client } from '../../src/client/client.ts';
import type { Store, StoreEvent, Watcher } from '../../src/store/store.ts';
import type { Disk } from './durable-store.ts';
import type { Planted } from './world.ts';
import type { MemoryStore } from '../../src/store/memory-store.ts';

/** A store over another: only what is named differs. */
function over(store: Store, differs: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const own = (differs as Record<PropertyKey, unknown>)[name];
      if (own !== undefined) return own;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

const onOpen = (disk: Disk, open: (store: Store) => Store): Disk => ({
  get durable() {
    return disk.durable;
  },
  open: () => open(disk.open()),
  crash: (kept) => disk.crash(kept),
});

/** The server's caches miss one in so many changes of pods. */
export const dropsEvents = (every: number): Planted => ({
  disk: (disk) => {
    let seen = 0;
    const drops = ({ key }: StoreEvent) => key.startsWith('/registry/core/pods/') && ++seen % every === 0;
    return onOpen(disk, (store) =>
      over(store, {
        watch: (prefix: string, after: number, watcher: Watcher) =>
          store.watch(prefix, after, {
            events: (batch) => {
              const told = batch.filter((event) => !drops(event));
              if (told.length > 0) watcher.events(told);
            },
            closed: (error) => watcher.closed(error),
          }),
      }),
    );
  },
});

/** Writes are acknowledged, and seen, before they are on the disk: they get there half a second later. */
export const skipsSync: Planted = {
  disk: (disk, clock) => {
    let durable = disk.durable;
    let live = durable;
    let waiting = false;
    const synced: Disk = {
      get durable() {
        return durable;
      },
      open() {
        const store: MemoryStore = live;
        return over(store, {
          async txn(compares, mutations) {
            if (!waiting) {
              // What a crash within the next half second leaves behind.
              waiting = true;
              durable = store.fork();
              clock.setTimer(500, () => {
                waiting = false;
                durable = store;
              });
            }
            return store.txn(compares, mutations);
          },
        });
      },
      crash() {
        live = durable;
        waiting = false;
      },
    };
    return synced;
  },
};

/** A client whose requests one user agent makes otherwise. */
function replaced(
  agent: string,
  send: (client: Client, op: NoUser<ApiOp>, signal: AbortSignal | undefined) => Promise<ApiResult>,
): Planted {
  return {
    between: (client, _, userAgent) =>
      userAgent === agent ? new Client((op, options) => send(client, op, options?.signal), userAgent) : client,
  };
}

/** The ReplicaSet controller forgets what it has just written, and decides on yesterday's view. */
export const trustsStaleCaches: Planted = replaced('replicaset-controller', async (client, op, signal) => {
  const result = await client.do(op, signal);
  if (op.verb !== 'create' || op.resource !== 'pods' || result.type !== 'object') return result;
  const { object } = result;
  return {
    ...result,
    object: { ...object, metadata: { ...object.metadata, resourceVersion: '0' } },
  } satisfies ObjectResult;
});

/** The garbage collector believes one in so many objects to be gone without having deleted it. */
export function forgetsGarbage(every: number): Planted {
  let deletions = 0;
  return replaced('generic-garbage-collector', async (client, op, signal) => {
    if (op.verb !== 'delete' || ++deletions % every !== 0) return client.do(op, signal);
    return { type: 'object', object: { kind: 'Status', apiVersion: 'v1', metadata: {} } as unknown as KubeObject };
  });
}

/** The Deployment controller takes all old pods away at once. */
export const givesAwayTooMuch: Planted = replaced('deployment-controller', (client, op, signal) => {
  const body = op.body as ReplicaSet;
  const shrinks = op.verb === 'update' && op.resource === 'replicasets' && !op.subresource;
  if (
    !shrinks ||
    body.spec.replicas === body.status?.replicas ||
    (body.spec.replicas ?? 0) > (body.status?.replicas ?? 0)
  )
    return client.do(op, signal);
  return client.do({ ...op, body: { ...body, spec: { ...body.spec, replicas: 0 } } }, signal);
});
