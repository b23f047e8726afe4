// `npm run simulate -- --seed N --rounds M`: rounds of seeded histories with faults; a failure prints its seed and the
// shortest history that shows it.

import { parseArgs } from 'node:util';
import { history, runRound, shrink } from '../test/simulation/round.ts';

const { values } = parseArgs({ options: { seed: { type: 'string' }, rounds: { type: 'string', default: '200' } } });
const first = values.seed === undefined ? Math.floor(performance.timeOrigin) % 1_000_000 : Number(values.seed);
const rounds = Number(values.rounds);
if (!Number.isInteger(first) || !Number.isInteger(rounds) || rounds < 1) {
  throw new Error('usage: npm run simulate -- [--seed N] [--rounds M], both whole numbers');
}
const started = performance.now();
for (let seed = first; seed < first + rounds; seed++) {
  const steps = history(seed);
  const faults = await runRound(seed, steps);
  if (faults.length === 0) continue;
  const short = await shrink(seed, steps);
  console.error(
    `seed ${seed} fails:\n  ${faults.join('\n  ')}\nshortest history:\n  ${short.map((s) => JSON.stringify(s)).join('\n  ')}`,
  );
  process.exitCode = 1;
  break;
}
const seconds = ((performance.now() - started) / 1000).toFixed(1);
if (!process.exitCode) console.log(`${rounds} rounds from seed ${first} on: all well (${seconds} s)`);
