// The cluster store in memory: the state lives as long as the object. Values are kept by reference and never read.
// A transaction runs entirely inside the call, so the order of writes is the order of calls, and watchers have been told
// before the promise resolves.

import { SortedMap } from './sorted-map.ts';
import {
  StoreError,
  type Compare,
  type Entry,
  type Mutation,
  type Store,
  type StoreEvent,
  type TxnResult,
  type Watcher,
} from './store.ts';
import { WatcherSet } from './watcher-set.ts';

export interface MemoryStoreOptions {
  /** How many events of history to keep at least before old ones are forgotten without being asked. Default 10,000. */
  readonly historyLimit?: number;
}

export class MemoryStore implements Store {
  #entries = new SortedMap<Entry>();
  #revision = 1;
  /** Events by revision: the batch of revision r stands at r - compactRevision - 1. */
  #log: (readonly StoreEvent[])[] = [];
  #logEvents = 0;
  #compactRevision = 1;
  #closed = false;
  readonly #historyLimit: number;
  readonly #watchers = new WatcherSet();

  constructor(options: MemoryStoreOptions = {}) {
    this.#historyLimit = options.historyLimit ?? 10_000;
  }

  get revision(): number {
    return this.#revision;
  }

  get compactRevision(): number {
    return this.#compactRevision;
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#checkOpen();
    return this.#entries.get(key);
  }

  async list(prefix: string): Promise<{ readonly revision: number; readonly entries: readonly Entry[] }> {
    this.#checkOpen();
    return { revision: this.#revision, entries: this.#entries.list(prefix) };
  }

  async txn(
    compares: readonly Compare[],
    mutations: readonly Mutation[],
    submitted?: (revision: number) => void,
  ): Promise<TxnResult> {
    this.#checkOpen();
    checkMutations(mutations);
    for (const compare of compares) {
      if ((this.#entries.get(compare.key)?.revision ?? 0) !== compare.revision) {
        return { ok: false, revision: this.#revision, current: compares.map((c) => this.#entries.get(c.key)) };
      }
    }
    const revision = this.#revision + 1;
    const batch: StoreEvent[] = [];
    for (const mutation of mutations) {
      const event = this.#apply(mutation, revision);
      if (event) batch.push(event);
    }
    // As in etcd, a transaction that changed nothing takes no revision.
    if (batch.length === 0) return { ok: true, revision: this.#revision, current: [] };
    submitted?.(revision);
    this.#revision = revision;
    this.#log.push(batch);
    this.#logEvents += batch.length;
    if (this.#logEvents > this.#historyLimit * 1.25) this.#trim();
    this.#watchers.deliver(batch);
    return { ok: true, revision, current: [] };
  }

  watch(prefix: string, after: number, watcher: Watcher): { stop(): void } {
    this.#checkOpen();
    return this.#watchers.add(prefix, after, this.#revision, this.history(after), watcher);
  }

  /** The events after revision `after`, one batch per revision. Throws StoreError `compacted`. */
  history(after: number): readonly (readonly StoreEvent[])[] {
    if (after < this.#compactRevision) throw compacted(after, this.#compactRevision);
    return after >= this.#revision ? [] : this.#log.slice(after - this.#compactRevision);
  }

  async compact(revision: number): Promise<void> {
    this.#checkOpen();
    this.#forget(Math.min(revision, this.#revision) - this.#compactRevision);
  }

  /** An independent store with the same content, history and revision, sharing the values; nobody watches it. */
  fork(): MemoryStore {
    this.#checkOpen();
    const copy = new MemoryStore({ historyLimit: this.#historyLimit });
    copy.#entries = this.#entries.fork();
    copy.#revision = this.#revision;
    copy.#log = this.#log.slice();
    copy.#logEvents = this.#logEvents;
    copy.#compactRevision = this.#compactRevision;
    return copy;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watchers.close();
  }

  #apply(mutation: Mutation, revision: number): StoreEvent | undefined {
    if ('delete' in mutation) {
      const previous = this.#entries.delete(mutation.delete);
      return previous && { type: 'delete', key: mutation.delete, revision, previous };
    }
    const { put: key, value } = mutation;
    const before = this.#entries.get(key);
    const entry: Entry = { key, value, revision, createRevision: before?.createRevision ?? revision };
    this.#entries.set(key, entry);
    return before ? { type: 'put', key, revision, entry, previous: before } : { type: 'put', key, revision, entry };
  }

  /** Brings the history back to its limit. Done in strides, since dropping from the front moves the rest. */
  #trim(): void {
    let batches = 0;
    let events = this.#logEvents;
    while (events > this.#historyLimit) events -= this.#log[batches++]!.length;
    this.#forget(batches);
  }

  #forget(batches: number): void {
    if (batches <= 0) return;
    for (const batch of this.#log.splice(0, batches)) this.#logEvents -= batch.length;
    this.#compactRevision += batches;
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreError('closed', 'the store is closed');
  }
}

/** The error of a watch that starts before the history does. */
export function compacted(after: number, compactRevision: number): StoreError {
  return new StoreError('compacted', `revision ${after} has been compacted; history starts after ${compactRevision}`);
}

/** Throws TypeError when one transaction writes a key twice: its events would have no order. */
export function checkMutations(mutations: readonly Mutation[]): void {
  if (mutations.length < 2) return;
  const keys = new Set<string>();
  for (const mutation of mutations) {
    const key = 'delete' in mutation ? mutation.delete : mutation.put;
    if (keys.has(key)) throw new TypeError(`a transaction writes the key ${JSON.stringify(key)} twice`);
    keys.add(key);
  }
}
