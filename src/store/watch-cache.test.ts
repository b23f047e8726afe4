import { array, assert, asyncProperty, boolean, constantFrom, nat, oneof, record, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryStore } from './memory-store.ts';
import { StoreFeed } from './store-feed.ts';
import type { Entry, Mutation, Store } from './store.ts';
import { WatchCache, type CacheEvent, type CacheSink, type WatchCacheOptions } from './watch-cache.ts';

const PODS = '/registry//pods/';
const NODES = '/registry//nodes/';
const put = (key: string, text: string): Mutation => ({ put: key, value: { bytes: new TextEncoder().encode(text) } });
const del = (key: string): Mutation => ({ delete: key });
const write = async (store: Store, ...mutations: Mutation[]) => (await store.txn([], mutations)).revision;

/** A decoded object: its text and revision; the index is what follows `@`. */
interface Item {
  readonly text: string;
  readonly revision: number;
}
const decode = (entry: Entry): Item => ({
  text: new TextDecoder().decode(entry.value.bytes),
  revision: entry.revision,
});
const texts = (items: readonly Item[]) => items.map((item) => item.text);

class Recorder implements CacheSink<Item> {
  readonly batches: string[][] = [];
  ended: { error: Error | undefined } | undefined;
  events(batch: readonly CacheEvent<Item>[]): void {
    this.batches.push(
      batch.map((e) => {
        const was = e.previous ? ` was ${e.previous.text}` : '';
        return `${e.revision} ${e.type} ${e.key.split('/').slice(4).join('/')} ${e.object?.text ?? ''}${was}`;
      }),
    );
  }
  closed(error?: Error): void {
    this.ended = { error };
  }
}

async function open(store: Store = new MemoryStore(), options: WatchCacheOptions<Item> = {}) {
  const feed = new StoreFeed(store);
  const cache = new WatchCache(feed, PODS, decode, options);
  await cache.ready;
  return { store, feed, cache };
}

describe('content', () => {
  test('holds what was there, and follows', async () => {
    const store = new MemoryStore();
    await write(store, put(`${PODS}a/1`, 'x'), put(`${PODS}b/1`, 'y'), put(`${NODES}n`, 'no'));
    const { cache } = await open(store);
    expect(texts(cache.list())).toEqual(['x', 'y']);
    await write(store, put(`${PODS}a/2`, 'z'), del(`${PODS}b/1`));
    expect(texts(cache.list())).toEqual(['x', 'z']);
    expect(texts(cache.list(`${PODS}a/`))).toEqual(['x', 'z']);
    expect(texts(cache.list(`${PODS}a/2`))).toEqual(['z']);
    expect(texts(cache.list(`${PODS}a`))).toEqual([]);
    expect(cache.get(`${PODS}a/2`)).toEqual({ text: 'z', revision: 3 });
    expect(cache.get(`${PODS}b/1`)).toBeUndefined();
    expect(cache.size).toBe(2);
  });

  test('lists in pages and counts', async () => {
    const { store, cache } = await open();
    for (const name of ['b', 'c', 'a', 'd']) await write(store, put(`${PODS}ns/${name}`, name));
    const after = `${PODS}ns/b`;
    expect(texts(cache.list(PODS, { limit: 2 }))).toEqual(['a', 'b']);
    expect(texts(cache.list(PODS, { after, limit: 1 }))).toEqual(['c']);
    expect([cache.count(), cache.count(PODS, { after }), cache.count(after), cache.count(`${PODS}no/`)]).toEqual([
      4, 2, 1, 0,
    ]);
  });

  test('misses and repeats nothing of what is written while it is read', async () => {
    const store = new MemoryStore();
    await write(store, put(`${PODS}a/1`, 'old'));
    const feed = new StoreFeed(store);
    const cache = new WatchCache(feed, PODS, decode);
    expect(cache.list()).toEqual([]);
    const during = [write(store, put(`${PODS}a/1`, 'new')), write(store, put(`${PODS}a/2`, 'other'))];
    await cache.ready;
    await Promise.all(during);
    expect(texts(cache.list())).toEqual(['new', 'other']);
    const recorder = new Recorder();
    cache.watch(PODS, 1, recorder);
    expect(recorder.batches.flat()).toEqual(['2 put a/1 old', '3 put a/1 new was old', '4 put a/2 other']);
  });

  test('decodes each write once', async () => {
    const store = new MemoryStore();
    await write(store, put(`${PODS}a/1`, 'x'));
    await write(store, put(`${PODS}a/1`, 'y'));
    const decoded: number[] = [];
    const cache = new WatchCache(new StoreFeed(store), PODS, (entry) => decoded.push(entry.revision));
    await cache.ready;
    await write(store, put(`${PODS}a/1`, 'z'));
    await write(store, del(`${PODS}a/1`));
    expect(decoded.sort()).toEqual([2, 3, 4]);
  });

  test('narrows by index', async () => {
    const { store, cache } = await open(undefined, { index: (item) => item.text.split('@')[1] });
    await write(store, put(`${PODS}a/1`, 'x@n1'), put(`${PODS}b/1`, 'y@n2'), put(`${PODS}a/2`, 'z'));
    const recorder = new Recorder();
    cache.watch(`${PODS}a/`, 1, recorder, { indexed: 'n1' });
    expect(texts(cache.list(PODS, { indexed: 'n1' }))).toEqual(['x@n1']);
    expect(texts(cache.list(`${PODS}b/`, { indexed: 'n1' }))).toEqual([]);
    const before = await write(store, put(`${PODS}a/2`, 'z@n1'));
    await write(store, put(`${PODS}a/1`, 'x@n2'));
    await write(store, put(`${PODS}a/1`, 'x2@n2'), del(`${PODS}a/2`), put(`${PODS}b/1`, 'y@n1'));
    expect(recorder.batches).toEqual([
      ['2 put a/1 x@n1'],
      ['3 put a/2 z@n1 was z'],
      ['4 put a/1 x@n2 was x@n1'],
      ['5 delete a/2  was z@n1'],
    ]);
    expect(texts(cache.list(PODS, { indexed: 'n1' }))).toEqual(['y@n1']);
    expect(texts(cache.listAt(PODS, before, { indexed: 'n1' }))).toEqual(['x@n1', 'z@n1']);
    expect(texts(cache.list(`${PODS}a/1`, { indexed: 'n1' }))).toEqual([]);
  });
});

