import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { expect, onTestFinished, test } from 'vitest';
import { storeSuite } from '../store/store-suite.ts';
import { Recorder } from '../store/store-suite-tools.ts';
import { LmdbStore } from './lmdb-store.ts';

function make() {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-store-'));
  let store = new LmdbStore(directory);
  return {
    directory,
    store,
    reopen: async () => {
      await store.close();
      return (store = new LmdbStore(directory));
    },
    dispose: async () => {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
}

function open1() {
  const made = make();
  onTestFinished(made.dispose);
  return made;
}

storeSuite('lmdb', make);

const put = (key: string, size: number, fill = 1) => ({ put: key, value: { bytes: new Uint8Array(size).fill(fill) } });

test('nobody sees a write before it is durable, and watchers are told before its promise resolves', async () => {
  const { store } = open1();
  const recorder = new Recorder();
  store.watch('', 1, recorder);
  const write = store.txn([], [put('/a', 1)]);
  const refused = store.txn([{ key: '/a', revision: 0 }], [put('/a', 2)]);
  const order: string[] = [];
  void write.then(() => order.push(`written, ${recorder.raw.length} event`));
  void refused.then((r) => order.push(`refused, shows ${r.current[0]?.revision}`));
  expect(await store.get('/a')).toBeUndefined();
  expect([store.revision, recorder.raw.length, (await store.list('')).entries.length]).toEqual([1, 0, 0]);
  await Promise.all([write, refused]);
  expect(order).toEqual(['written, 1 event', 'refused, shows 2']);
  expect(await store.get('/a')).toMatchObject({ revision: 2 });
});

test('concurrent writes share commits', async () => {
  const { directory, store } = open1();
  await Promise.all(Array.from({ length: 2000 }, (_, i) => store.txn([], [put(`/k${i}`, 100)])));
  expect(store.revision).toBe(2001);
  await store.close();
  const root = open({ path: directory, noSubdir: false, overlappingSync: false });
  const { lastTxnId } = root.getStats() as { lastTxnId: number };
  await root.close();
  // Four made the databases.
  expect(lastTxnId).toBeLessThan(10);
});

test('a value is read from disk until it is replaced and compacted, or the store closed', async () => {
  const { store } = open1();
  await store.txn([], [put('/a', 3)]);
  const old = (await store.get('/a'))!;
  await store.txn([], [put('/a', 4)]);
  const present = (await store.get('/a'))!;
  expect([old.value.bytes.length, present.value.bytes.length]).toEqual([3, 4]);
  await store.compact(3);
  expect(() => old.value.bytes).toThrow(expect.objectContaining({ fault: 'compacted' }));
  expect(present.value.bytes).toHaveLength(4);
  await store.close();
  expect(() => present.value.bytes).toThrow(expect.objectContaining({ fault: 'closed' }));
});

test('compaction in many steps leaves exactly the present, and frees the pages', async () => {
  const { directory, store, reopen } = open1();
  const writeAll = async () => {
    for (let round = 0; round < 4; round++) {
      await Promise.all(Array.from({ length: 500 }, (_, i) => store.txn([], [put(`/k${i % 50}`, 2000, round)])));
    }
  };
  await writeAll();
  await store.txn([], [{ delete: '/k7' }]);
  // Writes go on beside it.
  await Promise.all([store.compact(store.revision), store.txn([], [put('/new', 1)]), store.compact(1000)]);
  expect([store.revision, store.compactRevision]).toEqual([2003, 2002]);
  expect((await store.list('')).entries.filter((e) => e.value.bytes.length > 0)).toHaveLength(50);
  const { size } = statSync(join(directory, 'data.mdb'));
  await writeAll();
  await store.compact(store.revision);
  expect(statSync(join(directory, 'data.mdb')).size).toBeLessThan(1.5 * size);
  const again = await reopen();
  expect((await again.list('')).entries.filter((e) => e.value.bytes.length > 0)).toHaveLength(51);
  expect(again.revision).toBe(4003);
  await again.close();
  const root = open({ path: directory, noSubdir: false, overlappingSync: false });
  const records = ['log', 'values'].map((name) => root.openDB({ name, keyEncoding: 'binary' }).getCount());
  await root.close();
  expect(records).toEqual([51, 51]);
});

test('a directory is open once', async () => {
  const { directory, reopen } = open1();
  expect(() => new LmdbStore(directory)).toThrow(`in use by process ${process.pid}`);
  expect(() => new LmdbStore(join(directory, '.'))).toThrow('in use');
  await reopen();
});

test('what a later version wrote is refused', async () => {
  const { directory, store, reopen } = open1();
  await store.close();
  const set = async (value: string) => {
    const root = open({ path: directory, noSubdir: false, overlappingSync: false });
    await root.openDB({ name: 'meta', encoding: 'binary' }).put('format', Buffer.from(value));
    await root.close();
  };
  await set('2');
  expect(() => new LmdbStore(directory)).toThrow(/has format 2; this version knows formats up to 1/);
  await set('1');
  expect((await reopen()).revision).toBe(1);
});

test('damage is told, never passed on', async () => {
  const { directory, store } = open1();
  for (let i = 0; i < 400; i++) void store.txn([], [put(`/k${i}`, 5000, i & 255)]);
  await store.close();
  const file = join(directory, 'data.mdb');
  const good = readFileSync(file);
  const corrupt = expect.objectContaining({ fault: 'corrupt' });
  const opening = () => new LmdbStore(directory);

  writeFileSync(file, Buffer.alloc(good.length, 'not LMDB'));
  expect(opening).toThrow(corrupt);
  writeFileSync(file, good);
  truncateSync(file, good.length / 4);
  expect(opening).toThrow(corrupt);

  // One changed byte in one of the values.
  const bad = Buffer.from(good);
  bad[bad.lastIndexOf(Buffer.alloc(100, 9)) + 10]! ^= 1;
  writeFileSync(file, bad);
  const damaged = opening();
  const { entries } = await damaged.list('');
  const errors = entries.flatMap((entry) => {
    try {
      expect(entry.value.bytes).toHaveLength(5000);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  expect(errors).toEqual([expect.stringMatching(/^the value of \/k(9|265) at revision \d+ is damaged/)]);
  await damaged.close();
});
