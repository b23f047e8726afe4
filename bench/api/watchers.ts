// A hundred watches, and how long events take to reach all of them: written all at once, and one after the other.

import type { H2Client } from './h2-client.ts';
import type { Measured } from './processes.ts';

const WATCHERS = 100;
/** Writes of a round, each of another object: writers of one object would wait for each other. */
export const EVENTS = 100;
const PACE_MS = 20;

export interface Fanned {
  /** Events received, all watchers together, from the first write on. */
  readonly perSecond: number;
  /** Milliseconds from the sending of a write to the arrival of its event, over all watchers. */
  readonly p99: number;
  /** Microseconds of the server's CPU for each event received, its write included. */
  readonly cpuUs: number;
}

export class Watchers {
  /** Called at each event: which of its watch it is, since `reset`. */
  onEvent: (index: number) => void = () => {};
  readonly #counts = Array.from({ length: WATCHERS }, () => 0);

  /** Resolves once every watch has had the events that were there before. */
  static async open(client: H2Client, path: string, initial: number): Promise<Watchers> {
    const watchers = new Watchers();
    let open = 0;
    await new Promise<void>((resolve, reject) => {
      const isOpen = () => {
        if (++open === WATCHERS) resolve();
      };
      for (let i = 0; i < WATCHERS; i++) {
        const stream = client.open(client.sessions[i % client.sessions.length]!, { method: 'GET', path });
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
}

type Write = (n: number) => Promise<void> | void;

async function fan(
  process: Measured,
  watchers: Watchers,
  write: (sent: (n: number) => void) => Promise<void>,
): Promise<Fanned> {
  watchers.reset();
  const sent: number[] = [];
  const delays: number[] = [];
  const cpu = process.cpuMs();
  const began = performance.now();
  const all = new Promise<number>((resolve) => {
    watchers.onEvent = (index) => {
      const now = performance.now();
      delays.push(now - sent[index]!);
      if (delays.length === WATCHERS * EVENTS) resolve(now);
    };
  });
  await write((n) => void (sent[n] = performance.now()));
  const ms = (await all) - began;
  watchers.onEvent = () => {};
  delays.sort((a, b) => a - b);
  return {
    perSecond: (delays.length / ms) * 1000,
    p99: delays[Math.floor(delays.length * 0.99)]!,
    cpuUs: ((process.cpuMs() - cpu) / delays.length) * 1000,
  };
}

/** The writes as quickly as 32 at a time go. */
export function burst(process: Measured, watchers: Watchers, write: Write): Promise<Fanned> {
  return fan(process, watchers, async (sent) => {
    let next = 0;
    const loop = async () => {
      while (next < EVENTS) {
        const n = next++;
        sent(n);
        await write(n);
      }
    };
    await Promise.all(Array.from({ length: 32 }, loop));
  });
}

/** A write every 20 ms. */
export function paced(process: Measured, watchers: Watchers, write: Write): Promise<Fanned> {
  return fan(process, watchers, async (sent) => {
    const began = performance.now();
    for (let n = 0; n < EVENTS; n++) {
      const wait = began + n * PACE_MS - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      sent(n);
      await write(n);
    }
  });
}
