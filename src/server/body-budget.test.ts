import { expect, test } from 'vitest';
import { VirtualClock } from '../base/virtual-clock.ts';
import { BodyBudget } from './body-budget.ts';
import type { HttpExchange } from './http-exchange.ts';

const MB = 1024 * 1024;
const SMALL = 64 * 1024;
const LIMIT = 3 * MB;

/** A request whose body comes piece by piece. */
function slow() {
  let came!: (bytes: number) => void;
  let end!: (body: Uint8Array) => void;
  const whole = new Promise<Uint8Array>((resolve) => (end = resolve));
  const exchange = {
    headers: {},
    body(_: number, tell: (bytes: number) => void) {
      came = tell;
      return whole;
    },
  } as unknown as HttpExchange;
  return { exchange, came: (bytes: number) => came(bytes), end: () => end(new Uint8Array(1)) };
}

test('what has come of bodies under way is bounded together; small ones are always taken', async () => {
  const budget = new BodyBudget(new VirtualClock());
  const all = Array.from({ length: 200 }, slow);
  const outcomes = all.map(({ exchange }) =>
    budget.read(exchange, LIMIT).then(
      () => 'read',
      (error: { reason: string; code: number; details: object }) => error,
    ),
  );
  // Nothing has come yet: nobody is refused for what might.
  for (const { came } of all) came(SMALL);
  for (const { came } of all) came(2 * MB);
  const small = slow();
  const reading = budget.read(small.exchange, LIMIT);
  small.came(SMALL);
  small.end();
  expect(await reading).toHaveLength(1);
  for (const { end } of all) end();
  const ended = await Promise.all(outcomes);
  // 200 x 64 KiB, then 2 MiB each until 256 MiB are full.
  expect(ended.filter((one) => one === 'read')).toHaveLength(121);
  expect(ended.at(-1)).toMatchObject({ reason: 'TooManyRequests', code: 429, details: { retryAfterSeconds: 1 } });
  // What was held is given back.
  const again = slow();
  const later = budget.read(again.exchange, LIMIT);
  again.came(2 * MB);
  again.end();
  expect(await later).toHaveLength(1);
});

test('a body that does not come is given up after a minute', async () => {
  const clock = new VirtualClock();
  const budget = new BodyBudget(clock);
  let error: unknown;
  budget.read(slow().exchange, LIMIT).catch((e: unknown) => (error = e));
  await clock.advance(59_000);
  expect(error).toBeUndefined();
  await clock.advance(7_000);
  expect(error).toMatchObject({ reason: 'Timeout', code: 504 });
});
