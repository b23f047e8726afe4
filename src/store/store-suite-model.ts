// The contract of Store against a model of it: a map of entries and a list of events as text.

import {
  array,
  assert,
  asyncProperty,
  boolean,
  constant,
  constantFrom,
  nat,
  oneof,
  record,
  tuple,
  uniqueArray,
  type Arbitrary,
} from 'fast-check';
import { expect } from 'vitest';
import type { StoreUnderTest } from './store-suite.ts';
import { put, read, Recorder, until } from './store-suite-tools.ts';

const KEYS = ['/a', '/a/x', '/a/y', '/b', '/b/x', '/c'];
const key = constantFrom(...KEYS);
const operation = oneof(
  {
    weight: 6,
    arbitrary: record({
      type: constant('txn' as const),
      /** Which keys to compare, and whether with their true revision. */
      compares: array(tuple(key, boolean()), { maxLength: 2 }),
      writes: uniqueArray(tuple(key, boolean()), { minLength: 1, maxLength: 3, selector: (w) => w[0] }),
    }),
  },
  {
    weight: 2,
    arbitrary: record({
      type: constant('watch' as const),
      prefix: constantFrom('', '/a', '/a/', '/b', '/none'),
      back: nat(6),
    }),
  },
  { weight: 1, arbitrary: record({ type: constant('compact' as const), back: nat(4) }) },
  { weight: 1, arbitrary: record({ type: constant('settle' as const) }) },
  { weight: 1, arbitrary: record({ type: constant('reopen' as const) }) },
);
type Operation = typeof operation extends Arbitrary<infer T> ? T : never;

interface ModelEntry {
  readonly value: string;
  readonly revision: number;
  readonly createRevision: number;
}

class Model {
  revision = 1;
  compactRevision = 1;
  readonly entries = new Map<string, ModelEntry>();
  readonly log: { key: string; revision: number; line: string }[] = [];

  /** The revision of the write, or undefined when a comparison fails. */
  txn(compares: readonly { key: string; revision: number }[], writes: readonly [string, string | undefined][]) {
    for (const c of compares) if ((this.entries.get(c.key)?.revision ?? 0) !== c.revision) return undefined;
    const revision = this.revision + 1;
    for (const [key, value] of writes) {
      const before = this.entries.get(key);
      const was = before ? ` (was ${before.value}@${before.revision})` : '';
      if (value !== undefined) {
        this.entries.set(key, { value, revision, createRevision: before?.createRevision ?? revision });
        this.log.push({ key, revision, line: `${revision} put ${key}=${value}${was}` });
      } else if (this.entries.delete(key)) {
        this.log.push({ key, revision, line: `${revision} delete ${key}${was}` });
      }
    }
    if (this.log.at(-1)?.revision === revision) this.revision = revision;
    return this.revision;
  }

  lines(prefix: string, after: number): string[] {
    return this.log.filter((e) => e.revision > after && e.key.startsWith(prefix)).map((e) => e.line);
  }
}

/** Runs random operations on new stores and on a model, and compares all that can be seen. */
export async function agreesWithModel(make: () => StoreUnderTest | Promise<StoreUnderTest>): Promise<void> {
  const run = async (operations: readonly Operation[]) => {
    const under = await make();
    try {
      await runModel(under, operations);
    } finally {
      await under.dispose?.();
    }
  };
  const property = asyncProperty(array(operation, { maxLength: 40, size: 'max' }), run);
  await assert(property, { numRuns: 60, seed: 20, endOnFailure: false });
}

async function runModel(under: StoreUnderTest, operations: readonly Operation[]): Promise<void> {
  const model = new Model();
  let { store } = under;
  let pending: Promise<void>[] = [];
  let watches: { recorder: Recorder; prefix: string; after: number }[] = [];
  const settle = async () => {
    await Promise.all(pending);
    pending = [];
    expect(store.revision).toBe(model.revision);
    for (const { recorder, prefix, after } of watches) {
      const expected = model.lines(prefix, after);
      await until(() => recorder.lines().length >= expected.length);
      expect(recorder.lines()).toEqual(expected);
    }
    const { revision, entries } = await store.list('');
    expect(revision).toBe(model.revision);
    const sorted = [...model.entries].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(entries.map((e) => [e.key, read(e), e.revision, e.createRevision])).toEqual(
      sorted.map(([key, e]) => [key, e.value, e.revision, e.createRevision]),
    );
  };
  for (const [i, op] of operations.entries()) {
    if (op.type === 'txn') {
      const compares = op.compares.map(([key, right]) => ({
        key,
        revision: right ? (model.entries.get(key)?.revision ?? 0) : 1,
      }));
      const writes = op.writes.map(([key, isPut]): [string, string | undefined] => [key, isPut ? `v${i}` : undefined]);
      const expected = model.txn(compares, writes);
      const current = compares.map((c) => model.entries.get(c.key)?.value);
      const atRevision = model.revision;
      const result = store.txn(
        compares,
        writes.map(([key, value]) => (value === undefined ? { delete: key } : put(key, value))),
      );
      pending.push(
        result.then((r) => {
          expect([r.ok, r.revision]).toEqual([expected !== undefined, atRevision]);
          expect(r.current.map(read)).toEqual(expected === undefined ? current : []);
        }),
      );
    } else if (op.type === 'watch') {
      // From what is durable, since a watch is of durable events only.
      const after = Math.max(store.revision - op.back, 1);
      const recorder = new Recorder();
      if (after >= store.compactRevision) {
        store.watch(op.prefix, after, recorder);
        watches.push({ recorder, prefix: op.prefix, after });
      } else {
        expect(() => store.watch(op.prefix, after, recorder)).toThrow(expect.objectContaining({ fault: 'compacted' }));
      }
    } else if (op.type === 'compact') {
      await settle();
      const to = model.revision - op.back;
      await store.compact(to);
      model.compactRevision = Math.max(model.compactRevision, to);
      expect(store.compactRevision).toBe(model.compactRevision);
    } else if (op.type === 'settle') {
      await settle();
    } else if (under.reopen) {
      await settle();
      store = await under.reopen();
      watches = [];
    }
  }
  await settle();
  await store.close();
  for (const { recorder } of watches) expect(recorder.ended).toEqual({});
}
