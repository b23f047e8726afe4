import { expect, test } from 'vitest';
import { VirtualClock } from '../base/virtual-clock.ts';
import { BodyBudget } from './body-budget.ts';
import type { HttpExchange } from './http-exchange.ts';

const MB = 1024 * 1024;
const LIMIT = 3 * MB;

/** A request whose body comes when it is told to. */
function slow(told?: number) {
  let give!: (body: Uint8Array) => void;
  const body = new Promise<Uint8Array>((resolve) => (give = resolve));
  const headers = told === undefined ? {} : { 'content-length': String(told) };
  return { exchange: { headers, body: () => body } as unknown as HttpExchange, give: () => give(new Uint8Array(1)) };
}

test('large bodies under way are bounded together; small ones are always taken', async () => {
  const budget = new BodyBudget(new VirtualClock());
  const all = Array.from({ length: 200 }, () => slow());
  const outcomes = all.map(({ exchange }) =>
    budget.read(exchange, LIMIT).then(
      () => 'read',
      (error: Error) => error.name && (error as Error & { reason: string }).reason,
    ),
  );
  await Promise.resolve();
  const small = slow(3000);
  small.give();
  expect(await budget.read(small.exchange, LIMIT)).toHaveLength(1);
  await expect(budget.read(slow(MB * 2).exchange, LIMIT)).rejects.toMatchObject({
    code: 429,
    details: { retryAfterSeconds: 1 },
  });
  for (const { give } of all) give();
  const ended = await Promise.all(outcomes);
  expect(ended.filter((one) => one === 'read')).toHaveLength(85);
  expect(ended.filter((one) => one === 'TooManyRequests')).toHaveLength(115);
  // What was held is given back.
  const again = slow();
  again.give();
  expect(await budget.read(again.exchange, LIMIT)).toHaveLength(1);
});

test('a body that does not come is given up after a minute', async () => {
  const clock = new VirtualClock();
  const budget = new BodyBudget(clock);
  let error: unknown;
  budget.read(slow(100).exchange, LIMIT).catch((e: unknown) => (error = e));
  await clock.advance(59_000);
  expect(error).toBeUndefined();
  await clock.advance(7_000);
  expect(error).toMatchObject({ reason: 'Timeout', code: 504 });
});