describe('revisions', () => {
  test('advance with every write to the store', async () => {
    const { store, feed, cache } = await open();
    const nodes = new WatchCache(feed, NODES, decode);
    await nodes.ready;
    await write(store, put(`${NODES}n`, '1'));
    expect([cache.revision, nodes.revision]).toEqual([2, 2]);
    await write(store, put('/elsewhere', '1'));
    expect([cache.revision, nodes.revision]).toEqual([3, 3]);
  });

  test('a write to two kinds is in both before anybody is told', async () => {
    const { store, feed, cache } = await open();
    const nodes = new WatchCache(feed, NODES, decode);
    await nodes.ready;
    const seen: unknown[] = [];
    const look = () => seen.push([cache.size, nodes.size, cache.revision]);
    cache.watch(PODS, 1, { events: look, closed: () => {} });
    nodes.watch(NODES, 1, { events: look, closed: () => {} });
    await write(store, put(`${PODS}a/1`, 'x'), put(`${NODES}n`, 'y'));
    expect(seen).toEqual([
      [1, 1, 2],
      [1, 1, 2],
    ]);
  });

  test('can be awaited', async () => {
    const { store, cache } = await open();
    const order: string[] = [];
    const waits = [4, 3].map((r) => cache.waitFor(r).then(() => order.push(`${r}@${cache.revision}`)));
    await cache.waitFor(1);
    await write(store, put('/x', '1'));
    await write(store, put(`${PODS}a/1`, '1'));
    await waits[1];
    expect(order).toEqual(['3@3']);
    await write(store, put('/x', '2'));
    await Promise.all(waits);
    const never = cache.waitFor(99);
    await store.close();
    await expect(never).rejects.toMatchObject({ fault: 'closed' });
  });
});

