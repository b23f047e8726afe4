import { expect, test } from 'vitest';
import { ByteBudget, ByteQueue, LatestValue } from './byte-queue.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);

async function all(queue: ByteQueue): Promise<number[]> {
  const out: number[] = [];
  for await (const chunk of queue) out.push(...chunk);
  return out;
}

test('what is pushed is delivered in order, before and after the consumer comes', async () => {
  const queue = new ByteQueue(new ByteBudget(100));
  queue.push(bytes(1, 2));
  const read = all(queue);
  queue.push(bytes());
  queue.push(bytes(3));
  await Promise.resolve();
  queue.push(bytes(4));
  queue.end();
  queue.push(bytes(5));
  expect(await read).toEqual([1, 2, 3, 4]);
});

test('an error comes after what was pushed before it', async () => {
  const queue = new ByteQueue(new ByteBudget(100));
  queue.push(bytes(1));
  queue.end(new Error('broken'));
  const chunks = queue[Symbol.asyncIterator]();
  expect((await chunks.next()).value).toEqual(bytes(1));
  await expect(chunks.next()).rejects.toThrow('broken');
});

test('bytes count until the consumer is done with them', async () => {
  const budget = new ByteBudget(3);
  const [one, two] = [new ByteQueue(budget), new ByteQueue(budget)];
  one.push(bytes(1, 2));
  expect(budget.room()).toBeUndefined();
  two.push(bytes(3, 4));
  let room = false;
  void budget.room()!.then(() => (room = true));
  const chunks = one[Symbol.asyncIterator]();
  await chunks.next();
  await Promise.resolve();
  expect([budget.used, room]).toEqual([4, false]);
  void chunks.next();
  await Promise.resolve();
  await Promise.resolve();
  expect([budget.used, room]).toEqual([2, true]);
});

test('a consumer that leaves gives back what it did not read; later bytes are dropped', async () => {
  const budget = new ByteBudget(10);
  const queue = new ByteQueue(budget);
  queue.push(bytes(1, 2, 3));
  queue.push(bytes(4));
  for await (const _ of queue) break;
  queue.push(bytes(5));
  expect(budget.used).toBe(0);
});

test('discard ends a consumer that waits', async () => {
  const queue = new ByteQueue(new ByteBudget(10));
  const read = all(queue);
  await Promise.resolve();
  queue.discard();
  expect(await read).toEqual([]);
});

test('of values nobody took only the newest is delivered', async () => {
  const latest = new LatestValue<number>();
  const seen: number[] = [];
  const follow = async () => {
    for await (const value of latest) seen.push(value);
  };
  latest.set(1);
  latest.set(2);
  const following = follow();
  await Promise.resolve();
  latest.set(3);
  await new Promise((resolve) => queueMicrotask(() => resolve(undefined)));
  latest.set(4);
  latest.end();
  latest.set(5);
  await following;
  expect(seen.at(0)).toBe(2);
  expect(seen.at(-1)).toBe(4);
});
