// Seeded histories with lost, late and doubled messages, broken watches, silent nodes and restarts: afterwards the
// cluster has to be as it was asked to be. And the simulation itself is tested with a bug made on purpose.

import { expect, test } from 'vitest';
import { history, runRound, shrink } from './round.ts';

const ROUNDS = 200;

test(`${ROUNDS} rounds end as they should`, async () => {
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const faults = await runRound(seed, history(seed));
    if (faults.length > 0) {
      const short = await shrink(seed, history(seed));
      expect.fail(`seed ${seed}: ${faults.join('; ')}\nshortest history: ${JSON.stringify(short)}`);
    }
  }
});

test('a swallowed watch event is found, and its history made short', async () => {
  const swallow = { swallow: 3 };
  let found: { seed: number; faults: string[] } | undefined;
  for (let seed = 1; seed <= 20 && !found; seed++) {
    const faults = await runRound(seed, history(seed), swallow);
    if (faults.length > 0) found = { seed, faults };
  }
  expect(found).toBeDefined();
  const short = await shrink(found!.seed, history(found!.seed), swallow);
  expect(short.length).toBeLessThanOrEqual(3);
  expect(await runRound(found!.seed, short, swallow)).not.toEqual([]);
  expect(await runRound(found!.seed, short)).toEqual([]);
});