describe('listAt', () => {
  test('shows every past state exactly', async () => {
    const { store, cache } = await open();
    const states: [number, string[]][] = [];
    const keys = ['a/1', 'a/2', 'b/1', 'b/2', 'c/1'].map((name) => PODS + name);
    for (let i = 0; i < 60; i++) {
      const key = keys[(i * 7) % 5]!;
      const other = keys[(i * 3 + 1) % 5]!;
      const mutations = i % 3 ? [put(key, `v${i}`)] : [del(key)];
      if (other !== key && i % 4 === 0) mutations.push(put(other, `w${i}`));
      await write(store, ...mutations);
      states.push([store.revision, texts(cache.list())]);
    }
    for (const [revision, state] of states) {
      expect(texts(cache.listAt(PODS, revision))).toEqual(state);
      const first = texts(cache.listAt(PODS, revision, { limit: 2 }));
      expect(first).toEqual(state.slice(0, 2));
    }
    const [revision] = states[20]!;
    const inB = texts(cache.listAt(`${PODS}b/`, revision));
    const all = cache.listAt(PODS, revision);
    const after = `${PODS}a/9`;
    expect(texts(cache.listAt(PODS, revision, { after }))).toEqual(
      texts(all.slice(cache.listAt(`${PODS}a/`, revision).length)),
    );
    expect(texts(cache.listAt(PODS, revision, { after, limit: inB.length }))).toEqual(inB);
    expect(texts(cache.listAt(keys[0]!, revision))).toEqual(texts(cache.listAt(`${PODS}a/`, revision)).slice(0, 1));
  });

  test('refuses what it has forgotten and what is yet to come', async () => {
    const { store, cache } = await open(undefined, { capacity: 4 });
    for (let i = 0; i < 8; i++) await write(store, put(`${PODS}a/1`, `v${i}`));
    expect(cache.oldestRevision).toBeGreaterThan(3);
    expect(texts(cache.listAt(PODS, cache.oldestRevision))).toEqual([`v${cache.oldestRevision - 2}`]);
    expect(() => cache.listAt(PODS, 3)).toThrow(expect.objectContaining({ fault: 'compacted' }));
    expect(() => cache.watch(PODS, 3, new Recorder())).toThrow(expect.objectContaining({ fault: 'compacted' }));
    expect(() => cache.listAt(PODS, 10)).toThrow(RangeError);
  });
});

test('forgets old history when told, but for the last few events', async () => {
  const { store, cache } = await open();
  for (let i = 0; i < 150; i++) await write(store, put(`${PODS}a/${i % 7}`, `v${i}`));
  cache.forget(20);
  expect(cache.oldestRevision).toBe(20);
  cache.forget(store.revision);
  expect(cache.oldestRevision).toBe(store.revision - 100);
  const recorder = new Recorder();
  cache.watch(PODS, cache.oldestRevision, recorder);
  expect(recorder.batches).toHaveLength(100);
  expect(cache.list()).toHaveLength(7);
  expect(() => cache.watch(PODS, 20, recorder)).toThrow(expect.objectContaining({ fault: 'compacted' }));
});

test('few large events count as many small ones', async () => {
  const limit = { budget: 1000, weigh: ({ object }: CacheEvent<Item>) => object?.text.length ?? 0 };
  const { store, cache } = await open(undefined, { limit });
  for (let i = 0; i < 200; i++) await write(store, put(`${PODS}a/${i}`, 'x'));
  expect(cache.oldestRevision).toBe(1);
  for (let i = 0; i < 8; i++) await write(store, put(`${PODS}a/big`, 'y'.repeat(300)));
  const { oldestRevision } = cache;
  expect(oldestRevision).toBeGreaterThan(201);
  expect(oldestRevision).toBeLessThan(store.revision - 2);
  await write(store, put(`${PODS}a/huge`, 'z'.repeat(5000)), put(`${PODS}a/too`, 'z'.repeat(5000)));
  // The last is there whatever it weighs, or nobody could be told of it.
  const recorder = new Recorder();
  await write(store, put(`${PODS}a/next`, 'n'));
  cache.watch(PODS, cache.oldestRevision, recorder);
  expect(recorder.batches.at(-1)).toEqual([`${store.revision} put a/next n`]);
  for (const batch of recorder.batches)
    expect(batch.every((line) => Number(line.split(' ')[0]) > cache.oldestRevision)).toBe(true);
});

