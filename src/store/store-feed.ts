// One watch over a whole store, handed out to the watch caches by the first segments of the key,
// `/registry/<group>/<plural>/`. It also tells every cache, at no cost, up to which revision it is current.

import { Heap } from '../base/heap.ts';
import { StoreError, type Entry, type Store, type StoreEvent } from './store.ts';

/** A part of the store's keys that wants its events: a watch cache. */
export interface FeedConsumer {
  /** Takes in the events of one revision, without telling anyone. */
  apply(batch: readonly StoreEvent[]): void;
  /** Tells its watchers what it took in; all consumers have taken in the revision by then. */
  flush(): void;
  /** The store was closed, or lost. */
  closed(error: Error | undefined): void;
}

export interface FeedOptions {
  /**
   * How many revisions of the store's history to read at the start, so that watches of a former process can be resumed.
   * Default 1,000.
   */
  readonly backlog?: number;
}

interface Waiter {
  readonly revision: number;
  resolve(): void;
  reject(error: Error): void;
}

export class StoreFeed {
  readonly store: Store;
  readonly #consumers = new Map<string, FeedConsumer>();
  /** What happened before the consumers came, by prefix, until each comes. */
  readonly #backlog = new Map<string, Backlog>();
  readonly #backlogStart: number;
  readonly #backlogEnd: number;
  #revision: number;
  readonly #waiters = new Heap<Waiter>((a, b) => a.revision - b.revision);
  readonly #watch: { stop(): void };
  #closed: { readonly error: Error } | undefined;

  /** Throws StoreError `closed`. */
  constructor(store: Store, options: FeedOptions = {}) {
    this.store = store;
    this.#backlogEnd = store.revision;
    this.#backlogStart = Math.max(store.compactRevision, store.revision - (options.backlog ?? 1000));
    this.#revision = this.#backlogStart;
    this.#watch = store.watch('', this.#backlogStart, {
      events: (batch) => this.#events(batch),
      closed: (error) => this.#close(error),
    });
  }

  /** The latest revision whose events all consumers have. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Subscribes a consumer to the keys with `prefix` (`/registry/<group>/<plural>/`) and gives it the content, with the
   * revision it stood at, and the events before that this feed still has. The consumer is told of further events from
   * the call on, so some of them may be part of the content already.
   */
  async attach(prefix: string, consumer: FeedConsumer): Promise<Attached> {
    if (kindPrefix(`${prefix}x`) !== prefix)
      throw new TypeError(`${JSON.stringify(prefix)} is not /registry/<group>/<plural>/`);
    if (this.#closed) throw this.#closed.error;
    if (this.#consumers.has(prefix)) throw new Error(`the keys ${prefix} have a cache already`);
    this.#consumers.set(prefix, consumer);
    const backlog = this.#backlog.get(prefix) ?? { after: this.#backlogStart, batches: [] };
    this.#backlog.delete(prefix);
    try {
      const { revision, entries } = await this.store.list(prefix);
      return { revision, entries, backlog };
    } catch (error) {
      this.detach(prefix);
      throw error;
    }
  }

  /** After this the consumer is told nothing. */
  detach(prefix: string): void {
    this.#consumers.delete(prefix);
  }

  /** Resolves when all consumers have the events of `revision`; rejects when the store is closed first. */
  waitFor(revision: number): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve();
    if (this.#closed) return Promise.reject(this.#closed.error);
    return new Promise((resolve, reject) => this.#waiters.push({ revision, resolve, reject }));
  }

  /** Ends the watch, with an error where its watchers are to learn one; the caches stay as they are. */
  close(error?: Error): void {
    this.#watch.stop();
    this.#close(error);
  }

  #events(batch: readonly StoreEvent[]): void {
    const first = batch[0]!;
    const { revision } = first;
    if (batch.length === 1) {
      const prefix = kindPrefix(first.key);
      const consumer = this.#consumers.get(prefix);
      if (!consumer) this.#keep(prefix, batch);
      consumer?.apply(batch);
      this.#advance(revision);
      consumer?.flush();
      return;
    }
    const parts = new Map<string, StoreEvent[]>();
    for (const event of batch) {
      const prefix = kindPrefix(event.key);
      const part = parts.get(prefix);
      if (part) part.push(event);
      else parts.set(prefix, [event]);
    }
    const touched: FeedConsumer[] = [];
    for (const [prefix, part] of parts) {
      const consumer = this.#consumers.get(prefix);
      if (!consumer) this.#keep(prefix, part);
      consumer?.apply(part);
      if (consumer) touched.push(consumer);
    }
    this.#advance(revision);
    for (const consumer of touched) consumer.flush();
  }

  #keep(prefix: string, batch: readonly StoreEvent[]): void {
    const { revision } = batch[0]!;
    // A kind without a cache could pile up events forever, so that from the start on nothing is kept of it.
    if (revision > this.#backlogEnd) {
      this.#backlog.set(prefix, { after: revision, batches: [] });
      return;
    }
    const kept = this.#backlog.get(prefix);
    if (kept) kept.batches.push(batch);
    else this.#backlog.set(prefix, { after: this.#backlogStart, batches: [batch] });
  }

  #advance(revision: number): void {
    if (revision > this.#revision) this.#revision = revision;
    while (this.#waiters.size > 0 && this.#waiters.peek()!.revision <= this.#revision) this.#waiters.pop()!.resolve();
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = { error: error ?? new StoreError('closed', 'the store is closed') };
    for (let waiter = this.#waiters.pop(); waiter; waiter = this.#waiters.pop()) waiter.reject(this.#closed.error);
    const consumers = [...this.#consumers.values()];
    this.#consumers.clear();
    for (const consumer of consumers) consumer.closed(error);
  }
}

export interface Attached {
  readonly revision: number;
  readonly entries: readonly Entry[];
  readonly backlog: Backlog;
}

/** All events of a prefix after revision `after`, up to the moment its consumer came. */
export interface Backlog {
  readonly after: number;
  readonly batches: (readonly StoreEvent[])[];
}

/** `/registry/<group>/<plural>/` of a key, or the key itself when it has fewer segments. */
function kindPrefix(key: string): string {
  const group = key.indexOf('/', 1);
  const plural = key.indexOf('/', group + 1);
  const end = key.indexOf('/', plural + 1);
  return group < 0 || plural < 0 || end < 0 ? key : key.slice(0, end + 1);
}
