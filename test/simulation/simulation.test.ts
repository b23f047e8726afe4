// Seeded histories of a cluster in trouble: afterwards, and at every moment, it has to be as it was asked to be. And the
// simulation itself: the same seed is the same history, bugs made on purpose are found, and what fails is made short.

import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { dropsEvents, forgetsGarbage, givesAwayTooMuch, skipsSync, trustsStaleCaches } from './bugs.ts';
import { drawHistory, parseHistory, printHistory, type History } from './history.ts';
import { runHistory } from './round.ts';
import { shrink } from './shrink.ts';
import type { Planted, World } from './world.ts';

const ROUNDS = Number(process.env['SIMULATION_ROUNDS'] ?? 1000);
/** A planted bug has to be found within so many histories. */
const SOON = 60;

const fails = async (history: History, planted: Planted) =>
  (await runHistory(history, { planted })).violations.length > 0;

async function firstFailure(planted: () => Planted) {
  for (let seed = 1; seed <= SOON; seed++) {
    const { violations } = await runHistory(drawHistory(seed), { planted: planted() });
    if (violations.length > 0) return { history: drawHistory(seed), violations };
  }
  throw new Error(`not found in ${SOON} histories`);
}

it(`${ROUNDS} histories end as they should`, () => {
  const script = new URL('../../scripts/simulate.ts', import.meta.url).pathname;
  const args = [script, '--seed', '1', '--rounds', String(ROUNDS)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout).toContain('all well');
  expect(status).toBe(0);
}, 900_000);

/** Every change with its time. */
async function tale(seed: number): Promise<string> {
  const lines: string[] = [];
  const trace = ({ truth, clock }: World) =>
    void truth.listeners.push(({ key, revision, object }) =>
      lines.push(`${clock.now()} ${revision} ${key} ${JSON.stringify(object)}`),
    );
  await runHistory(drawHistory(seed), { trace });
  return lines.join('\n');
}

it('the same seed is the same history, to the byte', async () => {
  const tales = [];
  for (const seed of [3, 7, 21]) {
    const told = await tale(seed);
    expect(told.length).toBeGreaterThan(10_000);
    expect(await tale(seed)).toBe(told);
    tales.push(told);
  }
  expect(new Set(tales).size).toBe(3);
});

it('what is printed of a history is that history', () => {
  const history = drawHistory(5);
  expect(parseHistory(printHistory(history))).toEqual(history);
  expect(() => parseHistory('{"seed":1}\n{"at":0,"do":"nothing"}')).toThrow('there is no "nothing"');
});

describe('a bug made on purpose is found', () => {
  it.each([
    ['a watch event that is dropped', () => dropsEvents(10), /watch of|never ended|wanted|not ready|listing/],
    ['a write that is acknowledged before it is durable', () => skipsSync, /lost write|fell back/],
    ['a controller that trusts a stale cache', () => trustsStaleCaches, /never asked for more/],
    ['a rollout that gives away too much', () => givesAwayTooMuch, /must keep/],
    ['a garbage collector that forgets', () => forgetsGarbage(3), /garbage|still being deleted|wanted/],
  ])('%s', async (_, planted, symptom) => {
    const { history, violations } = await firstFailure(planted);
    expect(violations.join()).toMatch(symptom);
    // It is the bug, not the history.
    expect((await runHistory(history)).violations).toEqual([]);
    const short = await shrink(history, (h) => fails(h, planted()), 80);
    expect(short.deeds.length).toBeLessThanOrEqual(4);
    expect(await fails(short, planted())).toBe(true);
    expect(await fails(parseHistory(printHistory(short)), planted())).toBe(true);
  });
});

describe('shrink', () => {
  it('leaves what is needed for the failure, and nothing else', async () => {
    const deeds = Array.from({ length: 40 }, (_, index) => ({ at: index * 700, do: 'note', n: index }));
    const history: History = { ...drawHistory(1), deeds };
    let tries = 0;
    const short = await shrink(history, async ({ deeds: left, settings }) => {
      tries++;
      return (
        left.some((d) => d['n'] === 7) &&
        left.some((d) => d['n'] === 31) &&
        settings.managers === history.settings.managers
      );
    });
    expect(short.deeds.map((deed) => deed['n'])).toEqual([7, 31]);
    expect(short.settings).toMatchObject({ jitter: 0, sync: 0, bookmarks: true, drift: 0, flaky: 0 });
    expect(tries).toBeLessThanOrEqual(200);
  });
});
