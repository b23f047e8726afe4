// The watches of one watch cache: finds those that an event concerns by a few look-ups, however many there are, and
// tells each watch every event once and in order, also when it writes, watches or stops while it is told.

import type { EventRing } from './event-ring.ts';
import { StoreError } from './store.ts';
import type { CacheEvent, CacheSink } from './watch-cache.ts';

interface Sink<T> {
  readonly target: string;
  readonly indexed: string | undefined;
  readonly sink: CacheSink<T>;
  /** The least revision this sink has not been told of; infinite while it is brought up to the present. */
  next: number;
  active: boolean;
}

/** True when a key lies in a scope (see watch-cache.ts). */
export const inScope = (scope: string, key: string) => (scope.endsWith('/') ? key.startsWith(scope) : key === scope);

export class CacheWatches<T> {
  readonly #prefix: string;
  readonly #ring: EventRing<CacheEvent<T>>;
  readonly #indexOf: ((object: T) => string | undefined) | undefined;
  /** Events told to watches so far. */
  told = 0;
  /** By scope, or by scope and index value. */
  readonly #sinks = new Map<string, Set<Sink<T>>>();

  constructor(prefix: string, ring: EventRing<CacheEvent<T>>, indexOf?: (object: T) => string | undefined) {
    this.#prefix = prefix;
    this.#ring = ring;
    this.#indexOf = indexOf;
  }

  /** Replays what the ring has after revision `after`, then follows; `revision` gives that of the cache. */
  add(
    scope: string,
    after: number,
    indexed: string | undefined,
    revision: () => number,
    sink: CacheSink<T>,
  ): { stop(): void } {
    const target = indexed === undefined ? scope : `${scope}\0${indexed}`;
    const entry: Sink<T> = { target, indexed, sink, next: Infinity, active: true };
    const group = this.#sinks.get(target);
    if (group) group.add(entry);
    else this.#sinks.set(target, new Set([entry]));
    this.#replay(scope, after, entry, revision);
    return { stop: () => this.#drop(entry) };
  }

  /** Watches under way. */
  get size(): number {
    let n = 0;
    for (const group of this.#sinks.values()) n += group.size;
    return n;
  }

  /** Tells the events of one revision. */
  deliver(batch: readonly CacheEvent<T>[]): void {
    if (this.#sinks.size === 0) return;
    if (batch.length === 1) {
      this.#eachSinkOf(batch[0]!, (sink) => this.#tell(sink, batch));
      return;
    }
    const parts = new Map<Sink<T>, CacheEvent<T>[]>();
    for (const event of batch) {
      this.#eachSinkOf(event, (sink) => {
        const part = parts.get(sink);
        if (part) part.push(event);
        else parts.set(sink, [event]);
      });
    }
    for (const [sink, part] of parts) this.#tell(sink, part);
  }

  close(error: Error | undefined): void {
    const entries = [...this.#sinks.values()].flatMap((group) => [...group]);
    this.#sinks.clear();
    for (const entry of entries) {
      entry.active = false;
      entry.sink.closed(error);
    }
  }

  /** Brings a new sink from revision `after` to the present, also when writes happen within its calls. */
  #replay(scope: string, after: number, entry: Sink<T>, revision: () => number): void {
    let from = after;
    for (let events = this.#ring.after(from); events.length > 0; events = this.#ring.after(from)) {
      from = events.at(-1)!.revision;
      const mine = events.filter((event) => inScope(scope, event.key) && this.#hasIndex(event, entry.indexed));
      for (let i = 0; i < mine.length;) {
        let end = i + 1;
        while (end < mine.length && mine[end]!.revision === mine[i]!.revision) end++;
        if (!this.#call(entry, mine.slice(i, end))) return;
        i = end;
      }
      if (from < this.#ring.start) return this.#fail(entry, new StoreError('compacted', 'overtaken by history'));
    }
    entry.next = Math.max(after, revision()) + 1;
  }

  #hasIndex(event: CacheEvent<T>, indexed: string | undefined): boolean {
    if (indexed === undefined) return true;
    const { object, previous } = event;
    return (
      (object !== undefined && this.#indexOf?.(object) === indexed) ||
      (previous !== undefined && this.#indexOf?.(previous) === indexed)
    );
  }

  /** Every sink whose scope and index value cover the event: a few look-ups, however many sinks there are. */
  #eachSinkOf(event: CacheEvent<T>, tell: (sink: Sink<T>) => void): void {
    const { key, object, previous } = event;
    const now = object === undefined ? undefined : this.#indexOf?.(object);
    const before = previous === undefined ? undefined : this.#indexOf?.(previous);
    const visit = (scope: string) => {
      this.#sinks.get(scope)?.forEach(tell);
      if (now !== undefined) this.#sinks.get(`${scope}\0${now}`)?.forEach(tell);
      if (before !== undefined && before !== now) this.#sinks.get(`${scope}\0${before}`)?.forEach(tell);
    };
    for (let end = this.#prefix.length; end > 0; end = key.indexOf('/', end) + 1) visit(key.slice(0, end));
    visit(key);
  }

  #tell(entry: Sink<T>, batch: readonly CacheEvent<T>[]): void {
    const { revision } = batch[0]!;
    if (revision < entry.next || !entry.active) return;
    entry.next = revision + 1;
    this.#call(entry, batch);
  }

  /** False when the sink is gone. */
  #call(entry: Sink<T>, batch: readonly CacheEvent<T>[]): boolean {
    this.told += batch.length;
    try {
      entry.sink.events(batch);
    } catch (error) {
      // A sink must not throw. One that does has lost its place; the others are not to blame.
      this.#fail(entry, error as Error);
    }
    return entry.active;
  }

  #fail(entry: Sink<T>, error: Error): void {
    if (!entry.active) return;
    this.#drop(entry);
    entry.sink.closed(error);
  }

  #drop(entry: Sink<T>): void {
    entry.active = false;
    const group = this.#sinks.get(entry.target);
    group?.delete(entry);
    if (group?.size === 0) this.#sinks.delete(entry.target);
  }
}
