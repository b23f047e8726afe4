// The stored objects of every kind: keys, the watch cache of each kind (made at first use), and writes of single objects.

import { encodedSize, ObjectValue, objectOf } from '../api/codec.ts';
import { StatusError } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import type { Logger } from '../base/log.ts';
import type { Span } from '../base/trace.ts';
import { StoreError, type Entry, type Mutation, type Store, type Value } from '../store/store.ts';
import { StoreFeed } from '../store/store-feed.ts';
import { WatchCache, type CacheEvent } from '../store/watch-cache.ts';
import { deepFreeze } from './plain.ts';
import { storageKind } from './kind-registry.ts';
import type { StoreTimer } from './store-metrics.ts';

/** The outcome of a conditional write: the stored object, or what stood in the way (undefined: nothing stored). */
export type WriteOutcome =
  | { readonly ok: true; readonly object: KubeObject; readonly revision: number }
  | { readonly ok: false; readonly current: KubeObject | undefined };

/** Bytes of past objects of one kind that are remembered, as encoded: in memory an object takes a few times as much. */
const HISTORY = {
  budget: 32 * 2 ** 20,
  weigh: ({ object, previous }: CacheEvent<KubeObject>) => encodedSize(object ?? previous!),
};

interface StorageOptions {
  readonly freeze: boolean;
  readonly log: Logger;
  readonly timer: StoreTimer | undefined;
}

/** The objects of one stored kind. */
export class Storage {
  readonly kind: AnyKind;
  readonly prefix: string;
  readonly cache: WatchCache<KubeObject>;
  readonly #store: Store;
  readonly #freeze: boolean;
  readonly #timer: StoreTimer | undefined;

  constructor(kind: AnyKind, feed: StoreFeed, options: StorageOptions) {
    this.kind = kind;
    this.prefix = prefixOf(kind);
    this.#store = feed.store;
    this.#freeze = options.freeze;
    this.#timer = options.timer;
    const decode = (entry: Entry) => decodeOrStandIn(entry, kind, options);
    const index = indexOf(kind);
    this.cache = new WatchCache(feed, this.prefix, decode, { limit: HISTORY, ...(index ? { index } : {}) });
  }

  key(namespace: string | undefined, name: string): string {
    return this.kind.namespaced ? `${this.prefix}${namespace ?? ''}/${name}` : this.prefix + name;
  }

  /** The cache scope of a namespace (all when absent) or of one object. */
  scope(namespace: string | undefined, name?: string): string {
    if (name !== undefined && (namespace || !this.kind.namespaced)) return this.key(namespace, name);
    return this.kind.namespaced && namespace ? `${this.prefix}${namespace}/` : this.prefix;
  }

  /** The object as it is now. The cache must be current (see `Caches.current`). */
  get(namespace: string | undefined, name: string): KubeObject | undefined {
    return this.cache.get(this.key(namespace, name));
  }

  /** Writes `object` if the stored one still is `expected` (undefined: there is none). Takes `object` over. */
  async put(object: KubeObject, expected: KubeObject | undefined, span?: Span): Promise<WriteOutcome> {
    const key = this.key(object.metadata.namespace, object.metadata.name);
    const value = new ObjectValue(object);
    const began = span?.now() ?? 0;
    const outcome = await this.#write(key, expected, { put: key, value }, span);
    if (span) wrote(span, object, outcome, began);
    return outcome.ok ? { ...outcome, object: this.#read(value, outcome.revision) } : outcome;
  }

  /** Deletes the object if it still is `expected`. */
  async delete(expected: KubeObject, span?: Span): Promise<WriteOutcome> {
    const key = this.key(expected.metadata.namespace, expected.metadata.name);
    const began = span?.now() ?? 0;
    const outcome = await this.#write(key, expected, { delete: key }, span);
    if (span) wrote(span, expected, outcome, began);
    return outcome.ok ? { ...outcome, object: expected } : outcome;
  }

  #read(value: Value, revision: number): KubeObject {
    const object = objectOf(value, revision);
    return this.#freeze ? deepFreeze(object) : object;
  }

  async #write(
    key: string,
    expected: KubeObject | undefined,
    mutation: Mutation,
    span: Span | undefined,
  ): Promise<{ ok: true; revision: number } | { ok: false; current: KubeObject | undefined }> {
    const revision = expected ? Number(expected.metadata.resourceVersion) : 0;
    const operation = 'delete' in mutation ? 'delete' : expected ? 'update' : 'create';
    const done = this.#timer?.(operation, this.kind);
    try {
      const result = await this.#store.txn([{ key, revision }], [mutation], span && ((at) => span.wrote(at)));
      done?.(false);
      if (result.ok) return { ok: true, revision: result.revision };
      const entry = result.current[0];
      return { ok: false, current: entry && this.#read(entry.value, entry.revision) };
    } catch (error) {
      done?.(true);
      throw translateStoreError(error);
    }
  }
}

/** What has been written, for those who follow its life. */
function wrote(
  span: Span,
  { metadata }: KubeObject,
  outcome: { readonly ok: boolean; readonly revision?: number },
  began: number,
): void {
  span.phase('store', began);
  if (outcome.revision === undefined) return;
  span.namespace = metadata.namespace ?? '';
  span.objectName = metadata.name;
  span.uid = metadata.uid;
  span.owner = metadata.ownerReferences?.find((owner) => owner.controller)?.uid ?? '';
  span.generation = metadata.generation ?? 0;
  if (span.revision !== outcome.revision) span.wrote(outcome.revision);
}

