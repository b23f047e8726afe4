// The Env of a real process: the machine's clock and the Web Crypto random source (present in Node and in browsers).

import type { Clock, Env, Random } from './env.ts';
import { silentLogger, type Logger } from './log.ts';

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(ms, fn, options) {
    const handle = setTimeout(fn, Math.min(ms, 0x7fffffff));
    if (options?.unref) (handle as { unref?: () => void }).unref?.();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Random bytes are drawn in blocks: a call per value costs more than all the rest of creating an object. */
const block = new Uint8Array(16_384);
let used = block.length;

function take(n: number): Uint8Array {
  if (n > 1024) return crypto.getRandomValues(new Uint8Array(n));
  if (used + n > block.length) {
    crypto.getRandomValues(block);
    used = 0;
  }
  const bytes = block.slice(used, used + n);
  // Nothing that has been handed out stays behind.
  block.fill(0, used, used + n);
  used += n;
  return bytes;
}

export const realRandom: Random = {
  next() {
    const [a, b, c, d] = take(4);
    return (((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0) / 2 ** 32;
  },
  bytes: take,
};

export function realEnv(log: Logger = silentLogger): Env {
  return { clock: realClock, random: realRandom, log };
}
