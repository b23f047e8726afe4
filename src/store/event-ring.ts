// The most recent events in order of revision, at most about `capacity` of them, and from which revision on they are complete.

export class EventRing<E extends { readonly revision: number }> {
  #events: E[] = [];
  #start = 0;
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** All events after this revision are here. */
  get start(): number {
    return this.#start;
  }

  /** Begins anew with these events, all there were after revision `start`. */
  reset(start: number, events: E[] = []): void {
    this.#start = start;
    this.#events = events;
    this.#trim(this.#capacity);
  }

  push(event: E): void {
    this.#events.push(event);
    // In strides, since dropping from the front moves the rest.
    this.#trim(this.#capacity * 1.25);
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

  #trim(most: number): void {
    if (this.#events.length <= most) return;
    const dropped = this.#events.splice(0, this.#events.length - this.#capacity);
    this.#start = dropped.at(-1)!.revision;
  }
}
