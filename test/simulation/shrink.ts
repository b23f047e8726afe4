// Makes a failing history short: leaves out deeds, halves first, then single ones, and puts settings back to the calm
// ones, as long as it still fails. Any failure will do: the shortest one is the clearest.

import { calm, type Deed, type History, type Settings } from './history.ts';

export type Fails = (history: History) => Promise<boolean>;

/** Runs `fails` at most `tries` times; the result fails. */
export async function shrink(history: History, fails: Fails, tries = 200): Promise<History> {
  let best = history;
  const counter = { left: tries };
  const better = async (candidate: History) => {
    if (counter.left <= 0) return;
    counter.left--;
    if (await fails(candidate)) best = candidate;
  };
  for (let before = ''; before !== JSON.stringify(best);) {
    before = JSON.stringify(best);
    for (const name of Object.keys(calm) as (keyof Settings)[]) {
      if (best.settings[name] !== calm[name])
        await better({ ...best, settings: { ...best.settings, [name]: calm[name] } });
    }
    for (let size = Math.ceil(best.deeds.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let end = best.deeds.length; end > 0; end -= size) {
        const from = Math.max(0, end - size);
        if (from < best.deeds.length) await better({ ...best, deeds: best.deeds.toSpliced(from, end - from) });
      }
    }
    await better({ ...best, deeds: inSeconds(best.deeds) });
  }
  return best;
}

/** Whole seconds are easier to read than what was drawn. */
function inSeconds(deeds: readonly Deed[]): Deed[] {
  return deeds.map((deed) => ({ ...deed, at: Math.round(deed.at / 1000) * 1000 }));
}
