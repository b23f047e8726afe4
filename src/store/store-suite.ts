// The contract of Store as tests, run on every implementation: `storeSuite('memory', () => ({ store: new MemoryStore() }))`.
// An implementation may deliver events later than the write's promise; the suite waits for what must come.

import { describe, expect, onTestFinished, test } from 'vitest';
import type { Store, TxnResult } from './store.ts';
import { agreesWithModel } from './store-suite-model.ts';
import { put, read, Recorder, until } from './store-suite-tools.ts';

export interface StoreUnderTest {
  readonly store: Store;
  /** Closes the store if it is open and opens it again with what is durable. Absent when nothing outlives the store. */
  readonly reopen?: () => Promise<Store>;
  /** Removes everything on disk. */
  readonly dispose?: () => Promise<void>;
}

export function storeSuite(name: string, make: () => StoreUnderTest | Promise<StoreUnderTest>): void {
  const open = async (): Promise<StoreUnderTest> => {
    const made = await make();
    onTestFinished(async () => {
      await made.store.close();
      await made.dispose?.();
    });
    return made;
  };

  describe(`${name}: reads and writes`, () => {
    test('a new store is empty at revision 1', async () => {
      const { store } = await open();
      expect(store.revision).toBe(1);
      expect(store.compactRevision).toBe(1);
      expect(await store.get('/a')).toBeUndefined();
      expect(await store.list('')).toEqual({ revision: 1, entries: [] });
    });

    test('every write takes the next revision; an entry knows its last and its first', async () => {
      const { store } = await open();
      expect(await store.txn([], [put('/a', '1')])).toEqual({ ok: true, revision: 2, current: [] });
      expect(await store.txn([], [put('/b', '1'), put('/c', '1')])).toMatchObject({ ok: true, revision: 3 });
      expect(await store.txn([], [put('/a', '2')])).toMatchObject({ ok: true, revision: 4 });
      const entry = await store.get('/a');
      expect(entry).toMatchObject({ key: '/a', revision: 4, createRevision: 2 });
      expect(read(entry)).toBe('2');
      expect(store.revision).toBe(4);
      await store.txn([], [{ delete: '/a' }]);
      expect(await store.get('/a')).toBeUndefined();
      await store.txn([], [put('/a', '3')]);
      expect(await store.get('/a')).toMatchObject({ revision: 6, createRevision: 6 });
    });

    test('a write that changes nothing takes no revision', async () => {
      const { store } = await open();
      expect(await store.txn([], [])).toEqual({ ok: true, revision: 1, current: [] });
      expect(await store.txn([], [{ delete: '/absent' }])).toEqual({ ok: true, revision: 1, current: [] });
      expect(store.revision).toBe(1);
    });

    test('tells the revision of a write before any watcher sees it', async () => {
      const { store } = await open();
      const told: string[] = [];
      store.watch('/', 1, {
        events: (batch) => void told.push(`seen ${batch[0]!.revision}`),
        closed: () => {},
      });
      await store.txn([], [put('/a', '1')], (revision) => void told.push(`submitted ${revision}`));
      await store.txn([], [put('/a', '2')], (revision) => void told.push(`submitted ${revision}`));
      await store.txn([], [{ delete: '/absent' }], (revision) => void told.push(`submitted ${revision}`));
      await until(() => told.length >= 4);
      expect(told).toEqual(['submitted 2', 'seen 2', 'submitted 3', 'seen 3']);
    });

    test('lists by prefix in key order, as of one revision', async () => {
      const { store } = await open();
      await store.txn([], [put('/r/b', 'b'), put('/r/a', 'a'), put('/r0', 'x'), put('/r/a/c', 'c'), put('/q', 'q')]);
      const { revision, entries } = await store.list('/r/');
      expect(revision).toBe(2);
      expect(entries.map((e) => [e.key, read(e)])).toEqual([
        ['/r/a', 'a'],
        ['/r/a/c', 'c'],
        ['/r/b', 'b'],
      ]);
      expect((await store.list('')).entries.map((e) => e.key)).toEqual(['/q', '/r/a', '/r/a/c', '/r/b', '/r0']);
      expect((await store.list('/none')).entries).toEqual([]);
    });

    test('keeps empty, binary and large values, and keys beyond ASCII', async () => {
      const { store } = await open();
      const bytes = Uint8Array.from({ length: 1_500_000 }, (_, i) => (i * 31) & 255);
      await store.txn([], [put('/empty', ''), { put: '/large', value: { bytes } }, put('/rôle:système/日本', 'x')]);
      expect((await store.get('/empty'))?.value.bytes).toHaveLength(0);
      expect(Buffer.compare((await store.get('/large'))!.value.bytes, bytes)).toBe(0);
      expect((await store.list('/rôle:')).entries.map((e) => e.key)).toEqual(['/rôle:système/日本']);
    });

    test('a transaction that writes one key twice is refused', async () => {
      const { store } = await open();
      await expect(store.txn([], [put('/a', '1'), { delete: '/a' }])).rejects.toThrow(TypeError);
      expect(store.revision).toBe(1);
    });
  });

  describe(`${name}: comparisons`, () => {
    test('write nothing when one of them fails, and show what stood there', async () => {
      const { store } = await open();
      await store.txn([], [put('/a', '1'), put('/b', '1')]);
      const failed = await store.txn(
        [
          { key: '/a', revision: 2 },
          { key: '/b', revision: 1 },
          { key: '/c', revision: 0 },
        ],
        [put('/a', '2'), put('/c', '2')],
      );
      expect(failed).toMatchObject({ ok: false, revision: 2 });
      expect(failed.current.map(read)).toEqual(['1', '1', undefined]);
      expect(read(await store.get('/a'))).toBe('1');
      expect(await store.get('/c')).toBeUndefined();
      expect(store.revision).toBe(2);
    });

    test('0 means absent', async () => {
      const { store } = await open();
      expect(await store.txn([{ key: '/a', revision: 0 }], [put('/a', '1')])).toMatchObject({ ok: true });
      expect(await store.txn([{ key: '/a', revision: 0 }], [put('/a', '2')])).toMatchObject({ ok: false });
      await store.txn([{ key: '/a', revision: 2 }], [{ delete: '/a' }]);
      expect(await store.txn([{ key: '/a', revision: 2 }], [put('/a', '3')])).toMatchObject({ ok: false });
      expect(await store.txn([{ key: '/a', revision: 0 }], [put('/a', '3')])).toMatchObject({ ok: true, revision: 4 });
    });

    test('of concurrent writers one wins each round', async () => {
      const { store } = await open();
      await store.txn([], [put('/n', '0')]);
      const add = async () => {
        for (;;) {
          const entry = (await store.get('/n'))!;
          const next = String(Number(read(entry)) + 1);
          const { ok } = await store.txn([{ key: '/n', revision: entry.revision }], [put('/n', next)]);
          if (ok) return;
        }
      };
      await Promise.all(Array.from({ length: 12 }, add));
      expect(read(await store.get('/n'))).toBe('12');
      expect(store.revision).toBe(14);
    });

    test('order is the order of calls', async () => {
      const { store } = await open();
      const results = await Promise.all([
        store.txn([{ key: '/a', revision: 0 }], [put('/a', '1')]),
        store.txn([{ key: '/a', revision: 0 }], [put('/a', '2')]),
        store.txn([{ key: '/a', revision: 2 }], [put('/a', '3')]),
        store.txn([], [put('/b', '1')]),
      ]);
      expect(results.map((r) => [r.ok, r.revision])).toEqual([
        [true, 2],
        [false, 2],
        [true, 3],
        [true, 4],
      ]);
      expect(results[1]!.current.map(read)).toEqual(['1']);
      expect(read(await store.get('/a'))).toBe('3');
    });
  });

  describe(`${name}: watches`, () => {
    test('deliver history, then the present, in order and with what was there before', async () => {
      const { store } = await open();
      await store.txn([], [put('/a', '1')]);
      await store.txn([], [put('/a', '2')]);
      const all = new Recorder();
      const late = new Recorder();
      store.watch('', 1, all);
      store.watch('', 2, late);
      await store.txn([], [{ delete: '/a' }]);
      await store.txn([], [put('/a', '3')]);
      const log = ['2 put /a=1', '3 put /a=2 (was 1@2)', '4 delete /a (was 2@3)', '5 put /a=3'];
      await until(() => all.lines().length >= 4 && late.lines().length >= 3);
      expect(all.lines()).toEqual(log);
      expect(late.lines()).toEqual(log.slice(1));
    });

    test('give all of one revision in one batch, and only their prefix', async () => {
      const { store } = await open();
      const recorder = new Recorder();
      store.watch('/x/', 1, recorder);
      await store.txn([], [put('/x/a', '1'), put('/y', '1'), put('/x/b', '1')]);
      await store.txn([], [put('/y', '2')]);
      await store.txn([], [{ delete: '/x/a' }, put('/x/c', '1')]);
      await until(() => recorder.batches.length >= 2);
      expect(recorder.batches).toEqual([
        ['2 put /x/a=1', '2 put /x/b=1'],
        ['4 delete /x/a (was 1@2)', '4 put /x/c=1'],
      ]);
    });

    test('may start in the future', async () => {
      const { store } = await open();
      const recorder = new Recorder();
      store.watch('', 3, recorder);
      for (const value of ['1', '2', '3']) await store.txn([], [put('/a', value)]);
      await until(() => recorder.batches.length > 0);
      expect(recorder.lines()).toEqual(['4 put /a=3 (was 2@3)']);
    });

    test('stop when told to', async () => {
      const { store } = await open();
      const stopped = new Recorder();
      const other = new Recorder();
      const watch = store.watch('', 1, stopped);
      store.watch('', 1, other);
      await store.txn([], [put('/a', '1')]);
      await until(() => stopped.batches.length === 1);
      watch.stop();
      watch.stop();
      await store.txn([], [put('/a', '2')]);
      await until(() => other.batches.length === 2);
      expect(stopped.lines()).toEqual(['2 put /a=1']);
      expect(stopped.ended).toBeUndefined();
    });

    test('a watcher may write, watch and stop while it is told', async () => {
      const { store } = await open();
      const first = new Recorder();
      const inner = new Recorder();
      const last = new Recorder();
      const writes: Promise<TxnResult>[] = [];
      const watch = store.watch('', 1, {
        events(batch) {
          first.events(batch);
          if (batch[0]!.revision > 4) return watch.stop();
          writes.push(store.txn([], [put('/n', String(batch[0]!.revision))]));
          if (batch[0]!.revision === 3) store.watch('', 1, inner);
        },
        closed: (error) => first.closed(error),
      });
      store.watch('', 1, last);
      await store.txn([], [put('/n', '1')]);
      const log = ['2 put /n=1', '3 put /n=2 (was 1@2)', '4 put /n=3 (was 2@3)', '5 put /n=4 (was 3@4)'];
      await until(() => last.batches.length === 4 && inner.batches.length === 4 && first.batches.length === 4);
      await Promise.all(writes);
      for (const recorder of [first, inner, last]) expect(recorder.lines()).toEqual(log);
    });

    test('one that throws is ended and harms nobody else', async () => {
      const { store } = await open();
      const good = new Recorder();
      let ended: Error | undefined;
      store.watch('', 1, {
        events: () => {
          throw new Error('broken watcher');
        },
        closed: (error) => void (ended = error),
      });
      store.watch('', 1, good);
      await store.txn([], [put('/a', '1')]);
      await store.txn([], [put('/a', '2')]);
      await until(() => good.batches.length === 2);
      expect(ended?.message).toBe('broken watcher');
    });
  });

  describe(`${name}: compaction`, () => {
    test('forgets history but no value; a watch from before is refused', async () => {
      const { store } = await open();
      for (const value of ['1', '2', '3']) await store.txn([], [put('/a', value)]);
      await store.txn([], [put('/b', '1')]);
      const running = new Recorder();
      store.watch('', 1, running);
      await until(() => running.batches.length === 4);
      await store.compact(3);
      expect(store.compactRevision).toBe(3);
      expect(() => store.watch('', 2, new Recorder())).toThrow(expect.objectContaining({ fault: 'compacted' }));
      const recorder = new Recorder();
      store.watch('', 3, recorder);
      await until(() => recorder.batches.length === 2);
      expect(recorder.lines()).toEqual(['4 put /a=3 (was 2@3)', '5 put /b=1']);
      expect((await store.list('')).entries.map(read)).toEqual(['3', '1']);
      await store.compact(2);
      expect(store.compactRevision).toBe(3);
      await store.txn([], [put('/c', '1')]);
      await until(() => running.batches.length === 5);
    });

    test('reaches at most to the present', async () => {
      const { store } = await open();
      await store.txn([], [put('/a', '1')]);
      await store.compact(99);
      expect(store.compactRevision).toBe(2);
      const recorder = new Recorder();
      store.watch('', 2, recorder);
      await store.txn([], [{ delete: '/a' }]);
      await until(() => recorder.batches.length === 1);
      expect(recorder.lines()).toEqual(['3 delete /a (was 1@2)']);
    });
  });

  describe(`${name}: closing`, () => {
    test('ends watches and refuses everything after', async () => {
      const { store } = await open();
      const recorder = new Recorder();
      store.watch('', 1, recorder);
      const write = store.txn([], [put('/a', '1')]);
      await store.close();
      expect(await write).toMatchObject({ ok: true });
      expect(recorder.ended).toEqual({});
      expect(recorder.lines()).toEqual(['2 put /a=1']);
      const closed = expect.objectContaining({ fault: 'closed' });
      await expect(store.txn([], [put('/a', '2')])).rejects.toEqual(closed);
      await expect(store.get('/a')).rejects.toEqual(closed);
      await expect(store.list('')).rejects.toEqual(closed);
      await expect(store.compact(1)).rejects.toEqual(closed);
      expect(() => store.watch('', 2, new Recorder())).toThrow(closed);
      await store.close();
    });
  });

  describe(`${name}: reopening`, () => {
    test('finds content, history and revision again', async (context) => {
      const { store, reopen } = await open();
      if (!reopen) return context.skip('nothing outlives this store');
      for (const value of ['1', '2', '3']) await store.txn([], [put('/a', value), put(`/${value}`, value)]);
      await store.txn([], [{ delete: '/2' }]);
      await store.compact(2);
      const content = async (from: Store) =>
        (await from.list('')).entries.map((e) => [e.key, read(e), e.revision, e.createRevision]);
      const before = await content(store);
      const again = await reopen();
      onTestFinished(() => again.close());
      expect([again.revision, again.compactRevision]).toEqual([5, 2]);
      expect(await content(again)).toEqual(before);
      const recorder = new Recorder();
      again.watch('', 2, recorder);
      const refused = await again.txn([{ key: '/2', revision: 3 }], [put('/2', 'x')]);
      expect(refused).toMatchObject({ ok: false, revision: 5, current: [undefined] });
      expect(await again.txn([{ key: '/a', revision: 4 }], [put('/a', '4')])).toMatchObject({ ok: true, revision: 6 });
      await until(() => recorder.batches.length === 4);
      expect(recorder.batches).toEqual([
        ['3 put /a=2 (was 1@2)', '3 put /2=2'],
        ['4 put /a=3 (was 2@3)', '4 put /3=3'],
        ['5 delete /2 (was 2@3)'],
        ['6 put /a=4 (was 3@4)'],
      ]);
      expect(() => again.watch('', 1, new Recorder())).toThrow(expect.objectContaining({ fault: 'compacted' }));
    });

    test('does not use a revision again whose key is gone', async (context) => {
      const { store, reopen } = await open();
      if (!reopen) return context.skip('nothing outlives this store');
      await store.txn([], [put('/a', '1')]);
      await store.txn([], [{ delete: '/a' }]);
      await store.compact(3);
      const again = await reopen();
      onTestFinished(() => again.close());
      expect(again.revision).toBe(3);
      expect(await again.txn([], [put('/a', '2')])).toMatchObject({ revision: 4 });
    });
  });

  test(`${name}: behaves as its model, and watchers see exactly the log`, { timeout: 60_000 }, () =>
    agreesWithModel(make),
  );
}