export interface CachesOptions {
  readonly store: Store;
  readonly log: Logger;
  /** Freeze every object that is read: finds code that changes shared objects. Costs time. */
  readonly freeze?: boolean;
  /** Measures writes. */
  readonly timer?: StoreTimer;
}

export class Caches {
  readonly store: Store;
  readonly feed: StoreFeed;
  readonly #options: StorageOptions;
  readonly #storages = new Map<string, Storage>();
  /** The same, without making up the prefix. */
  #known = new WeakMap<AnyKind, Storage>();

  constructor(options: CachesOptions) {
    this.store = options.store;
    this.feed = new StoreFeed(options.store);
    this.#options = { freeze: options.freeze ?? false, log: options.log, timer: options.timer };
  }

  /** The storage behind a kind; other forms of a stored kind share its storage. */
  of(kind: AnyKind): Storage {
    const known = this.#known.get(kind);
    if (known) return known;
    const stored = storageKind(kind);
    const prefix = prefixOf(stored);
    let storage = this.#storages.get(prefix);
    if (!storage) {
      storage = new Storage(stored, this.feed, this.#options);
      this.#storages.set(prefix, storage);
    }
    this.#known.set(kind, storage);
    return storage;
  }

  /**
   * The storage with its cache holding every write this process has seen. Rejects with a StatusError when the store is
   * gone.
   */
  current(kind: AnyKind): Promise<Storage> {
    return this.#reach(kind, this.store.revision);
  }

  /** As `current`, at once; undefined when the cache is not there yet. */
  ready(kind: AnyKind): Storage | undefined {
    const storage = this.of(kind);
    return storage.cache.isAt(this.store.revision) ? storage : undefined;
  }

  /** As `current`, with every write that anybody had made when this was called. */
  async latest(kind: AnyKind): Promise<Storage> {
    return this.#reach(kind, this.store.latest ? await this.#ask() : this.store.revision);
  }

  async #ask(): Promise<number> {
    try {
      return await this.store.latest!();
    } catch (error) {
      throw translateStoreError(error);
    }
  }

  async #reach(kind: AnyKind, revision: number): Promise<Storage> {
    const storage = this.of(kind);
    if (storage.cache.isAt(revision)) return storage;
    try {
      await storage.cache.waitFor(revision);
    } catch (error) {
      throw translateStoreError(error);
    }
    return storage;
  }

  /** Ends the watches of a kind that is no longer served. Its objects stay in the store. */
  drop(kind: AnyKind): void {
    const prefix = prefixOf(storageKind(kind));
    const storage = this.#storages.get(prefix);
    this.#storages.delete(prefix);
    this.#known = new WeakMap();
    storage?.cache.close();
  }

  /** Of all kinds that have been used so far. */
  storages(): Iterable<Storage> {
    return this.#storages.values();
  }

  /** Forgets the history of all kinds up to and including `revision`, as the store does when it is compacted. */
  forget(revision: number): void {
    for (const { cache } of this.#storages.values()) cache.forget(revision);
  }

  /** An error is what watchers are told. */
  close(error?: Error): void {
    this.feed.close(error);
  }
}

/** `/registry/<group or core>/<plural>/`. */
export function prefixOf(kind: AnyKind): string {
  return `/registry/${kind.group || 'core'}/${kind.plural}/`;
}

/** The one place where store errors become API errors. */
export function translateStoreError(error: unknown): Error {
  if (!(error instanceof StoreError)) return error as Error;
  switch (error.fault) {
    case 'compacted':
      return new StatusError('Expired', 'The resourceVersion for the provided list is too old.');
    case 'closed':
    case 'readonly':
    case 'full':
      return new StatusError('ServiceUnavailable', `the store cannot serve this request: ${error.message}`, {
        retryAfterSeconds: 1,
      });
    case 'unknown':
      return new StatusError(
        'Timeout',
        `Timeout: request did not complete within the allotted timeout: ${error.message}`,
      );
    case 'corrupt':
      return new StatusError('InternalError', `Internal error occurred: ${error.message}`);
  }
}

/** Pods are filed by their node: a kubelet's list and watch touch its own pods only. */
export const INDEXED_FIELD: Readonly<Record<string, string>> = { pods: 'spec.nodeName' };

function indexOf(kind: AnyKind): ((object: KubeObject) => string | undefined) | undefined {
  if (kind.group || kind.plural !== 'pods') return undefined;
  return (object) => (object as KubeObject & { spec?: { nodeName?: string } }).spec?.nodeName;
}

function decodeOrStandIn(entry: Entry, kind: AnyKind, options: { freeze: boolean; log: Logger }): KubeObject {
  try {
    const object = objectOf(entry.value, entry.revision);
    return options.freeze ? deepFreeze(object) : object;
  } catch (error) {
    // The object cannot be read, but it is there: it must be possible to see its name and to delete it.
    options.log.error('undecodable object in the store', { key: entry.key, error: String(error) });
    const [name, namespace] = entry.key.split('/').reverse();
    return {
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      metadata: {
        name: name ?? '',
        ...(kind.namespaced && namespace ? { namespace } : {}),
        uid: '',
        creationTimestamp: '1970-01-01T00:00:00Z',
        resourceVersion: String(entry.revision),
      },
    };
  }
}
