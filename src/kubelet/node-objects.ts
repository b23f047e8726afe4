// The ConfigMaps and Secrets that pods of this node use: each is watched by itself, for as long as a pod uses it, so
// that reading is instant and changes are pushed. A node may read only what its pods refer to, hence no wide watch.

import type { Env } from '../base/env.ts';
import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Secret } from '../api/kinds/core/secret.ts';
import type { Client } from '../client/client.ts';
import { createInformer } from '../client/create-informer.ts';
import type { Informer } from '../client/informer.ts';
import type { ObjectSource } from './environment.ts';

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

  constructor(
    acquire: (kind: Kind<KubeObject>, namespace: string, name: string) => [string, Watched],
    release: (key: string) => void,
  ) {
    this.#acquire = acquire;
    this.#release = release;
  }

  configMap(namespace: string, name: string): Promise<ConfigMap | undefined> {
    return this.#get(ConfigMap, namespace, name);
  }

  secret(namespace: string, name: string): Promise<Secret | undefined> {
    return this.#get(Secret, namespace, name);
  }

  /** Stops watching; nothing may be read afterwards. */
  release(): void {
    for (const key of this.#held) this.#release(key);
    this.#held.clear();
  }

  async #get<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string): Promise<T | undefined> {
    const [key, { informer }] = this.#acquire(kind as unknown as Kind<KubeObject>, namespace, name);
    this.#held.add(key);
    await informer.synced;
    return informer.get(`${namespace}/${name}`) as T | undefined;
  }
}
