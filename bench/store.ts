// Durable writes of 2 KB by 1, 16 and 256 concurrent writers: the disk store against bare LMDB puts with fsync, measured
// in turns in one run. The store also compares, keeps history and tells a watcher. `node bench/store.ts [directory]`

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { LmdbStore } from '../src/host/lmdb-store.ts';
import { MemoryStore } from '../src/store/memory-store.ts';
import type { Store } from '../src/store/store.ts';

const ROUNDS = 3;
const ROUND_MS = 700;
const bytes = new Uint8Array(2048).fill(7);

interface Result {
  perSecond: number;
  p99: number;
}

/** Runs `writers` loops of `write(n)` for a while. */
async function measure(writers: number, write: (n: number) => Promise<unknown>): Promise<Result> {
  const latencies: number[] = [];
  const start = performance.now();
  let n = 0;
  const loop = async () => {
    for (let now = performance.now(); now < start + ROUND_MS;) {
      await write(n++);
      const then = now;
      now = performance.now();
      latencies.push(now - then);
    }
  };
  await Promise.all(Array.from({ length: writers }, loop));
  const seconds = (performance.now() - start) / 1000;
  latencies.sort((a, b) => a - b);
  return { perSecond: n / seconds, p99: latencies[Math.floor(latencies.length * 0.99)]! };
}

async function bareLmdb(directory: string, writers: number): Promise<Result> {
  const db = open({
    path: directory,
    noSubdir: false,
    encoding: 'binary',
    overlappingSync: false,
    mapSize: 4 * 2 ** 30,
  });
  const result = await measure(writers, (n) => db.put(`/registry/core/configmaps/default/cm-${n}`, bytes as Buffer));
  await db.close();
  return result;
}

async function throughStore(store: Store, writers: number): Promise<Result> {
  let events = 0;
  store.watch('', 1, { events: (batch) => void (events += batch.length), closed: () => {} });
  const result = await measure(writers, async (n) => {
    const key = `/registry/core/configmaps/default/cm-${n}`;
    const { ok } = await store.txn([{ key, revision: 0 }], [{ put: key, value: { bytes } }]);
    if (!ok) throw new Error('a write was refused');
  });
  if (events !== store.revision - 1) throw new Error(`the watcher got ${events} of ${store.revision - 1} events`);
  await store.close();
  return result;
}

const median = (results: readonly Result[]): Result =>
  [...results].sort((a, b) => a.perSecond - b.perSecond)[results.length >> 1]!;

const subjects: Record<string, (directory: string, writers: number) => Promise<Result>> = {
  'bare LMDB': bareLmdb,
  'disk store': (directory, writers) => throughStore(new LmdbStore(directory), writers),
  'memory store': (_directory, writers) => throughStore(new MemoryStore(), writers),
};

const parent = process.argv[2] ?? tmpdir();
console.log('durable puts of 2 KB   writers     per second     p99 ms     against the floor');
for (const writers of [1, 16, 256]) {
  const results = new Map<string, Result[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(subjects)) {
      const directory = mkdtempSync(join(parent, 'coracle-bench-'));
      results.set(name, [...(results.get(name) ?? []), await run(directory, writers)]);
      rmSync(directory, { recursive: true });
    }
  }
  const floor = median(results.get('bare LMDB')!).perSecond;
  for (const [name, all] of results) {
    const { perSecond, p99 } = median(all);
    const ratio = name === 'bare LMDB' ? 'floor' : `${(perSecond / floor).toFixed(2)}x`;
    const cells = [name.padEnd(20), String(writers).padStart(9), perSecond.toFixed(0).padStart(14)];
    console.log(cells.join(' '), p99.toFixed(2).padStart(10), ratio.padStart(21));
  }
}
