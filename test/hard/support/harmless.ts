// Attacks on a server, and the proof that they harmed nobody: somebody else is answered meanwhile, what the server holds
// afterwards is what it held before, and its memory never went beyond a bound.

import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { ApiClient } from './api-client.ts';
import type { ServerChild } from './server-child.ts';

const MEGABYTE = 2 ** 20;

export interface Bounds {
  /** Megabytes of objects and buffers kept afterwards. 15 unless told. */
  readonly kept?: number;
  /**
   * Megabytes of the process at its worst since its start. 800 unless told: a bare TLS server of Node's takes 510 for
   * thousands of connections, and the allocator keeps them, so that resident memory afterwards tells of no leak.
   */
  readonly peak?: number;
  /** Milliseconds anybody else waits. 2,500 unless told. */
  readonly slowest?: number;
}

/** Runs the attack while `bystander` reads `path` again and again. */
export async function harmless(
  target: { readonly server: ServerChild; readonly bystander: ApiClient; readonly path: string },
  attack: () => Promise<unknown>,
  { kept = 15, peak = 800, slowest = 2500 }: Bounds = {},
): Promise<void> {
  const { server, bystander, path } = target;
  const before = held(await server.memory());
  const over = new AbortController();
  const used = useUntil(over.signal, bystander, path);
  try {
    await Promise.race([attack(), used]);
  } finally {
    over.abort();
  }
  expect(await used, 'the longest a bystander waited, ms').toBeLessThan(slowest);
  // Connections that were closed just now are taken leave of a moment later.
  let grown = 0;
  for (let i = 0; i < 20; i++) {
    grown = (held(await server.memory()) - before) / MEGABYTE;
    if (grown < kept) break;
    await delay(100);
  }
  expect(grown, 'megabytes kept').toBeLessThan(kept);
  expect(peakOf(server.pid), 'megabytes at worst').toBeLessThan(peak);
}

/** Resolves to the longest wait, in milliseconds. */
async function useUntil(signal: AbortSignal, client: ApiClient, path: string): Promise<number> {
  let worst = 0;
  while (!signal.aborted) {
    const began = performance.now();
    await client.ok('GET', path, undefined, { timeout: 10_000 });
    worst = Math.max(worst, performance.now() - began);
    await delay(20);
  }
  return worst;
}

const held = ({ heapUsed, external }: NodeJS.MemoryUsage) => heapUsed + external;

function peakOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}
