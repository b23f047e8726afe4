// The ConfigMaps and Secrets that pods of this node use: each is watched by itself, for as long as a pod uses it, so
// that reading is instant and changes are pushed. A node may read only what its pods refer to, hence no wide watch.

import { sleep, type Env } from '../base/env.ts';
import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Secret } from '../api/kinds/core/secret.ts';
import type { Client } from '../client/client.ts';
import { createInformer } from '../client/create-informer.ts';
import type { Informer } from '../client/informer.ts';
import type { ObjectSource } from './environment.ts';

const SYNC_TIMEOUT = 5_000;

interface Watched {
  readonly informer: Informer<KubeObject>;
  readonly abort: AbortController;
  readonly listeners: Set<() => void>;
}

export class NodeObjects {
  readonly #client: Client;
  readonly #env: Env;
  readonly #watched = new Map<string, Watched>();

  constructor(client: Client, env: Env, signal: AbortSignal) {
    this.#client = client;
    this.#env = env;
    signal.addEventListener('abort', () => {
      for (const { abort } of this.#watched.values()) abort.abort(signal.reason);
    });
  }

  /** A pod's view. `changed` is called when an object it has read changes, appears or goes. */
  scope(changed: () => void): PodObjects {
    return new PodObjects(
      this.#env,
      (kind, namespace, name) => this.#acquire(kind, namespace, name, changed),
      (key) => this.#release(key, changed),
    );
  }

  #acquire(kind: Kind<KubeObject>, namespace: string, name: string, changed: () => void): [string, Watched] {
    const key = `${kind.plural}/${namespace}/${name}`;
    let watched = this.#watched.get(key);
    if (!watched) {
      const abort = new AbortController();
      const listeners = new Set<() => void>();
      const informer = createInformer(
        kind,
        { client: this.#client, env: this.#env },
        { namespace, fieldSelector: `metadata.name=${name}`, signal: abort.signal },
      );
      informer.on(() => listeners.forEach((listener) => listener()));
      watched = { informer, abort, listeners };
      this.#watched.set(key, watched);
    }
    watched.listeners.add(changed);
    return [key, watched];
  }

  #release(key: string, changed: () => void): void {
    const watched = this.#watched.get(key);
    if (!watched?.listeners.delete(changed) || watched.listeners.size > 0) return;
    this.#watched.delete(key);
    watched.abort.abort(new Error('no pod uses this object any more'));
  }
}

export class PodObjects implements ObjectSource {
  readonly #acquire: (kind: Kind<KubeObject>, namespace: string, name: string) => [string, Watched];
  readonly #release: (key: string) => void;
  readonly #held = new Set<string>();
  readonly #env: Env;
  #released = new AbortController();

  constructor(
    env: Env,
    acquire: (kind: Kind<KubeObject>, namespace: string, name: string) => [string, Watched],
    release: (key: string) => void,
  ) {
    this.#env = env;
    this.#acquire = acquire;
    this.#release = release;
  }

  configMap(namespace: string, name: string): Promise<ConfigMap | undefined> {
    return this.#get(ConfigMap, namespace, name);
  }

  secret(namespace: string, name: string): Promise<Secret | undefined> {
    return this.#get(Secret, namespace, name);
  }

  /** Stops watching, and breaks off reads under way. Reading again begins anew. */
  release(): void {
    this.#released.abort(new Error('the pod does not need it any more'));
    this.#released = new AbortController();
    for (const key of this.#held) this.#release(key);
    this.#held.clear();
  }

  /** An API that does not answer, or refuses, holds nobody for ever; nor does an object held by another pod's wait. */
  async #synced(kind: string, informer: Informer<KubeObject>): Promise<void> {
    const waited = new AbortController();
    const late = sleep(this.#env, SYNC_TIMEOUT, { signal: AbortSignal.any([this.#released.signal, waited.signal]) });
    const timeout = late.then(() => {
      throw new Error(`failed to sync ${kind.toLowerCase()} cache: timed out waiting for the condition`);
    });
    try {
      await Promise.race([informer.synced, timeout]);
    } finally {
      timeout.catch(() => {});
      waited.abort(new Error('it is here'));
    }
  }

  async #get<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string): Promise<T | undefined> {
    const [key, { informer }] = this.#acquire(kind as unknown as Kind<KubeObject>, namespace, name);
    this.#held.add(key);
    if (!informer.revision) await this.#synced(kind.kind, informer);
    return informer.get(`${namespace}/${name}`) as T | undefined;
  }
}