describe('watch', () => {
  test('replays, then goes on, without gap or repetition', async () => {
    const { store, cache } = await open();
    await write(store, put(`${PODS}a/1`, '1'));
    await write(store, put(`${PODS}a/2`, '2'), put(`${PODS}b/1`, '2'));
    const all = new Recorder();
    const some = new Recorder();
    const one = new Recorder();
    const later = new Recorder();
    cache.watch(PODS, 1, all);
    cache.watch(`${PODS}a/`, 2, some);
    const watch = cache.watch(`${PODS}b/1`, 1, one);
    cache.watch(PODS, 5, later);
    await write(store, put(`${PODS}a/1`, '3'), put(`${NODES}n`, ''), del(`${PODS}b/1`));
    watch.stop();
    await write(store, put(`${PODS}b/1`, '4'), put(`${PODS}b/10`, '4'));
    await write(store, del(`${PODS}a/2`));
    const log = [
      ['2 put a/1 1'],
      ['3 put a/2 2', '3 put b/1 2'],
      ['4 put a/1 3 was 1', '4 delete b/1  was 2'],
      ['5 put b/1 4', '5 put b/10 4'],
      ['6 delete a/2  was 2'],
    ];
    expect(all.batches).toEqual(log);
    expect(some.batches).toEqual([['3 put a/2 2'], ['4 put a/1 3 was 1'], ['6 delete a/2  was 2']]);
    expect(one.batches).toEqual([['3 put b/1 2'], ['4 delete b/1  was 2']]);
    expect(later.batches).toEqual(log.slice(4));
  });

  test('resumes from before the cache, out of the history of the store', async () => {
    const store = new MemoryStore();
    for (let i = 0; i < 5; i++) await write(store, put(`${PODS}a/1`, `v${i}`));
    await write(store, del(`${PODS}a/1`));
    await store.compact(3);
    const { cache, feed } = await open(store);
    const recorder = new Recorder();
    cache.watch(PODS, 4, recorder);
    expect(recorder.batches.flat()).toEqual(['5 put a/1 v3 was v2', '6 put a/1 v4 was v3', '7 delete a/1  was v4']);
    expect(cache.oldestRevision).toBe(3);
    expect(texts(cache.listAt(PODS, 5))).toEqual(['v3']);
    // A cache that comes after events went by without it starts there.
    await write(store, put(`${NODES}n`, '1'));
    await write(store, put(`${NODES}n`, '2'));
    const nodes = new WatchCache(feed, NODES, decode);
    await nodes.ready;
    expect(nodes.oldestRevision).toBe(9);
  });

  test('a sink may write, watch and stop while it is told', async () => {
    const { store, cache } = await open();
    await write(store, put(`${PODS}a/n`, '1'));
    const first = new Recorder();
    const inner = new Recorder();
    const last = new Recorder();
    const writes: Promise<number>[] = [];
    cache.watch(PODS, 1, {
      events(batch) {
        first.events(batch);
        const { revision } = batch[0]!;
        if (revision < 6) writes.push(write(store, put(`${PODS}a/n`, String(revision))));
        if (revision === 4) cache.watch(PODS, 1, inner);
      },
      closed: (error) => first.closed(error),
    });
    cache.watch(PODS, 1, last);
    await Promise.all(writes);
    await write(store, del(`${PODS}a/n`));
    expect(first.batches).toHaveLength(6);
    expect(inner.batches).toEqual(first.batches);
    expect(last.batches).toEqual(first.batches);
  });

  test('a sink that throws is ended alone; closing ends all', async () => {
    const { store, cache } = await open();
    const bad: unknown[] = [];
    const good = new Recorder();
    const events = () => {
      throw new Error('broken sink');
    };
    cache.watch(PODS, 1, { events, closed: (error) => bad.push(error?.message) });
    cache.watch(PODS, 1, good);
    await write(store, put(`${PODS}a/1`, '1'));
    await write(store, put(`${PODS}a/1`, '2'));
    expect(bad).toEqual(['broken sink']);
    expect(good.batches).toHaveLength(2);
    await store.close();
    expect(good.ended).toEqual({ error: undefined });
    expect(() => cache.watch(PODS, 3, new Recorder())).toThrow(expect.objectContaining({ fault: 'closed' }));
  });

  test('a closed cache frees its prefix', async () => {
    const { store, feed, cache } = await open();
    await expect(new WatchCache(feed, PODS, decode).ready).rejects.toThrow('already');
    const recorder = new Recorder();
    cache.watch(PODS, 1, recorder);
    cache.close();
    expect(recorder.ended).toEqual({ error: undefined });
    await write(store, put(`${PODS}a/1`, '1'));
    const again = new WatchCache(feed, PODS, decode);
    await again.ready;
    expect(texts(again.list())).toEqual(['1']);
  });
});

