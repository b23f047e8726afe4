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

export const realRandom: Random = {
  next: () => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32,
  bytes: (n) => crypto.getRandomValues(new Uint8Array(n)),
};

export function realEnv(log: Logger = silentLogger): Env {
  return { clock: realClock, random: realRandom, log };
}
