// A hundred watches, and how long events take to reach all of them: written all at once, one after the other, at a pace.

import type { H2Client } from './h2-client.ts';
import type { Measured } from './processes.ts';
import { percentile } from './report.ts';

const WATCHERS = 100;
/** Writes of a round, each of another object. */
export const EVENTS = 100;
const AT_ONCE = 32;
const PACE_MS = 20;

export interface Fanned {
  /** Events received, all watchers together, from the first write on. */
  readonly perSecond: number;
  /** Milliseconds from the sending of a write to the arrival of its event, over all watchers. */
  readonly p50: number;
  readonly p99: number;
  /** The same from the answer to the write on; 0 for what arrives before it. */
  readonly p99Answered: number;
  /** Microseconds of the server's CPU for each event received, its write included. */
  readonly cpuUs: number;
}

export class Watchers {
  /** Called at each event: which of its watch it is, since `reset`. */
  onEvent: (index: number) => void = () => {};
  readonly #counts = Array.from({ length: WATCHERS }, () => 0);
  readonly #end = new AbortController();

  /** Resolves once every watch has had the events that were there before. All watches go over the client's connections in turn. */
  static async open(client: H2Client, path: string, initial: number): Promise<Watchers> {
    const watchers = new Watchers();
    let open = 0;
    await new Promise<void>((resolve, reject) => {
      const isOpen = () => {
        if (++open === WATCHERS) resolve();
      };
      for (let i = 0; i < WATCHERS; i++) {
        const stream = client.open(client.sessions[i % client.sessions.length]!, { method: 'GET', path });
        watchers.#end.signal.addEventListener('abort', () => stream.close());
        let skip = initial;
        stream.on('error', reject);
        stream.once('response', () => void (initial === 0 && isOpen()));
        stream.on('data', (chunk: Buffer) => {
          for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) {
            if (skip === 0) watchers.onEvent(watchers.#counts[i]!++);
            else if (--skip === 0) isOpen();
          }
        });
      }
    });
    return watchers;
  }

  reset(): void {
    this.#counts.fill(0);
  }

  close(): void {
    this.#end.abort();
  }
}

/** Writes the object of this number; resolves when it is answered. */
export type Write = (n: number) => Promise<void>;
/** Makes all writes, in the order of their numbers. */
type Rhythm = (write: Write) => Promise<void>;

export async function fan(process: Measured, watchers: Watchers, write: Write, rhythm: Rhythm): Promise<Fanned> {
  watchers.reset();
  const sent: number[] = [];
  const answered: number[] = [];
  const arrived: { readonly index: number; readonly at: number }[] = [];
  const cpu = process.cpuMs();
  const began = performance.now();
  const all = new Promise<number>((resolve) => {
    watchers.onEvent = (index) => {
      const at = performance.now();
      if (arrived.push({ index, at }) === WATCHERS * EVENTS) resolve(at);
    };
  });
  await rhythm(async (n) => {
    sent[n] = performance.now();
    await write(n);
    answered[n] = performance.now();
  });
  const ms = (await all) - began;
  watchers.onEvent = () => {};
  const delays = arrived.map(({ index, at }) => at - sent[index]!);
  return {
    perSecond: (arrived.length / ms) * 1000,
    p50: percentile(delays, 0.5),
    p99: percentile(delays, 0.99),
    p99Answered: percentile(
      arrived.map(({ index, at }) => Math.max(0, at - answered[index]!)),
      0.99,
    ),
    cpuUs: ((process.cpuMs() - cpu) / arrived.length) * 1000,
  };
}

/** As quickly as 32 at a time go. */
export const allAtOnce: Rhythm = async (write) => {
  let next = 0;
  const loop = async () => {
    while (next < EVENTS) await write(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
};

/** Each when the one before it is answered. */
export const oneByOne: Rhythm = async (write) => {
  for (let n = 0; n < EVENTS; n++) await write(n);
};

/** One every 20 ms. */
export const atAPace: Rhythm = async (write) => {
  const began = performance.now();
  for (let n = 0; n < EVENTS; n++) {
    const wait = began + n * PACE_MS - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    await write(n);
  }
};
