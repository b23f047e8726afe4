// The store as a disk gives it: a write takes its time, is acknowledged when it is durable, and a crash takes away what
// was not yet. Readers and watchers see what is durable and nothing else.

import type { Clock } from '../../src/base/env.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import {
  StoreError,
  type Compare,
  type Mutation,
  type Store,
  type TxnResult,
  type Watcher,
} from '../../src/store/store.ts';

/** A disk that outlives the processes which open it. */
export interface Disk {
  /** What is durable: what a process started now would find. */
  readonly durable: MemoryStore;
  /** A process opens it. */
  open(): Store;
  /** The process that has it open dies; `kept` of its unsynced writes, the oldest first, had reached the disk. */
  crash(kept: number): void;
}

interface Pending {
  readonly compares: readonly Compare[];
  readonly mutations: readonly Mutation[];
  resolve(result: TxnResult): void;
  reject(error: Error): void;
}

export class SimulatedDisk implements Disk {
  readonly durable: MemoryStore;
  readonly #clock: Clock;
  readonly #sync: number;
  #handle: Handle | undefined;

  /** `sync`: milliseconds from a write to its durability; writes that wait become durable together. */
  constructor(durable: MemoryStore, clock: Clock, sync: number) {
    this.durable = durable;
    this.#clock = clock;
    this.#sync = sync;
  }

  open(): Store {
    if (this.#handle) throw new Error('the disk is open already');
    this.#handle = new Handle(this.durable, this.#clock, this.#sync);
    return this.#handle;
  }

  crash(kept: number): void {
    this.#handle?.crash(kept);
    this.#handle = undefined;
  }
}

class Handle implements Store {
  readonly #durable: MemoryStore;
  readonly #clock: Clock;
  readonly #sync: number;
  readonly #watches = new Set<{ readonly watcher: Watcher; stop(): void }>();
  #pending: Pending[] = [];
  #syncing = false;
  #closed = false;

  constructor(durable: MemoryStore, clock: Clock, sync: number) {
    this.#durable = durable;
    this.#clock = clock;
    this.#sync = sync;
  }

  get revision() {
    return this.#durable.revision;
  }
  get compactRevision() {
    return this.#durable.compactRevision;
  }
  async get(key: string) {
    this.#check();
    return this.#durable.get(key);
  }
  async list(prefix: string) {
    this.#check();
    return this.#durable.list(prefix);
  }
  async compact(revision: number) {
    this.#check();
    return this.#durable.compact(revision);
  }

  watch(prefix: string, after: number, watcher: Watcher): { stop(): void } {
    this.#check();
    const { stop } = this.#durable.watch(prefix, after, watcher);
    const watch = { watcher, stop };
    this.#watches.add(watch);
    return {
      stop: () => {
        this.#watches.delete(watch);
        stop();
      },
    };
  }

  async txn(compares: readonly Compare[], mutations: readonly Mutation[]): Promise<TxnResult> {
    this.#check();
    if (this.#sync === 0) return this.#durable.txn(compares, mutations);
    return new Promise((resolve, reject) => {
      this.#pending.push({ compares, mutations, resolve, reject });
      if (this.#syncing) return;
      this.#syncing = true;
      this.#clock.setTimer(this.#sync, () => this.#flush());
    });
  }

  crash(kept: number): void {
    const lost = this.#pending.splice(0);
    this.#closed = true;
    for (const { watcher, stop } of this.#watches) {
      stop();
      watcher.closed(new StoreError('closed', 'the process died'));
    }
    this.#watches.clear();
    lost.forEach((write, index) => {
      if (index < kept) this.#durable.txn(write.compares, write.mutations).catch(write.reject);
      write.reject(new StoreError('unknown', 'the process died'));
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #flush(): void {
    this.#syncing = false;
    for (const { compares, mutations, resolve, reject } of this.#pending.splice(0)) {
      this.#durable.txn(compares, mutations).then(resolve, reject);
    }
  }

  #check(): void {
    if (this.#closed) throw new StoreError('closed', 'the store is closed');
  }
}
