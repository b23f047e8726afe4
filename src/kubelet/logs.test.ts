import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../base/virtual-clock.ts';
import type { LogOptions } from '../api/node-api.ts';
import { decodeText } from './bytes.ts';
import { lastLogLines } from './log-tail.ts';
import { readLog } from './logs.ts';
import { MemoryHost } from './memory-host.ts';

const PATH = '/log/0.log';
const line = (second: number, text: string, stream = 'stdout', tag = 'F') =>
  `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000001Z ${stream} ${tag} ${text}\n`;
const LOG =
  line(1, 'one') + line(2, 'oops', 'stderr') + line(3, 'thr', 'stdout', 'P') + line(3, 'ee') + line(4, 'four');

async function setup(text = LOG) {
  const host = new MemoryHost();
  await host.files.write(PATH, text, 0o644);
  const state = { alive: true };
  const listeners = new Set<() => void>();
  const abort = new AbortController();
  const read = (options: LogOptions) =>
    readLog({
      path: PATH,
      logs: host.logs,
      clock: new VirtualClock(Date.UTC(2026, 0, 1, 0, 0, 5)),
      options,
      alive: () => state.alive,
      watchAlive: (changed) => (listeners.add(changed), () => void listeners.delete(changed)),
      signal: abort.signal,
    });
  const end = () => {
    state.alive = false;
    for (const listener of listeners) listener();
  };
  return { host, read, end, abort };
}

async function all(options: LogOptions): Promise<string> {
  const { read } = await setup();
  let out = '';
  for await (const chunk of read(options)) out += decodeText(chunk);
  return out;
}

describe('reading', () => {
  it.each<[string, LogOptions, string]>([
    ['everything, parts joined', {}, 'one\noops\nthree\nfour\n'],
    ['the last lines', { tailLines: 1 }, 'four\n'],
    ['no lines', { tailLines: 0 }, ''],
    ['more lines than there are', { tailLines: 99 }, 'one\noops\nthree\nfour\n'],
    ['since seconds', { sinceSeconds: 2 }, 'three\nfour\n'],
    ['since a time', { sinceTime: '2026-01-01T00:00:04Z' }, 'four\n'],
    ['one stream', { stream: 'Stderr' }, 'oops\n'],
    ['at most so many bytes', { limitBytes: 6 }, 'one\noo'],
    [
      'with times, once for a line in parts',
      { tailLines: 3, timestamps: true },
      '2026-01-01T00:00:03.000000001Z three\n2026-01-01T00:00:04.000000001Z four\n',
    ],
  ])('%s', async (_, options, expected) => {
    expect(await all(options)).toBe(expected);
  });

  it('characters that fall across blocks stay whole', async () => {
    const long = 'ü'.repeat(50_000);
    const { read } = await setup(line(1, long) + line(2, 'end'));
    let out = '';
    for await (const chunk of read({})) out += decodeText(chunk);
    expect(out).toBe(`${long}\nend\n`);
  });
});

describe('following', () => {
  it('pushes new lines and ends with the container', async () => {
    const { host, read, end } = await setup(line(1, 'one'));
    const source = read({ follow: true })[Symbol.asyncIterator]();
    expect(decodeText((await source.next()).value!)).toBe('one\n');
    const next = source.next();
    await host.files.write(PATH, line(1, 'one') + line(2, 'two'), 0o644);
    expect(decodeText((await next).value!)).toBe('two\n');
    const last = source.next();
    await host.files.write(PATH, line(1, 'one') + line(2, 'two') + line(3, 'bye'), 0o644);
    end();
    expect(decodeText((await last).value!)).toBe('bye\n');
    expect((await source.next()).done).toBe(true);
  });

  it('ends when the reader goes away', async () => {
    const { read, abort } = await setup(line(1, 'one'));
    const source = read({ follow: true })[Symbol.asyncIterator]();
    await source.next();
    const next = source.next();
    abort.abort();
    expect((await next).done).toBe(true);
  });
});

describe('termination messages', () => {
  it('take the last lines that fit', () => {
    expect(lastLogLines(LOG, { lines: 2, bytes: 100 })).toBe('three\nfour\n');
    expect(lastLogLines(LOG, { lines: 80, bytes: 7 })).toBe('e\nfour\n');
    expect(lastLogLines(`cut off\n${LOG}`, { lines: 80, bytes: 100 })).toBe('one\noops\nthree\nfour\n');
  });
});
