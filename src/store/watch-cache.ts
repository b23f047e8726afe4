// The decoded objects of one API resource, each held once, with their recent history: what the server lists and watches.
// It follows the store through a StoreFeed shared by all caches, and is exact: a listing at a revision and a watch after
// it have neither gap nor overlap.
//
// Scopes: what ends in `/` is a subtree (the whole kind, or one namespace of it); anything else is one object's key.

import { CacheWatches, inScope } from './cache-watches.ts';
import { EventRing } from './event-ring.ts';
import type { FeedConsumer, StoreFeed } from './store-feed.ts';
import { SortedMap, type Range } from './sorted-map.ts';
import { StoreError, type Entry, type StoreEvent } from './store.ts';

/** Events that stay, however old: as many as upstream keeps at least. */
const LEAST_HISTORY = 100;

interface Change {
  readonly key: string;
  readonly revision: number;
  /** What consumers make of the event once for all of them; theirs to write. */
  derived?: unknown;
}

export type CacheEvent<T> =
  | (Change & { readonly type: 'put'; readonly object: T; readonly previous?: T })
  | (Change & { readonly type: 'delete'; readonly object?: never; readonly previous: T });

/** What a watch calls. All events of one revision come in one batch, in order. Must not throw. */
export interface CacheSink<T> {
  events(batch: readonly CacheEvent<T>[]): void;
  /** The watch ended: the store was closed, or lost. */
  closed(error?: Error): void;
}

export interface WatchCacheOptions<T> {
  /** How many recent events to remember, for watches from the past and listings of it. Default 4,096. */
  readonly capacity?: number;
  /** What remembered events may weigh together, and what each does; only their number counts when absent. */
  readonly limit?: { readonly budget: number; weigh(event: CacheEvent<T>): number };
  /** A value by which listings and watches can be narrowed without looking at every object: a pod's node. */
  readonly index?: (object: T) => string | undefined;
}

export interface ListOptions extends Range {
  /** Only objects whose `index` has this value. */
  readonly indexed?: string;
}

export class WatchCache<T> {
  /** Resolves when the content is there; rejects when the store fails first. Until then the cache is empty. */
  readonly ready: Promise<void>;
  readonly prefix: string;
  readonly #feed: StoreFeed;
  readonly #decode: (entry: Entry) => T;
  readonly #indexOf: ((object: T) => string | undefined) | undefined;
  readonly #ring: EventRing<CacheEvent<T>>;
  readonly #objects = new SortedMap<T>();
  readonly #indexed = new Map<string, SortedMap<T>>();
  readonly #watches: CacheWatches<T>;
  /** Events that came while the content was being read. */
  #early: (readonly StoreEvent[])[] | undefined = [];
  #fresh: CacheEvent<T>[] = [];
  #listed = 0;
  #closed: { readonly error: Error | undefined } | undefined;

