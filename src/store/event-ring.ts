// The most recent events in order of revision, at most about `capacity` of them, and from which revision on they are
// complete. Few large ones are as much as many small ones: they may also weigh `budget` together, about.

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

  /** Begins anew with these events, all there were after revision `start`. */
  reset(start: number, events: E[] = []): void {
    this.#start = start;
    this.#events = events;
    this.#weights = this.#weigh ? events.map(this.#weigh) : [];
    this.#weight = this.#weights.reduce((sum, weight) => sum + weight, 0);
    this.#trim(1);
  }

  push(event: E): void {
    this.#events.push(event);
    if (this.#weigh) {
      const weight = this.#weigh(event);
      this.#weights.push(weight);
      this.#weight += weight;
    }
    // In strides, since dropping from the front moves the rest.
    this.#trim(1.25);
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

  /** Drops what is too much, once it is `slack` times what may be. The events of one revision stay together or go. */
  #trim(slack: number): void {
    const { length } = this.#events;
    if (length <= this.#capacity * slack && this.#weight <= this.#budget * slack) return;
    let count = Math.max(0, length - this.#capacity);
    let dropped = 0;
    for (let i = 0; i < count; i++) dropped += this.#weights[i] ?? 0;
    while (count < length - 1 && this.#weight - dropped > this.#budget) dropped += this.#weights[count++] ?? 0;
    if (count === 0) return;
    this.#start = this.#events[count - 1]!.revision;
    while (count < length && this.#events[count]!.revision === this.#start) dropped += this.#weights[count++] ?? 0;
    this.#events.splice(0, count);
    this.#weights.splice(0, count);
    this.#weight -= dropped;
  }
}