test('a feed takes whole kinds only, and fails with its store', async () => {
  const store = new MemoryStore();
  const feed = new StoreFeed(store);
  await expect(new WatchCache(feed, '/registry/pods/', decode).ready).rejects.toThrow(TypeError);
  await store.close();
  await expect(new WatchCache(feed, PODS, decode).ready).rejects.toMatchObject({ fault: 'closed' });
});

test('for any writes, every watch gives exactly the log of its scope, and every listing its state', async () => {
  const keys = ['a/1', 'a/2', 'a/11', 'b/1', 'b/2'].map((name) => PODS + name).concat(`${NODES}n`);
  const scope = constantFrom(PODS, `${PODS}a/`, `${PODS}b/`, `${PODS}a/1`, `${PODS}c/`);
  const indexed = constantFrom(undefined, 'n1', 'n2');
  const operation = oneof(
    { weight: 3, arbitrary: array(tuple(nat(keys.length - 1), constantFrom('', '@n1', '@n2', 'x')), { minLength: 1 }) },
    { weight: 1, arbitrary: record({ scope, indexed, back: nat(8), stop: boolean() }) },
  );
  const covers = (scope: string, key: string) => (scope.endsWith('/') ? key.startsWith(scope) : key === scope);
  const node = (text: string | undefined) => text?.split('@')[1];
  const property = asyncProperty(array(operation, { maxLength: 30 }), nat(5), async (operations, before) => {
    const store = new MemoryStore();
    const log: { revision: number; key: string; line: string; nodes: (string | undefined)[] }[] = [];
    const states = new Map<number, Map<string, string>>([[1, new Map()]]);
    const watches: { recorder: Recorder; after: number; until: number; scope: string; indexed: string | undefined }[] =
      [];
    let state = new Map<string, string>();
    const run = async (writes: [number, string][], i: number) => {
      const revision = store.revision + 1;
      state = new Map(state);
      const mutations = [...new Map(writes)].map(([n, suffix]) => {
        const key = keys[n]!;
        const previous = state.get(key);
        const was = previous === undefined ? '' : ` was ${previous}`;
        const name = key.split('/').slice(4).join('/');
        const text = `v${i}${suffix}`;
        const type = suffix === 'x' ? 'delete' : 'put';
        if (type === 'put') state.set(key, text);
        else state.delete(key);
        const line = `${revision} ${type} ${name} ${type === 'put' ? text : ''}${was}`;
        const nodes = [type === 'put' ? node(text) : undefined, node(previous)];
        if (type === 'put' || previous !== undefined) log.push({ revision, key, line, nodes });
        return type === 'put' ? put(key, text) : del(key);
      });
      await write(store, ...mutations);
      states.set(store.revision, state);
    };
    let n = 0;
    for (; n < Math.min(before, operations.length); n++) {
      const op = operations[n]!;
      if (Array.isArray(op)) await run(op, n);
    }
    const { cache } = await open(store, { index: (item) => node(item.text) });
    for (; n < operations.length; n++) {
      const op = operations[n]!;
      if (Array.isArray(op)) await run(op, n);
      else {
        const { scope, indexed, back, stop } = op;
        const after = Math.max(1, store.revision - back);
        const recorder = new Recorder();
        const watch = cache.watch(scope, after, recorder, indexed === undefined ? {} : { indexed });
        if (stop) watch.stop();
        watches.push({ recorder, after, until: stop ? store.revision : Infinity, scope, indexed });
        const inState = (revision: number) =>
          [...states.get(revision)!]
            .filter(([key, text]) => covers(scope, key) && (indexed === undefined || node(text) === indexed))
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([, text]) => text);
        const options = indexed === undefined ? {} : { indexed };
        expect(texts(cache.list(scope, options))).toEqual(inState(store.revision));
        expect(cache.count(scope, options)).toBe(inState(store.revision).length);
        expect(texts(cache.listAt(scope, after, options))).toEqual(inState(after));
      }
    }
    for (const { recorder, after, until, scope, indexed } of watches) {
      const expected = log.filter((e) => e.revision > after && e.revision <= until && covers(scope, e.key));
      const mine = expected.filter((e) => indexed === undefined || e.nodes.includes(indexed));
      expect(recorder.batches.flat()).toEqual(mine.map((e) => e.line));
    }
  });
  await assert(property, { numRuns: 300, seed: 20 });
});