  /** `prefix` is `/registry/<group>/<plural>/`. `decode` must not throw: what cannot be decoded is a T as well. */
  constructor(feed: StoreFeed, prefix: string, decode: (entry: Entry) => T, options: WatchCacheOptions<T> = {}) {
    this.prefix = prefix;
    this.#feed = feed;
    this.#decode = decode;
    this.#indexOf = options.index;
    this.#ring = new EventRing(options.capacity ?? 4096, options.limit);
    this.#watches = new CacheWatches(prefix, this.#ring, options.index);
    this.ready = this.#load({
      apply: (batch) => this.#apply(batch),
      flush: () => this.#flush(),
      closed: (error) => this.#end(error),
    });
    // Whoever needs the content awaits `ready`; a failure nobody waits for reaches the watches through the feed.
    this.ready.catch(() => {});
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Watches under way. */
  get watches(): number {
    return this.#watches.size;
  }

  /** Events told to watches so far. */
  get told(): number {
    return this.#watches.told;
  }

  /** The store revision this cache is current at. It advances with every write to the store. */
  get revision(): number {
    return Math.max(this.#listed, this.#feed.revision);
  }

  /** The oldest revision a watch may start after and a listing may ask for. */
  get oldestRevision(): number {
    return this.#ring.start;
  }

  /** The cache has its content, and is current at `revision` or later. */
  isAt(revision: number): boolean {
    return !this.#early && this.revision >= revision;
  }

  /** Resolves when the cache is current at `revision` or later; rejects when the store is closed first. */
  async waitFor(revision: number): Promise<void> {
    if (this.#early) await this.ready;
    if (this.revision < revision) await this.#feed.waitFor(revision);
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  /** The objects in the scope as of `revision`, in key order. */
  list(scope: string = this.prefix, options: ListOptions = {}): T[] {
    if (!scope.endsWith('/')) return this.#one(scope, options);
    return this.#part(options.indexed)?.list(scope, options) ?? [];
  }

  /** How many objects a listing gives. */
  count(scope: string = this.prefix, options: ListOptions = {}): number {
    if (!scope.endsWith('/')) return this.#one(scope, options).length;
    return this.#part(options.indexed)?.count(scope, options) ?? 0;
  }

  /**
   * The objects in the scope as they were at `revision`, in key order. Throws StoreError `compacted` when the remembered
   * history does not reach back that far, RangeError when the cache is not there yet (see `waitFor`).
   */
  listAt(scope: string, revision: number, options: ListOptions = {}): T[] {
    if (revision > this.revision) throw new RangeError(`revision ${revision} is ahead of the cache (${this.revision})`);
    this.#checkReach(revision);
    const past = this.#undo(scope, revision, options);
    if (past.size === 0) return this.list(scope, options);
    // The keys that changed since are replaced by what they held; the others are as they were.
    const { limit = Infinity } = options;
    const present = { ...options, limit: limit + past.size };
    const keys = this.#keys(scope, present);
    const objects = this.list(scope, present);
    const changed = [...past].filter((item) => item[1] !== undefined).sort((a, b) => (a[0] < b[0] ? -1 : 1));
    const out: T[] = [];
    for (let i = 0, j = 0; out.length < limit && (i < keys.length || j < changed.length);) {
      if (i < keys.length && past.has(keys[i]!)) i++;
      else if (j >= changed.length || (i < keys.length && keys[i]! < changed[j]![0])) out.push(objects[i++]!);
      else out.push(changed[j++]![1]!);
    }
    return out;
  }

  /**
   * Tells `sink` every event in the scope after revision `after`: what is remembered at once, within the call, the rest
   * as it happens. With `indexed`, the events whose object has or had that index value. Throws StoreError `compacted`
   * when the remembered history does not reach back that far, `closed` when the store is closed.
   */
  watch(scope: string, after: number, sink: CacheSink<T>, options: { indexed?: string } = {}): { stop(): void } {
    if (this.#closed) throw this.#closed.error ?? new StoreError('closed', 'the cache is closed');
    if (this.#early) throw new Error(`the cache of ${this.prefix} is not ready`);
    this.#checkReach(after);
    return this.#watches.add(scope, after, options.indexed, () => this.revision, sink);
  }

  /** Forgets the history up to and including `revision`, but for the last few events: a watch after them goes on. */
  forget(revision: number): void {
    this.#ring.forget(revision, LEAST_HISTORY);
  }

  /** Forgets everything and ends all watches: the kind is gone. */
  close(error?: Error): void {
    this.#feed.detach(this.prefix);
    this.#end(error);
  }

  #end(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = { error };
    this.#watches.close(error);
  }

  #flush(): void {
    const batch = this.#fresh;
    this.#fresh = [];
    if (batch.length > 0) this.#watches.deliver(batch);
  }

  async #load(consumer: FeedConsumer): Promise<void> {
    const { revision, entries, backlog } = await this.#feed.attach(this.prefix, consumer);
    for (const entry of entries) this.#put(entry.key, this.#decode(entry));
    const early = this.#early ?? [];
    // A feed that lags behind the listing may still miss events that led to it: then history starts here.
    const behind = this.#feed.revision < revision;
    const after = behind ? revision : Math.max(backlog.after, this.#feed.store.compactRevision);
    const past = [...backlog.batches, ...early].flat().filter((e) => e.revision > after && e.revision <= revision);
    this.#ring.reset(after);
    // One by one: each is weighed while its encoding is known.
    for (const event of this.#recall(past, after, entries)) this.#ring.push(event);
    this.#listed = revision;
    this.#early = undefined;
    for (const batch of early) if (batch[0]!.revision > revision) this.#apply(batch);
    this.#fresh = [];
  }

  /** The events that led to the present content. Objects it holds already are not decoded again. */
  *#recall(past: readonly StoreEvent[], after: number, entries: readonly Entry[]): Generator<CacheEvent<T>> {
    if (past.length === 0) return;
    const known = new Map<string, T>();
    const id = (entry: Entry) => `${entry.revision} ${entry.key}`;
    for (const entry of entries) if (entry.revision > after) known.set(id(entry), this.#objects.get(entry.key)!);
    const decode = (entry: Entry): T => {
      const object = known.has(id(entry)) ? known.get(id(entry))! : this.#decode(entry);
      known.set(id(entry), object);
      return object;
    };
    for (const { key, revision, entry, previous } of past) {
      // The object last, so that it is what was decoded last.
      const before = previous && decode(previous);
      yield entry
        ? { type: 'put', key, revision, object: decode(entry), previous: before }
        : { type: 'delete', key, revision, previous: before! };
    }
  }

  #apply(batch: readonly StoreEvent[]): void {
    if (this.#early) {
      this.#early.push(batch);
      return;
    }
    const { revision } = batch[0]!;
    if (revision <= this.#listed) return;
    for (const { key, entry } of batch) {
      let event: CacheEvent<T>;
      if (entry) {
        const object = this.#decode(entry);
        event = { type: 'put', key, revision, object, previous: this.#put(key, object) };
      } else {
        event = { type: 'delete', key, revision, previous: this.#delete(key)! };
      }
      this.#ring.push(event);
      this.#fresh.push(event);
    }
  }

  #put(key: string, object: T): T | undefined {
    const previous = this.#objects.set(key, object);
    if (!this.#indexOf) return previous;
    const value = this.#indexOf(object);
    const before = previous === undefined ? undefined : this.#indexOf(previous);
    if (before !== undefined && before !== value) this.#unindex(before, key);
    if (value !== undefined) {
      let part = this.#indexed.get(value);
      if (!part) this.#indexed.set(value, (part = new SortedMap()));
      part.set(key, object);
    }
    return previous;
  }

  #delete(key: string): T | undefined {
    const previous = this.#objects.delete(key);
    const value = previous === undefined ? undefined : this.#indexOf?.(previous);
    if (value !== undefined) this.#unindex(value, key);
    return previous;
  }

  #unindex(value: string, key: string): void {
    const part = this.#indexed.get(value);
    part?.delete(key);
    if (part?.size === 0) this.#indexed.delete(value);
  }

  #part(indexed: string | undefined): SortedMap<T> | undefined {
    return indexed === undefined ? this.#objects : this.#indexed.get(indexed);
  }

  #keys(scope: string, options: ListOptions): string[] {
    if (!scope.endsWith('/')) return this.#one(scope, options).map(() => scope);
    return this.#part(options.indexed)?.keys(scope, options) ?? [];
  }

  #one(key: string, options: ListOptions): T[] {
    const object = this.#part(options.indexed)?.get(key);
    const { after, limit = 1 } = options;
    return object === undefined || limit < 1 || (after !== undefined && key <= after) ? [] : [object];
  }

  #checkReach(revision: number): void {
    if (revision >= this.#ring.start) return;
    throw new StoreError('compacted', `revision ${revision} is too old; history starts after ${this.#ring.start}`);
  }

  /** What the keys that changed after `revision` held then, of those in the scope; undefined for nothing. */
  #undo(scope: string, revision: number, { after, indexed }: ListOptions): Map<string, T | undefined> {
    const past = new Map<string, T | undefined>();
    for (const { key, previous } of this.#ring.after(revision)) {
      if (past.has(key) || !inScope(scope, key) || (after !== undefined && key <= after)) continue;
      const hidden = indexed !== undefined && previous !== undefined && this.#indexOf?.(previous) !== indexed;
      past.set(key, hidden ? undefined : previous);
    }
    return past;
  }
}
