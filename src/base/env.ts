// Time, randomness, ids and logging: the only door to the outside world for everything above `base`.
// A component receives an Env and never reaches for globals, so a virtual clock and a seed replay a run to the byte.

import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { onAbort } from './on-abort.ts';
import type { Tracer } from './trace.ts';

/** A pending timer; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the Unix epoch (wall clock: may jump). */
  now(): number;
  /** Milliseconds from an arbitrary start, never going back. Use it for durations and latencies. */
  monotonic(): number;
  /** Runs `fn` once after at least `ms` milliseconds. */
  setTimer(ms: number, fn: () => void, options?: TimerOptions): Timer;
}

export interface TimerOptions {
  /** Nobody's present work: a virtual clock settles without it. A real timer keeps the process alive all the same. */
  readonly background?: boolean;
  /** As `background`, and a process that has nothing else to do ends without waiting for it. */
  readonly unref?: boolean;
}

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** `n` random bytes. */
  bytes(n: number): Uint8Array;
}

export interface Env {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** What components count; absent where nobody reads it. */
  readonly metrics?: Metrics;
  /** Remembers what components did; absent where nobody wants to know. */
  readonly tracer?: Tracer;
}

/** Waits `ms` milliseconds; rejects with the signal's reason when it aborts first. The rest as in `setTimer`. */
export function sleep(
  env: { clock: Clock },
  ms: number,
  options: TimerOptions & { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const timer = env.clock.setTimer(
      ms,
      () => {
        off?.();
        resolve();
      },
      options,
    );
    const off =
      signal &&
      onAbort(signal, () => {
        timer.cancel();
        reject(signal.reason as Error);
      });
  });
}

/** A version 4 UUID (RFC 9562) from the Env's randomness. */
export function uuid(random: Random): string {
  const b = random.bytes(16);
  b[6] = (b[6]! & 0x0f) | 0x40;
  b[8] = (b[8]! & 0x3f) | 0x80;
  const h = (i: number) => HEX[b[i]!]!;
  return (
    `${h(0)}${h(1)}${h(2)}${h(3)}-${h(4)}${h(5)}-${h(6)}${h(7)}-` +
    `${h(8)}${h(9)}-${h(10)}${h(11)}${h(12)}${h(13)}${h(14)}${h(15)}`
  );
}
const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** The consonants and digits Kubernetes uses for generated names: no vowels, so no words; no 0, 1, 3. */
export const SAFE_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** `n` characters of SAFE_ALPHABET, as in `generateName` suffixes. */
export function randomSuffix(random: Random, n = 5): string {
  let out = '';
  for (let i = 0; i < n; i++) out += SAFE_ALPHABET[Math.floor(random.next() * SAFE_ALPHABET.length)];
  return out;
}

let lastSecond = NaN;
let lastText = '';

/** RFC 3339 with whole seconds, the form of `metav1.Time`. */
export function rfc3339(ms: number): string {
  // Most times that are asked for are now: the same second, thousands of times.
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) {
    lastText = new Date(second * 1000).toISOString().slice(0, 19) + 'Z';
    lastSecond = second;
  }
  return lastText;
}

/** RFC 3339 with microseconds, the form of `metav1.MicroTime`. */
export function rfc3339Micro(ms: number): string {
  return new Date(ms).toISOString().slice(0, 23) + '000Z';
}
