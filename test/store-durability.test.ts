// The disk store under what unit tests cannot do to it: kill -9, a second process, a full disk, a read-only one.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { LmdbStore } from '../src/host/lmdb-store.ts';
import type { StoreEvent } from '../src/store/store.ts';
import { Recorder } from '../src/store/store-suite-tools.ts';

const put = (key: string, size: number) => ({ put: key, value: { bytes: Buffer.alloc(size, key) } });

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-store-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

interface Writer {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Resolves when the child has printed so many lines. */
  printed(count: number): Promise<void>;
  /** Ends it at once and waits until all it printed is read. */
  kill(): Promise<void>;
}

function startWriter(directory: string): Writer {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'store-writer.ts'), directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const input = createInterface({ input: child.stdout });
  const ended = new Promise<void>((resolve) => input.once('close', () => resolve()));
  input.on('line', (line) => {
    lines.push(line);
    for (const wait of waiting) if (lines.length >= wait.count) wait.resolve();
  });
  return {
    child,
    lines,
    printed: (count) =>
      Promise.race([
        new Promise<void>((resolve) => (lines.length >= count ? resolve() : waiting.push({ count, resolve }))),
        ended.then(() => Promise.reject(new Error('the writer ended by itself'))),
      ]),
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

test('kill -9: every acknowledged write is there, and no revision is used twice', async () => {
  const directory = temporary();
  const acknowledged = new Map<number, string>();
  let last = 1;
  for (const [round, count] of [30, 170, 61, 400, 1].entries()) {
    const writer = startWriter(directory);
    await writer.printed(count);
    // Between two writes of the child, wherever that may be.
    await new Promise((resolve) => setTimeout(resolve, (round * 7) % 5));
    await writer.kill();
    const [opened, ...writes] = writer.lines.filter((line) => / [0-9]+$/.test(line));
    expect(Number(opened!.split(' ')[1])).toBeGreaterThanOrEqual(last);
    for (const line of writes) {
      const revision = Number(line.split(' ')[0]);
      expect(acknowledged.get(revision), `revision ${revision}`).toBeUndefined();
      acknowledged.set(revision, line);
    }

    const store = new LmdbStore(directory);
    expect(store.revision).toBeGreaterThanOrEqual(Math.max(...acknowledged.keys()));
    last = store.revision;
    const expected = new Map<string, { revision: number; size: number }>();
    const gone = new Set<string>();
    for (const revision of [...acknowledged.keys()].sort((a, b) => a - b)) {
      const [, type, key, size] = acknowledged.get(revision)!.split(' ') as [string, string, string, string];
      if (type === 'put') expected.set(key, { revision, size: Number(size) });
      else gone.add(key);
    }
    // Every writer may have had one write under way that nobody was told of.
    let untold = 0;
    const { entries } = await store.list('');
    const held = new Map(entries.map((entry) => [entry.key, entry]));
    for (const entry of entries) {
      const { bytes } = entry.value;
      expect(Buffer.compare(bytes, Buffer.alloc(bytes.length, entry.key))).toBe(0);
      if (!expected.has(entry.key)) untold++;
      expect(gone.has(entry.key)).toBe(false);
    }
    for (const [key, { revision, size }] of expected) {
      const entry = held.get(key);
      if (!entry) {
        if (!gone.has(key)) untold++;
      } else expect([key, entry.revision, entry.value.bytes.length]).toEqual([key, revision, size]);
    }
    expect(untold).toBeLessThanOrEqual(8 * (round + 1));

    const events: StoreEvent[] = [];
    store.watch('', store.compactRevision, { events: (batch) => void events.push(...batch), closed: () => {} });
    expect(events.map((event) => event.revision)).toEqual(
      Array.from({ length: store.revision - store.compactRevision }, (_, i) => store.compactRevision + 1 + i),
    );
    await store.close();
  }
});

test('a second process is refused, and told the first', async () => {
  const directory = temporary();
  const writer = startWriter(directory);
  await writer.printed(1);
  expect(() => new LmdbStore(directory)).toThrow(`in use by process ${writer.child.pid}`);
  await writer.printed(writer.lines.length + 20);
  expect(() => new LmdbStore(directory)).toThrow(`in use by process ${writer.child.pid}`);
  await writer.kill();
  await new LmdbStore(directory).close();
});

/** A file system of its own, or the reason why there is none. */
function mountTmpfs(size: string): { directory: string; remount: (options: string) => void } | string {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'coracle-test', directory], { stdio: 'pipe' });
  } catch (error) {
    rmSync(directory, { recursive: true });
    return `cannot mount a tmpfs: ${(error as Error).message}`;
  }
  onTestFinished(() => {
    execFileSync('umount', [directory]);
    rmSync(directory, { recursive: true });
  });
  return {
    directory,
    remount: (options) => execFileSync('mount', ['-o', `remount,${options}`, directory]),
  };
}

