import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../base/virtual-clock.ts';
import { WorkQueue } from './work-queue.ts';

function makeQueue(options: Partial<ConstructorParameters<typeof WorkQueue>[0]> = {}) {
  const clock = new VirtualClock();
  return { clock, queue: new WorkQueue({ clock, ...options }) };
}
const drain = (queue: WorkQueue) => {
  const keys: string[] = [];
  for (let key = queue.take(); key !== undefined; key = queue.take()) keys.push(key);
  return keys;
};

describe('WorkQueue', () => {
  it('hands keys out in order, each once', () => {
    const { queue } = makeQueue();
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
    expect(queue.depth).toBe(3);
    expect(drain(queue)).toEqual(['a', 'b', 'c']);
    expect([queue.depth, queue.processing]).toEqual([0, 3]);
  });

  it('keeps a key added during its work back until that is done', () => {
    const { queue } = makeQueue();
    queue.add('a');
    expect(queue.take()).toBe('a');
    queue.add('a');
    queue.add('a');
    expect(queue.take()).toBeUndefined();
    queue.done('a');
    expect(drain(queue)).toEqual(['a']);
    queue.done('a');
    queue.done('a');
    expect(queue.take()).toBeUndefined();
  });

  it('keeps order over many keys', () => {
    const { queue } = makeQueue();
    const taken: (string | undefined)[] = [];
    for (let i = 0; i < 5000; i++) {
      queue.add(`k${i}`);
      if (i % 3 === 0) taken.push(queue.take());
    }
    taken.push(...drain(queue));
    expect(taken).toEqual(Array.from({ length: 5000 }, (_, i) => `k${i}`));
  });

  it('adds later, at the earliest time asked for', async () => {
    const { clock, queue } = makeQueue();
    queue.addAfter('a', 100);
    queue.addAfter('a', 50);
    queue.addAfter('a', 200);
    queue.addAfter('now', 0);
    expect(drain(queue)).toEqual(['now']);
    await clock.advance(49);
    expect(queue.depth).toBe(0);
    await clock.advance(1);
    expect(drain(queue)).toEqual(['a']);
    queue.done('a');
    await clock.advance(1000);
    expect(queue.depth).toBe(0);
  });

  it('doubles the pause of a failing key from 5 ms to 1,000 s', async () => {
    const { clock, queue } = makeQueue();
    const pauses: number[] = [];
    for (let i = 0; i < 20; i++) {
      queue.addRateLimited('a');
      const at = clock.now();
      const next = clock.nextForeground()!;
      await clock.advanceTo(next);
      pauses.push(next - at);
      expect(queue.take()).toBe('a');
      queue.done('a');
    }
    expect(pauses.slice(0, 5)).toEqual([5, 10, 20, 40, 80]);
    expect(pauses.at(-1)).toBe(1_000_000);
    expect(queue.retries('a')).toBe(20);
    queue.forget('a');
    queue.addRateLimited('a');
    expect(clock.nextForeground()! - clock.now()).toBe(5);
  });

  it('does not let idle waits keep the system unsettled', async () => {
    const { clock, queue } = makeQueue();
    queue.addAfter('a', 1000, { idle: true });
    expect(clock.nextForeground()).toBeUndefined();
    queue.addAfter('a', 3000);
    expect(clock.nextForeground()).toBe(clock.now() + 3000);
    await clock.advance(1000);
    expect(drain(queue)).toEqual(['a']);
  });

  it('tells when a key becomes available, and what it measured', async () => {
    let ready = 0;
    const seen: unknown[] = [];
    const { clock, queue } = makeQueue({
      ready: () => ready++,
      metrics: {
        added: (depth) => seen.push(['added', depth]),
        taken: (depth, waited) => seen.push(['taken', depth, waited]),
        done: (worked) => seen.push(['done', worked]),
        retried: () => seen.push('retried'),
      },
    });
    queue.add('a');
    await clock.advance(7);
    queue.take();
    queue.add('a');
    expect(ready).toBe(1);
    await clock.advance(2);
    queue.done('a');
    expect(ready).toBe(2);
    queue.addRateLimited('b');
    expect(seen).toEqual([['added', 1], ['taken', 0, 7], ['added', 0], ['done', 2], 'retried']);
  });

  it('forgets everything when closed', async () => {
    const { clock, queue } = makeQueue();
    queue.add('a');
    queue.addAfter('b', 10);
    queue.close();
    queue.add('c');
    await clock.advance(100);
    expect(queue.take()).toBeUndefined();
    expect(clock.nextForeground()).toBeUndefined();
  });
});

it('knows with a key which revision asked for it: the last that was news, else the first', () => {
  const queue = new WorkQueue({ clock: new VirtualClock() });
  queue.add('a', 5);
  queue.add('a', 7);
  queue.add('a', -8);
  queue.add('b', -9);
  queue.add('c');
  queue.add('c', 4);
  const taken = () => [queue.take(), queue.cause];
  expect([taken(), taken(), taken()]).toEqual([
    ['a', 7],
    ['b', 9],
    ['c', 4],
  ]);
  queue.add('a', 10);
  queue.done('a');
  expect(taken()).toEqual(['a', 10]);
});
