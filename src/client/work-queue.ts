// A queue of keys, as in client-go: a key waits at most once, is never worked on twice at the same time, and one added
// while it is being worked on comes back afterwards. `take` it, work, then `done` it.
// https://github.com/kubernetes/client-go/blob/master/util/workqueue/doc.go
//
// Timers: a retry or a wait for something near is work still to be done, so those timers are foreground ones and a
// virtual clock's `settle` runs through them. A distant look (a deadline, a schedule) is `idle`: settling does not wait
// for it, and a real process does not stay alive for it.

import type { Clock, Timer } from '../base/env.ts';

/** What a metrics collector may want to know; times in milliseconds. */
export interface QueueMetrics {
  added?(depth: number): void;
  /** A key left the queue after waiting this long. */
  taken?(depth: number, waited: number): void;
  /** Work on a key ended after this long. */
  done?(worked: number): void;
  retried?(): void;
  /** Called once: `running` gives how long each piece of work under way has taken so far. */
  watch?(running: () => Iterable<number>): void;
  /** The queue is closed. */
  closed?(): void;
}

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** Called when a key becomes available. */
  readonly ready?: () => void;
  readonly metrics?: QueueMetrics;
  /** First and longest pause of `addRateLimited`; 5 ms and 1,000 s, as upstream. */
  readonly firstPause?: number;
  readonly lastPause?: number;
}

interface Delayed {
  readonly at: number;
  readonly timer: Timer;
}

export class WorkQueue<K = string> {
  readonly #clock: Clock;
  readonly #ready: () => void;
  readonly #metrics: QueueMetrics | undefined;
  readonly #firstPause: number;
  readonly #lastPause: number;
  /** Keys in order of arrival from `#head` on: a shift per key would move the whole array. */
  #fifo: K[] = [];
  #head = 0;
  /** Keys that need work, waiting or not yet, each with the revision that asked for it: the last that was news, else the first. */
  readonly #dirty = new Map<K, number>();
  readonly #processing = new Set<K>();
  readonly #failures = new Map<K, number>();
  readonly #soon = new Map<K, Delayed>();
  readonly #idle = new Map<K, Delayed>();
  readonly #since = new Map<K, number>();
  #closed = false;

  constructor(options: WorkQueueOptions) {
    this.#clock = options.clock;
    this.#ready = options.ready ?? (() => {});
    this.#metrics = options.metrics;
    this.#firstPause = options.firstPause ?? 5;
    this.#lastPause = options.lastPause ?? 1_000_000;
    this.#metrics?.watch?.(() => this.#underWay());
  }

  /** Keys waiting now. */
  get depth(): number {
    return this.#fifo.length - this.#head;
  }

  /** Keys taken and not yet done. */
  get processing(): number {
    return this.#processing.size;
  }

  /** `cause`: the revision whose sight asks for it, where one does; negative when it is no news. */
  add(key: K, cause = 0): void {
    if (this.#closed) return;
    if (this.#dirty.has(key)) {
      if (cause > 0) this.#dirty.set(key, cause);
      return;
    }
    this.#dirty.set(key, cause);
    if (this.#metrics) this.#since.set(key, this.#clock.monotonic());
    if (!this.#processing.has(key)) this.#push(key);
    this.#metrics?.added?.(this.depth);
  }

  /** Adds the key after `ms`; the earliest of several such requests counts. `idle`: see above. */
  addAfter(key: K, ms: number, options: { idle?: boolean } = {}): void {
    if (this.#closed) return;
    if (ms <= 0) return this.add(key);
    const delayed = options.idle ? this.#idle : this.#soon;
    const at = this.#clock.monotonic() + ms;
    const pending = delayed.get(key);
    if (pending && pending.at <= at) return;
    pending?.timer.cancel();
    const fire = () => {
      delayed.delete(key);
      this.add(key);
    };
    delayed.set(key, { at, timer: this.#clock.setTimer(ms, fire, { unref: options.idle ?? false }) });
  }

  /** Adds the key after a pause that doubles with each call until `forget`. */
  addRateLimited(key: K): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#metrics?.retried?.();
    this.addAfter(key, Math.min(this.#firstPause * 2 ** failures, this.#lastPause));
  }

  /** How often `addRateLimited` was called since the last `forget`. */
  retries(key: K): number {
    return this.#failures.get(key) ?? 0;
  }

  forget(key: K): void {
    this.#failures.delete(key);
  }

  /** The revision that asked for the key taken last, or 0. */
  cause = 0;

  /** The next key, now being worked on until `done`; undefined when none waits. */
  take(): K | undefined {
    if (this.depth === 0) return undefined;
    const key = this.#fifo[this.#head++]!;
    if (this.#head === this.#fifo.length) {
      this.#fifo = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#fifo.length) {
      this.#fifo = this.#fifo.slice(this.#head);
      this.#head = 0;
    }
    this.cause = Math.abs(this.#dirty.get(key) ?? 0);
    this.#dirty.delete(key);
    this.#processing.add(key);
    if (this.#metrics) {
      const now = this.#clock.monotonic();
      this.#metrics.taken?.(this.depth, now - (this.#since.get(key) ?? now));
      this.#since.delete(key);
      this.#started.set(key, now);
    }
    return key;
  }

  /** Ends the work on a key. If it was added meanwhile, it waits again. */
  done(key: K): void {
    if (!this.#processing.delete(key)) return;
    if (this.#metrics) {
      const now = this.#clock.monotonic();
      this.#metrics.done?.(now - (this.#started.get(key) ?? now));
      this.#started.delete(key);
    }
    if (this.#dirty.has(key)) this.#push(key);
  }
  readonly #started = new Map<K, number>();

  *#underWay(): Generator<number> {
    const now = this.#clock.monotonic();
    for (const began of this.#started.values()) yield now - began;
  }

  /** Drops all that waits, now and later. Keys being worked on may still be `done`. */
  close(): void {
    this.#closed = true;
    this.#metrics?.closed?.();
    this.#fifo = [];
    this.#head = 0;
    this.#dirty.clear();
    for (const delayed of [this.#soon, this.#idle]) {
      for (const { timer } of delayed.values()) timer.cancel();
      delayed.clear();
    }
  }

  #push(key: K): void {
    this.#fifo.push(key);
    this.#ready();
  }
}
