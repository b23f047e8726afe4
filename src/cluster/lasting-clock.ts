// The clock that programs of a test see while their cluster goes back to earlier moments: each moment has a clock of its own,
// and timers that were set before go on with what was left of them.

import type { Clock, Timer, TimerOptions } from '../base/env.ts';

interface Pending {
  readonly fn: () => void;
  readonly options: TimerOptions | undefined;
  /** By this clock's `monotonic`. */
  readonly due: number;
  timer: Timer | undefined;
}

export class LastingClock implements Clock {
  #clock: Clock;
  /** So that `monotonic` does not go back with the time of day. */
  #ahead = 0;
  readonly #pending = new Set<Pending>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonic(): number {
    return this.#clock.monotonic() + this.#ahead;
  }

  setTimer(ms: number, fn: () => void, options?: TimerOptions): Timer {
    const pending: Pending = { fn, options, due: this.monotonic() + ms, timer: undefined };
    this.#pending.add(pending);
    this.#arm(pending, ms);
    return {
      cancel: () => {
        this.#pending.delete(pending);
        pending.timer?.cancel();
      },
    };
  }

  #arm(pending: Pending, ms: number): void {
    const fire = () => {
      this.#pending.delete(pending);
      pending.fn();
    };
    pending.timer = this.#clock.setTimer(ms, fire, pending.options);
  }

  /** Goes on by another clock. */
  follow(clock: Clock): void {
    const now = this.monotonic();
    for (const { timer } of this.#pending) timer?.cancel();
    this.#clock = clock;
    this.#ahead = now - clock.monotonic();
    for (const pending of this.#pending) this.#arm(pending, Math.max(0, pending.due - now));
  }
}
