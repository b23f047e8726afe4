// The most recent events in order of revision, at most about `capacity` of them, and from which revision on they are
// complete. Few large ones are as much as many small ones: they may also weigh `budget` together, about.

/** So many times what may be is there before some of it is dropped. */
const SLACK = 1.25;

export class EventRing<E extends { readonly revision: number }> {
  #events: E[] = [];
  #start = 0;
  /** Of each event; empty without a budget. */
  #weights: number[] = [];
  #weight = 0;
  readonly #capacity: number;
  readonly #budget: number;
  readonly #weigh: ((event: E) => number) | undefined;

  constructor(capacity: number, limit?: { readonly budget: number; weigh(event: E): number }) {
    this.#capacity = capacity;
    this.#budget = limit?.budget ?? Infinity;
    this.#weigh = limit && ((event) => limit.weigh(event));
  }

  /** All events after this revision are here. */
  get start(): number {
    return this.#start;
  }

  /** Begins anew, empty, at revision `start`. */
  reset(start: number): void {
    this.#start = start;
    this.#events = [];
    this.#weights = [];
    this.#weight = 0;
  }

  push(event: E): void {
    this.#events.push(event);
    if (this.#weigh) {
      const weight = this.#weigh(event);
      this.#weights.push(weight);
      this.#weight += weight;
    }
    this.#trim();
  }

  /** The events after `revision`, which is not before `start`. */
  after(revision: number): readonly E[] {
    const last = this.#events.at(-1);
    if (!last || last.revision <= revision) return [];
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#events[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low);
  }

  /** Drops what is too much: in strides, since dropping from the front moves the rest. */
  #trim(): void {
    const { length } = this.#events;
    if (length <= this.#capacity * SLACK && this.#weight <= this.#budget * SLACK) return;
    let count = Math.max(0, length - this.#capacity);
    let dropped = 0;
    for (let i = 0; i < count; i++) dropped += this.#weights[i] ?? 0;
    while (count < length - 1 && this.#weight - dropped > this.#budget) dropped += this.#weights[count++] ?? 0;
    this.#drop(count, dropped);
  }

  /** Drops what happened up to and including `revision`, but for the last `least` events. */
  forget(revision: number, least: number): void {
    const most = this.#events.length - least;
    let count = 0;
    let dropped = 0;
    while (count < most && this.#events[count]!.revision <= revision) dropped += this.#weights[count++] ?? 0;
    this.#drop(count, dropped);
  }

  /** Drops the first `count` events, of this weight together, and those of the same revision as the last of them. */
  #drop(count: number, weight: number): void {
    if (count <= 0) return;
    const { length } = this.#events;
    let dropped = weight;
    let end = count;
    this.#start = this.#events[end - 1]!.revision;
    while (end < length && this.#events[end]!.revision === this.#start) dropped += this.#weights[end++] ?? 0;
    this.#events.splice(0, end);
    this.#weights.splice(0, end);
    this.#weight -= dropped;
  }
}
