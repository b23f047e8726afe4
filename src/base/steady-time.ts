// Time that only passes. The wall clock of a machine is set now and then; what has to last for so long, or to wait for
// so long, is measured on this scale instead.

import type { Clock } from './env.ts';

/** Milliseconds since the epoch as the wall clock told them when this was made; its jumps since then do not count. */
export class SteadyTime {
  readonly #clock: Clock;
  readonly #offset: number;
  #jumped = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offset = clock.now() - clock.monotonic();
  }

  now(): number {
    return this.#clock.monotonic() + this.#offset;
  }

  /** An instant of the past that the wall clock told, on this scale; never later than now. */
  of(wall: number): number {
    return this.now() - Math.max(0, this.#clock.now() - wall);
  }

  /** How far the wall clock was set since this was asked last, in milliseconds; slow corrections (below 1 s) add up. */
  jump(): number {
    const jumped = this.#clock.now() - this.now();
    const since = jumped - this.#jumped;
    if (Math.abs(since) < 1000) return 0;
    this.#jumped = jumped;
    return since;
  }
}
