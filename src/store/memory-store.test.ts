import { expect, test } from 'vitest';
import { MemoryStore } from './memory-store.ts';
import { storeSuite } from './store-suite.ts';
import { Recorder } from './store-suite-tools.ts';

storeSuite('memory', () => ({ store: new MemoryStore() }));

const value = (n: number) => ({ bytes: Uint8Array.of(n) });

test('keeps the very value, and tells watchers before the promise resolves', async () => {
  const store = new MemoryStore();
  const kept = value(1);
  const recorder = new Recorder();
  store.watch('', 1, recorder);
  const write = store.txn([], [{ put: '/a', value: kept }]);
  expect(recorder.batches).toHaveLength(1);
  expect(store.revision).toBe(2);
  await write;
  expect((await store.get('/a'))!.value).toBe(kept);
  expect(recorder.raw[0]!.entry!.value).toBe(kept);
});

test('bounds its history by itself', async () => {
  const store = new MemoryStore({ historyLimit: 100 });
  for (let i = 0; i < 1000; i++) await store.txn([], [{ put: '/a', value: value(i) }]);
  const kept = store.history(store.compactRevision).length;
  expect(kept).toBeGreaterThanOrEqual(100);
  expect(kept).toBeLessThanOrEqual(125);
  expect(() => store.history(store.compactRevision - 1)).toThrow(expect.objectContaining({ fault: 'compacted' }));
  expect(store.history(store.revision)).toEqual([]);
});

test('a fork shares the past and nothing else', async () => {
  const store = new MemoryStore();
  for (let i = 0; i < 600; i++) await store.txn([], [{ put: `/k${i}`, value: value(i) }]);
  const recorder = new Recorder();
  store.watch('', store.revision, recorder);
  const fork = store.fork();
  expect([fork.revision, fork.history(1).length]).toEqual([601, 600]);
  await fork.txn([], [{ put: '/k7', value: value(77) }, { delete: '/k8' }]);
  await store.txn([], [{ put: '/k9', value: value(99) }]);
  expect((await fork.get('/k7'))!.value.bytes[0]).toBe(77);
  expect((await store.get('/k7'))!.value.bytes[0]).toBe(7);
  expect(await fork.get('/k8')).toBeUndefined();
  expect(await store.get('/k8')).toBeDefined();
  expect((await fork.get('/k9'))!.value.bytes[0]).toBe(9);
  expect((await fork.get('/k10'))!.value).toBe((await store.get('/k10'))!.value);
  expect(recorder.lines()).toHaveLength(1);
  await store.close();
  expect((await fork.list('')).entries).toHaveLength(599);
});
