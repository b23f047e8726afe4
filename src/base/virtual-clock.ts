// A clock that only moves when told to, and a seeded random source. Timers fire in order of time, then of creation; those
// of one instant that were set before it fire together, then all promise continuations run. So a run is a pure function
// of the seed.

import type { Clock, Random, Timer, TimerOptions } from './env.ts';
import { Heap } from './heap.ts';

interface Entry {
  readonly at: number;
  readonly seq: number;
  fn: (() => void) | undefined;
}

const earlier = (a: Entry, b: Entry) => a.at - b.at || a.seq - b.seq;

/** A macrotask: it runs once the microtask queue is empty. setImmediate where there is one (Node), else a timer of 0. */
const nextTask: (fn: () => void) => void =
  typeof setImmediate === 'function' ? (fn) => void setImmediate(fn) : (fn) => void setTimeout(fn, 0);

/** Lets every pending promise continuation run, then resolves. */
export function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => nextTask(resolve));
}

export class VirtualClock implements Clock {
  /** Where timers stand: never goes back. */
  #now: number;
  readonly #start: number;
  /** How far the wall clock has been put forward (back, when negative) since the start. */
  #jumped = 0;
  #seq = 0;
  #cancelled = 0;
  readonly #foreground = new Heap<Entry>(earlier);
  readonly #background = new Heap<Entry>(earlier);

  /** `start` is the first instant, in milliseconds since the epoch. */
  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
    this.#start = start;
  }

  now(): number {
    return this.#now + this.#jumped;
  }

  monotonic(): number {
    return this.#now - this.#start;
  }

  /** `settle` does not wait for timers that are `background` or `unref`. */
  setTimer(ms: number, fn: () => void, options?: TimerOptions): Timer {
    // Whole milliseconds, as on a real clock: jitter must not put the world between two of them.
    const entry: Entry = { at: this.#now + Math.ceil(Math.max(0, ms)), seq: this.#seq++, fn };
    (options?.background || options?.unref ? this.#background : this.#foreground).push(entry);
    return { cancel: () => this.#cancel(entry) };
  }

  /** Most timers never fire: a watchdog over a write, a back-off cut short. Their heap must not fill with them. */
  #cancel(entry: Entry): void {
    if (!entry.fn) return;
    entry.fn = undefined;
    const size = this.#foreground.size + this.#background.size;
    if (++this.#cancelled < 1024 || this.#cancelled * 2 < size) return;
    for (const each of [this.#foreground, this.#background]) each.retain((e) => e.fn !== undefined);
    this.#cancelled = 0;
  }

  /** Puts the wall clock forward or back, as on a machine whose clock is set: timers and `monotonic` know nothing of it. */
  jump(ms: number): void {
    this.#jumped += ms;
  }

  /** The instant of the next foreground timer, as `now` will tell it then; undefined when there is none. */
  nextForeground(): number | undefined {
    const next = first(this.#foreground);
    return next && next.at + this.#jumped;
  }

  /** Moves time to `target`, firing every timer on the way. */
  async advanceTo(target: number): Promise<void> {
    return this.#advanceTo(target - this.#jumped);
  }

  async #advanceTo(target: number): Promise<void> {
    await drainMicrotasks();
    for (let next = this.#next(); next && next.at <= target; next = this.#next()) {
      this.#now = next.at;
      this.#fire(next.at, this.#seq);
      await drainMicrotasks();
    }
    this.#now = Math.max(this.#now, target);
  }

  #next(): Entry | undefined {
    const near = first(this.#foreground);
    const far = first(this.#background);
    return near && (!far || earlier(near, far) < 0) ? near : far;
  }

  /** All timers of an instant that were set before `seq`: what they cause is told to others once, not once for each. */
  #fire(at: number, seq: number): void {
    for (let entry = this.#next(); entry && entry.at === at && entry.seq < seq; entry = this.#next()) {
      const { fn } = entry;
      entry.fn = undefined;
      fn!();
    }
  }

  async advance(ms: number): Promise<void> {
    await this.#advanceTo(this.#now + ms);
  }
}

/** The first timer that has not been cancelled. */
function first(heap: Heap<Entry>): Entry | undefined {
  let entry = heap.peek();
  while (entry && !entry.fn) {
    heap.pop();
    entry = heap.peek();
  }
  return entry;
}

export interface SeededRandom extends Random {
  /** What all further draws follow from: give it to `seededRandom` to draw the same again. */
  state(): readonly number[];
}

/** A small, fast seeded generator (sfc32). Not for secrets. */
export function seededRandom(seed: number, state?: readonly number[]): SeededRandom {
  let [a, b, c, d] = (state ?? [0x9e3779b9 ^ seed, 0x243f6a88, 0xb7e15162, seed | 1]) as [
    number,
    number,
    number,
    number,
  ];
  const step = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return t >>> 0;
  };
  if (!state) for (let i = 0; i < 12; i++) step();
  return {
    state: () => [a, b, c, d],
    next: () => step() / 2 ** 32,
    bytes(n) {
      const out = new Uint8Array(n);
      for (let i = 0; i < n; i += 4) {
        const word = step();
        for (let j = i; j < i + 4 && j < n; j++) out[j] = word >>> (8 * (j - i));
      }
      return out;
    },
  };
}
