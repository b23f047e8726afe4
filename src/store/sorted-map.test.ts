import { expect, test } from 'vitest';
import { SortedMap } from './sorted-map.ts';

/** A small linear congruential generator: the test is the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('agrees with a plain map, before and after a fork', () => {
  const random = numbers(7);
  let map = new SortedMap<number>();
  let model = new Map<string, number>();
  const forks: { map: SortedMap<number>; model: Map<string, number> }[] = [];
  const key = () => `/${random(4)}/${random(700)}`;
  const check = (map: SortedMap<number>, model: Map<string, number>) => {
    const all = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(map.size).toBe(model.size);
    expect(map.keys('')).toEqual(all.map(([k]) => k));
    for (const prefix of ['/1/', '/2/1', '/none', '/3/699', '0']) {
      const range = { after: `${prefix}${random(9)}`, limit: random(400) };
      const expected = all.filter(([k]) => k.startsWith(prefix));
      expect(map.list(prefix)).toEqual(expected.map(([, v]) => v));
      expect(map.count(prefix)).toBe(expected.length);
      const page = expected.filter(([k]) => k > range.after).slice(0, range.limit);
      expect(map.keys(prefix, range)).toEqual(page.map(([k]) => k));
    }
  };
  for (let i = 0; i < 12_000; i++) {
    const k = key();
    expect(map.get(k)).toBe(model.get(k));
    // Grow first, shrink later.
    if (random(10) < (i < 6000 ? 7 : 3)) {
      expect(map.set(k, i)).toBe(model.get(k));
      model.set(k, i);
    } else {
      expect(map.delete(k)).toBe(model.get(k));
      model.delete(k);
    }
    if (i % 1000 === 999) {
      check(map, model);
      forks.push({ map, model });
      map = map.fork();
      model = new Map(model);
    }
  }
  for (const fork of forks) check(fork.map, fork.model);
});

test('a range may start below, within and above the keys', () => {
  const map = new SortedMap<number>();
  for (let i = 0; i < 1000; i++) map.set(`b/${String(i).padStart(4, '0')}`, i);
  expect(map.list('b/', { after: 'a', limit: 2 })).toEqual([0, 1]);
  expect(map.list('b/', { after: 'b/0499', limit: 2 })).toEqual([500, 501]);
  expect(map.list('b/', { after: 'b/9999' })).toEqual([]);
  expect(map.list('b/', { after: 'c' })).toEqual([]);
  expect(map.list('a')).toEqual([]);
  expect(map.list('c')).toEqual([]);
  expect(map.list('b/', { limit: 0 })).toEqual([]);
});
