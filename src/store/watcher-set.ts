// The watchers of a store: who is told of which revision, each exactly once and in order, also when a watcher
// writes, watches or stops while it is being told.

import type { StoreEvent, Watcher } from './store.ts';

interface Watch {
  readonly prefix: string;
  readonly watcher: Watcher;
  /** The least revision this watcher has not been told of. */
  next: number;
  active: boolean;
}

type Batch = readonly StoreEvent[];

export class WatcherSet {
  readonly #watches = new Set<Watch>();
  #queue: Batch[] = [];
  #delivering = false;

  /**
   * Adds a watcher that wants all after revision `after`: replays `history` (batches after `after`, up to and including
   * the store's `revision`) at once, then all that is delivered.
   */
  add(prefix: string, after: number, revision: number, history: Iterable<Batch>, watcher: Watcher): { stop(): void } {
    const watch: Watch = { prefix, watcher, next: Math.max(after, revision) + 1, active: true };
    this.#watches.add(watch);
    this.#exclusively(() => {
      for (const batch of history) {
        if (!watch.active) break;
        this.#tell(watch, batch);
      }
    });
    return { stop: () => this.#remove(watch) };
  }

  /** Tells everyone. A batch that comes while another is being told waits its turn, within the outer call. */
  deliver(batch: Batch): void {
    if (this.#watches.size === 0) return;
    if (this.#delivering) this.#queue.push(batch);
    else this.#exclusively(() => this.#deliverOne(batch));
  }

  /** Ends every watch. */
  close(error?: Error): void {
    const watches = [...this.#watches];
    this.#watches.clear();
    this.#queue = [];
    for (const watch of watches) {
      watch.active = false;
      watch.watcher.closed(error);
    }
  }

  /** Runs `tell`, then tells what was written meanwhile; at once when a call further out does that. */
  #exclusively(tell: () => void): void {
    if (this.#delivering) return tell();
    this.#delivering = true;
    tell();
    for (let i = 0; i < this.#queue.length; i++) this.#deliverOne(this.#queue[i]!);
    if (this.#queue.length > 0) this.#queue = [];
    this.#delivering = false;
  }

  #deliverOne(batch: Batch): void {
    const { revision } = batch[0]!;
    for (const watch of this.#watches) {
      if (revision < watch.next) continue;
      watch.next = revision + 1;
      this.#tell(watch, batch);
    }
  }

  #tell(watch: Watch, batch: Batch): void {
    const { prefix } = watch;
    const mine = prefix === '' ? batch : batch.filter((event) => event.key.startsWith(prefix));
    if (mine.length === 0) return;
    try {
      watch.watcher.events(mine);
    } catch (error) {
      // A watcher must not throw. One that does has lost its place; the others and the writer are not to blame.
      if (this.#remove(watch)) watch.watcher.closed(error as Error);
    }
  }

  #remove(watch: Watch): boolean {
    watch.active = false;
    return this.#watches.delete(watch);
  }
}
