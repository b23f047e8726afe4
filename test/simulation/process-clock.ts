// The clock of one process: it runs a little fast or slow, is set a little wrong, and its timers wait while the process is
// stopped (as by SIGSTOP) or never fire again once it is dead.

import type { Clock, Timer } from '../../src/base/env.ts';

/** How wrong a clock is. */
export interface Drift {
  /** Milliseconds that its wall clock is ahead. */
  readonly offset: number;
  /** Its seconds for one of the world's. */
  readonly rate: number;
}

export const EXACT: Drift = { offset: 0, rate: 1 };

export class ProcessClock implements Clock {
  readonly #world: Clock;
  readonly #drift: Drift;
  readonly #began: number;
  #dead = false;
  #waiting: (() => void)[] | undefined;

  constructor(world: Clock, drift: Drift = EXACT) {
    this.#world = world;
    this.#drift = drift;
    this.#began = world.now();
  }

  now(): number {
    const { offset, rate } = this.#drift;
    return Math.floor(this.#began + offset + (this.#world.now() - this.#began) * rate);
  }

  monotonic(): number {
    return this.#world.monotonic() * this.#drift.rate;
  }

  setTimer(ms: number, fn: () => void, options?: { unref?: boolean }): Timer {
    let cancelled = false;
    const timer = this.#world.setTimer(
      ms / this.#drift.rate,
      () =>
        this.whenRunning(() => {
          if (!cancelled) fn();
        }),
      options,
    );
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** Now, or when the process goes on, or never when it is dead. */
  whenRunning(fn: () => void): void {
    if (this.#dead) return;
    if (this.#waiting) this.#waiting.push(fn);
    else fn();
  }

  get stopped(): boolean {
    return this.#waiting !== undefined;
  }

  stop(): void {
    this.#waiting ??= [];
  }

  goOn(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const fn of waiting) this.whenRunning(fn);
  }

  kill(): void {
    this.#dead = true;
    this.#waiting = undefined;
  }
}
