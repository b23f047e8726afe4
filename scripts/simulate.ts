// `npm run simulate -- [--seed N] [--rounds M] [--jobs J]`: rounds of seeded histories, in several processes; the first
// failure prints its seed and the shortest history that shows it. `--replay FILE` runs a printed history and tells
// everything that happens in it.

import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { drawHistory, parseHistory, printHistory } from '../test/simulation/history.ts';
import { runHistory } from '../test/simulation/round.ts';
import { shrink } from '../test/simulation/shrink.ts';
import { tracing } from '../test/simulation/trace.ts';

interface Part {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly coverage: readonly (readonly [string, number])[];
  readonly changes: number;
}

const USAGE = 'usage: npm run simulate -- [--seed N] [--rounds M] [--jobs J] [--coverage] | --replay FILE';
const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    rounds: { type: 'string', default: '1000' },
    jobs: { type: 'string', default: '2' },
    coverage: { type: 'boolean', default: false },
    replay: { type: 'string' },
    worker: { type: 'boolean', default: false },
  },
});
const whole = (text: string, least: number) => {
  const n = Number(text);
  if (!Number.isInteger(n) || n < least) throw new Error(USAGE);
  return n;
};

if (values.replay !== undefined) await replay(values.replay);
else {
  const first = values.seed === undefined ? Math.floor(performance.timeOrigin) % 1_000_000 : whole(values.seed, 0);
  const rounds = whole(values.rounds, 1);
  const jobs = whole(values.jobs, 1);
  if (values.worker) await work(first, rounds, jobs);
  else await lead(first, rounds, Math.min(jobs, rounds));
}

async function replay(file: string): Promise<void> {
  const { violations } = await runHistory(parseHistory(readFileSync(file, 'utf8')), tracing(console.log));
  console.log(violations.length ? `fails:\n  ${violations.join('\n  ')}` : 'all well');
  process.exitCode = violations.length ? 1 : 0;
}

/** Every `stride`-th seed from the first on. */
async function work(first: number, rounds: number, stride: number): Promise<void> {
  for (let seed = first; seed < first + rounds; seed += stride) {
    const { violations, coverage, changes } = await runHistory(drawHistory(seed));
    process.send!({ seed, violations, coverage: [...coverage], changes } satisfies Part);
    if (violations.length > 0) return;
  }
}

async function lead(first: number, rounds: number, jobs: number): Promise<void> {
  const started = performance.now();
  const coverage = new Map<string, number>();
  let [done, changes, shown] = [0, 0, started];
  let failed: Part | undefined;
  const speed = () => `${(done / ((performance.now() - started) / 1000)).toFixed(0)} a second`;
  const workers = Array.from({ length: jobs }, (_, index) => {
    const args = [
      '--worker',
      '--seed',
      String(first + index),
      '--rounds',
      String(rounds - index),
      '--jobs',
      String(jobs),
    ];
    return fork(new URL(import.meta.url), args);
  });
  const take = (part: Part) => {
    done++;
    changes += part.changes;
    for (const [name, n] of part.coverage) coverage.set(name, (coverage.get(name) ?? 0) + n);
    if (part.violations.length > 0) {
      if (!failed || part.seed < failed.seed) failed = part;
      for (const worker of workers) worker.kill();
    }
    if (performance.now() - shown < 5000) return;
    shown = performance.now();
    console.log(`${done} of ${rounds} rounds, ${speed()}`);
  };
  const ends = workers.map(
    (worker) =>
      new Promise<void>((resolve, reject) => {
        worker.on('message', (part) => take(part as Part));
        worker.on('exit', (code) => (code && !failed ? reject(new Error(`a worker ended with ${code}`)) : resolve()));
      }),
  );
  await Promise.all(ends);
  if (values.coverage) report(coverage);
  if (failed) return fail(failed);
  console.log(`${rounds} rounds from seed ${first} on, ${changes} changes: all well (${speed()})`);
}

function report(coverage: ReadonlyMap<string, number>): void {
  for (const [name, n] of [...coverage].sort(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`${String(n).padStart(8)} ${name}`);
}

async function fail({ seed, violations }: Part): Promise<void> {
  console.error(`seed ${seed} fails:\n  ${violations.join('\n  ')}\nmaking its history short ...`);
  const short = await shrink(drawHistory(seed), async (history) => (await runHistory(history)).violations.length > 0);
  const { violations: left } = await runHistory(short);
  console.error(`\n${printHistory(short)}\n\nfails:\n  ${left.join('\n  ')}`);
  console.error('\nsave these lines, without the last ones, and see what happens: npm run simulate -- --replay FILE');
  process.exitCode = 1;
}
