// The cluster store: a revisioned key-value log with watch. Values are opaque; the store never looks inside.
// Implementations: memory (here), disk and etcd (host/). `store-suite.ts` is the contract as tests, run on each.
// The model is etcd's: https://etcd.io/docs/v3.5/learning/data_model/

/**
 * An opaque value. Memory keeps the reference; disk reads `text` or `bytes` once, when it writes, and gives values whose `bytes` it
 * reads whenever asked: that throws StoreError once the entry is replaced and compacted, or the store closed.
 */
export interface Value {
  readonly bytes: Uint8Array;
  /** The same as text, where that is what is at hand: the bytes are its UTF-8. */
  readonly text?: string;
}

export interface Entry {
  readonly key: string;
  readonly value: Value;
  /** The revision of the write that put this value. */
  readonly revision: number;
  /** The revision of the write that created the key. */
  readonly createRevision: number;
}

/** True when the key's last write has this revision; 0 means the key does not exist. */
export interface Compare {
  readonly key: string;
  readonly revision: number;
}

export type Mutation = { readonly put: string; readonly value: Value } | { readonly delete: string };

export interface TxnResult {
  /** False when a comparison failed: nothing was written. */
  readonly ok: boolean;
  /** The revision of this write, or of the store as it stood when the comparison failed. */
  readonly revision: number;
  /** The entries of the compared keys as they stood, when a comparison failed. */
  readonly current: readonly (Entry | undefined)[];
}

export interface StoreEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly revision: number;
  /** For put: the new entry. */
  readonly entry?: Entry;
  /** What the key held before this write, if it held anything. */
  readonly previous?: Entry;
}

export interface Watcher {
  /** All events of one revision come in one batch; batches come in order without gaps. Must not throw. */
  events(batch: readonly StoreEvent[]): void;
  /** The watch ended: the store was closed, or lost. */
  closed(error?: Error): void;
}

export interface Store {
  /** The revision of the latest durable write; 1 in a new store. */
  readonly revision: number;
  /** Where others write to the same store: the revision of the latest write by anybody. Absent where `revision` is that. */
  latest?(): Promise<number>;
  get(key: string): Promise<Entry | undefined>;
  /** All entries whose key starts with `prefix`, in key order, as of one revision. */
  list(prefix: string): Promise<{ readonly revision: number; readonly entries: readonly Entry[] }>;
  /**
   * Applies all mutations at one new revision if every comparison holds. Resolves once the write is durable.
   * Writes are atomic and totally ordered; a reader or watcher never sees a write that is not durable.
   * Rejects with StoreError `full`, `readonly`, `corrupt` or `closed` when nothing was written, `unknown` when that cannot be told.
   * `submitted` hears of the revision before any watcher sees the write, where the store knows it then.
   */
  txn(
    compares: readonly Compare[],
    mutations: readonly Mutation[],
    submitted?: (revision: number) => void,
  ): Promise<TxnResult>;
  /** Delivers every event of keys with `prefix` after revision `after`. Throws StoreError `compacted` when history does not reach back that far. */
  watch(prefix: string, after: number, watcher: Watcher): { stop(): void };
  /** Forgets history up to and including `revision`; current values stay. */
  compact(revision: number): Promise<void>;
  /** The oldest revision a watch may start after. */
  readonly compactRevision: number;
  /** Bytes it takes on disk, where it is on one. */
  diskBytes?(): number;
  close(): Promise<void>;
}

export type StoreFault = 'compacted' | 'closed' | 'full' | 'readonly' | 'corrupt' | 'unknown';

export class StoreError extends Error {
  readonly fault: StoreFault;
  constructor(fault: StoreFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.fault = fault;
  }
}