test('a full disk: the write fails whole, and works again when there is room', async (context) => {
  const mounted = mountTmpfs('3m');
  if (typeof mounted === 'string') return context.skip(mounted);
  const directory = join(mounted.directory, 'store');
  const store = new LmdbStore(directory);
  const recorder = new Recorder();
  store.watch('', 1, recorder);
  const written: string[] = [];
  const full = expect.objectContaining({ fault: 'full' });
  const isFull = async () => {
    for (let i = 0; ; i++) {
      try {
        await store.txn([], [put(`/k${written.length}`, 40_000), put(`/k${written.length}x`, 40_000)]);
        written.push(`/k${written.length}`);
      } catch (error) {
        return expect(error).toEqual(full);
      }
      if (i > 100) throw new Error('the disk does not fill');
    }
  };
  const whole = async (of: LmdbStore) => {
    expect(of.revision).toBe(written.length + 1);
    const { entries } = await of.list('');
    expect(entries.map((entry) => entry.value.bytes.length)).toEqual(Array(2 * written.length).fill(40_000));
  };
  await isFull();
  await whole(store);
  // All that was called on the ground of the failed write fails with it.
  const calls = [
    store.txn([], [put('/big', 2_000_000)]),
    store.txn([], [put('/small', 1)]),
    store.txn([{ key: '/big', revision: 0 }], [put('/big', 1)]),
  ];
  for (const call of calls) await expect(call).rejects.toEqual(full);
  expect(await store.get('/big')).toBeUndefined();
  expect(await store.get('/small')).toBeUndefined();
  await whole(store);

  mounted.remount('size=6m');
  for (let i = 0; i < 10; i++) {
    await store.txn([{ key: '/more', revision: i === 0 ? 0 : store.revision }], [put('/more', 10)]);
  }
  await store.txn([], [{ delete: '/more' }]);
  expect(recorder.batches).toHaveLength(written.length + 11);
  expect(recorder.ended).toBeUndefined();
  await store.close();

  const again = new LmdbStore(directory);
  expect(again.revision).toBe(written.length + 12);
  expect((await again.list('')).entries).toHaveLength(2 * written.length);
  await again.close();

  // On a full disk the store still opens, and forgetting makes room.
  const rest = join(mounted.directory, 'rest');
  expect(() => execFileSync('dd', ['if=/dev/zero', `of=${rest}`, 'bs=4096'], { stdio: 'pipe' })).toThrow();
  const tight = new LmdbStore(directory);
  expect((await tight.list('')).entries).toHaveLength(2 * written.length);
  await expect(tight.txn([], [put('/big', 2_000_000)])).rejects.toEqual(full);
  await tight.close();
  mkdirSync(join(mounted.directory, 'other'));
  expect(() => new LmdbStore(join(mounted.directory, 'other'))).toThrow(full);
});

test('a read-only disk is refused', async (context) => {
  const mounted = mountTmpfs('3m');
  if (typeof mounted === 'string') return context.skip(mounted);
  const store = new LmdbStore(mounted.directory);
  await store.close();
  mounted.remount('ro');
  const readonly = expect.objectContaining({ fault: 'readonly' });
  expect(() => new LmdbStore(mounted.directory)).toThrow(readonly);
  expect(() => new LmdbStore(join(mounted.directory, 'new'))).toThrow(readonly);
  mounted.remount('rw');
  await new LmdbStore(mounted.directory).close();
});
