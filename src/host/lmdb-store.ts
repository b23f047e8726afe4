// The cluster store on disk. A transaction is decided in memory at the call, against all that was called before, and
// joins the next group; a group is one LMDB transaction with one fsync. Nobody sees a write before it is durable.
// Memory holds an index of the keys; values are read from disk when they are asked for.

import { checkMutations, compacted } from '../store/memory-store.ts';
import { SortedMap } from '../store/sorted-map.ts';
import {
  StoreError,
  type Compare,
  type Entry,
  type Mutation,
  type Store,
  type StoreEvent,
  type TxnResult,
  type Value,
  type Watcher,
} from '../store/store.ts';
import { WatcherSet } from '../store/watcher-set.ts';
import { LmdbLog, LoggedEntry, type Compaction, type LogWrite } from './lmdb-log.ts';

/** How many writes one step of a compaction forgets: it delays the writes beside it by well under a millisecond. */
const COMPACTION_STEP = 256;

interface PendingEntry extends Entry {
  readonly sub: number;
}

/** What a key holds once all that was called is durable. */
interface Pending {
  readonly revision: number;
  readonly entry: PendingEntry | undefined;
}

/** Transactions that become durable together. */
interface Group {
  readonly writes: LogWrite[];
  readonly batches: StoreEvent[][];
  compaction?: Compaction;
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class LmdbStore implements Store {
  readonly #log: LmdbLog;
  /** What is durable. */
  readonly #index = new SortedMap<LoggedEntry>();
  #revision: number;
  /** What is called, but not durable yet. */
  readonly #pending = new Map<string, Pending>();
  #calledRevision: number;
  #compactRevision: number;
  #compactTarget = 0;
  #compacting: Promise<void> | undefined;
  #next: Group = newGroup();
  #current: Group | undefined;
  #scheduled = false;
  /** Why nothing works any more. */
  #ended: StoreError | undefined;
  #closing: Promise<void> | undefined;
  readonly #watchers = new WatcherSet();

  /**
   * Opens the store in a directory, which is created if need be. Throws StoreError `readonly`, `full`, `corrupt`, and
   * Error when another process has it open (its id is in the message) or a later version wrote it.
   */
  constructor(directory: string) {
    this.#log = new LmdbLog(directory);
    const put = (entry: LoggedEntry) => void this.#index.set(entry.key, entry);
    this.#revision = this.#log.load(put, (key) => void this.#index.delete(key));
    this.#calledRevision = this.#revision;
    this.#compactRevision = this.#log.compactRevision;
  }

  get revision(): number {
    return this.#revision;
  }

  get compactRevision(): number {
    return this.#compactRevision;
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#checkOpen();
    return this.#index.get(key);
  }

  async list(prefix: string): Promise<{ readonly revision: number; readonly entries: readonly Entry[] }> {
    this.#checkOpen();
    return { revision: this.#revision, entries: this.#index.list(prefix) };
  }

  async txn(
    compares: readonly Compare[],
    mutations: readonly Mutation[],
    submitted?: (revision: number) => void,
  ): Promise<TxnResult> {
    this.#checkOpen();
    checkMutations(mutations);
    for (const compare of compares) {
      if ((this.#called(compare.key)?.revision ?? 0) !== compare.revision) return this.#refuse(compares);
    }
    const revision = this.#calledRevision + 1;
    const batch: StoreEvent[] = [];
    for (const mutation of mutations) this.#apply(mutation, revision, batch);
    // As in etcd, a transaction that changed nothing takes no revision.
    if (batch.length === 0) {
      const now = this.#calledRevision;
      await this.#settled();
      return { ok: true, revision: now, current: [] };
    }
    submitted?.(revision);
    this.#calledRevision = revision;
    this.#next.batches.push(batch);
    await this.#join();
    return { ok: true, revision, current: [] };
  }

  watch(prefix: string, after: number, watcher: Watcher): { stop(): void } {
    this.#checkOpen();
    if (after < this.#compactRevision) throw compacted(after, this.#compactRevision);
    const history = after < this.#revision ? this.#log.history(after, this.#revision) : [];
    return this.#watchers.add(prefix, after, this.#revision, history, watcher);
  }

  /** Goes on in steps beside other writes; a watch may start only after what is being forgotten. */
  async compact(revision: number): Promise<void> {
    this.#checkOpen();
    this.#compactTarget = Math.max(this.#compactTarget, Math.min(revision, this.#revision));
    this.#compacting ??= this.#compact().finally(() => (this.#compacting = undefined));
    await this.#compacting;
  }

  diskBytes(): number {
    return this.#log.bytes;
  }

  /** Waits for all writes that were called, then ends the watches. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** The entry of a key as of the latest call. */
  #called(key: string): (Entry & { readonly sub: number }) | undefined {
    const pending = this.#pending.get(key);
    return pending ? pending.entry : this.#index.get(key);
  }

  /** The answer shows what is called, so it waits until that is durable. */
  async #refuse(compares: readonly Compare[]): Promise<TxnResult> {
    const revision = this.#calledRevision;
    const current = compares.map(({ key }) => this.#called(key));
    await this.#settled();
    return { ok: false, revision, current };
  }

  async #settled(): Promise<void> {
    const group = this.#next.batches.length > 0 ? this.#next : this.#current;
    await group?.done;
  }

  #apply(mutation: Mutation, revision: number, batch: StoreEvent[]): void {
    const sub = batch.length;
    const key = 'delete' in mutation ? mutation.delete : mutation.put;
    const previous = this.#called(key);
    if ('delete' in mutation) {
      if (!previous) return;
      this.#pending.set(key, { revision, entry: undefined });
      this.#next.writes.push({ key, revision, sub, createRevision: previous.createRevision, previous });
      batch.push({ type: 'delete', key, revision, previous });
      return;
    }
    const value: Value = mutation.value;
    const createRevision = previous?.createRevision ?? revision;
    const entry: PendingEntry = { key, value, revision, createRevision, sub };
    this.#pending.set(key, { revision, entry });
    this.#next.writes.push({ key, revision, sub, createRevision, value, previous });
    batch.push(previous ? { type: 'put', key, revision, entry, previous } : { type: 'put', key, revision, entry });
  }

  /** Resolves when the group that is being gathered is durable. */
  #join(): Promise<void> {
    const { done } = this.#next;
    if (!this.#current && !this.#scheduled) {
      this.#scheduled = true;
      // After the turn of the event loop: whoever waited for the last group can join this one.
      setImmediate(() => void this.#commit());
    }
    return done;
  }

  async #commit(): Promise<void> {
    const group = this.#next;
    this.#scheduled = false;
    this.#current = group;
    this.#next = newGroup();
    if (group.compaction) this.#compactRevision = group.compaction.revision;
    try {
      await this.#log.commit(group);
    } catch (error) {
      this.#fail(group, error as Error);
      return;
    }
    this.#current = undefined;
    if (group.compaction) this.#log.compactRevision = group.compaction.revision;
    // Watchers may write: that joins the next group.
    for (const batch of group.batches) this.#publish(batch);
    group.resolve();
    if (this.#next.batches.length > 0 || this.#next.compaction) void this.#join();
  }

  #publish(batch: StoreEvent[]): void {
    for (const event of batch) {
      const { key, revision, entry } = event;
      if (entry) {
        const { createRevision, sub } = entry as PendingEntry;
        this.#index.set(key, new LoggedEntry(this.#log, key, { revision, sub }, createRevision));
      } else {
        this.#index.delete(key);
      }
      if (this.#pending.get(key)?.revision === revision) this.#pending.delete(key);
    }
    this.#revision = batch[0]!.revision;
    this.#watchers.deliver(batch);
  }

  /** Nothing of the group was written. What was called after it was decided on its ground, so it fails with it. */
  #fail(group: Group, error: Error): void {
    const failed = [group, this.#next];
    this.#current = undefined;
    this.#next = newGroup();
    this.#pending.clear();
    this.#calledRevision = this.#revision;
    const fault = error instanceof StoreError ? error : new StoreError('unknown', error.message, { cause: error });
    if (fault.fault === 'unknown' || fault.fault === 'corrupt') {
      // What the disk holds cannot be told from here; only opening it again can.
      this.#ended = fault;
      this.#watchers.close(fault);
    }
    for (const { reject } of failed) reject(fault);
  }

  async #compact(): Promise<void> {
    while (this.#log.compactRevision < this.#compactTarget) {
      this.#checkOpen();
      const step = this.#log.compaction(this.#log.compactRevision, this.#compactTarget, COMPACTION_STEP);
      this.#next.compaction = step;
      await this.#join();
    }
  }

  async #close(): Promise<void> {
    this.#ended ??= new StoreError('closed', 'the store is closed');
    while (this.#current || this.#scheduled) await (this.#current ?? this.#next).done.catch(() => {});
    this.#watchers.close();
    await this.#log.close();
  }

  #checkOpen(): void {
    if (this.#ended) throw this.#ended;
  }
}

function newGroup(): Group {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Each transaction of the group gets the error; a group without transactions has nobody to tell.
  promise.catch(() => {});
  return { writes: [], batches: [], done: promise, resolve, reject };
}
