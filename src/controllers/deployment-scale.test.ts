import { describe, expect, it } from 'vitest';
import type { Deployment } from '../api/kinds/apps/deployment.ts';
import type { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { currentSize, growCurrent, limitsOf, resize, shrinkOld, type Sizes } from './deployment-scale.ts';
import { DESIRED_REPLICAS, MAX_REPLICAS } from './deployment-sets.ts';

const deployment = (
  replicas: number,
  maxSurge: number | string = 0,
  maxUnavailable: number | string = 0,
  type = 'RollingUpdate',
) => ({ spec: { replicas, strategy: { type, rollingUpdate: { maxSurge, maxUnavailable } } } }) as Deployment;
let born = 0;
const set = (
  name: string,
  replicas: number,
  available = replicas,
  annotations: Record<string, string> = {},
): ReplicaSet =>
  ({
    metadata: { name, creationTimestamp: `2026-01-01T00:00:${String(born++ % 60).padStart(2, '0')}Z`, annotations },
    spec: { replicas },
    status: { replicas, availableReplicas: available },
  }) as unknown as ReplicaSet;
const show = (sizes: Sizes) => Object.fromEntries([...sizes].map(([s, n]) => [s.metadata.name, n]));

it.each([
  [10, '25%', '25%', 3, 2],
  [10, 0, 0, 0, 1],
  [1, '0%', '25%', 0, 1],
  [2, 5, 5, 5, 2],
  [0, 1, 1, 1, 0],
])('limits of %i with surge %s and unavailable %s', (replicas, surge, down, maxSurge, maxUnavailable) => {
  expect(limitsOf(deployment(replicas, surge, down))).toEqual({ maxSurge, maxUnavailable });
});

it('has no limits under Recreate', () => {
  expect(limitsOf(deployment(10, 1, 1, 'Recreate'))).toEqual({ maxSurge: 0, maxUnavailable: 0 });
  expect(currentSize(deployment(10, 0, 0, 'Recreate'), [set('old', 10), set('new', 0)], set('new', 0))).toBe(10);
});

describe('growCurrent', () => {
  it.each([
    // replicas, surge, old size, new size, expected
    [10, 0, 10, 0, {}],
    [10, 2, 10, 0, { new: 2 }],
    [10, 2, 5, 0, { new: 7 }],
    [10, 2, 10, 2, {}],
    [10, 2, 2, 11, { new: 10 }],
    [10, 5, 0, 10, {}],
    [10, 2, 0, 8, { new: 10 }],
  ])('%i wanted, surge %i, old %i, new %i', (replicas, surge, oldSize, newSize, expected) => {
    const [old, fresh] = [set('old', oldSize), set('new', newSize)];
    expect(show(growCurrent(deployment(replicas, surge), [old, fresh], fresh))).toEqual(expected);
  });
});

describe('shrinkOld', () => {
  it.each([
    // replicas, unavailable, old [size, available], new [size, available], expected
    [10, 0, [10, 10], [0, 0], {}],
    [10, 2, [10, 10], [0, 0], { old: 8 }],
    [10, 2, [10, 8], [0, 0], { old: 8 }],
    [10, 2, [10, 9], [0, 0], { old: 8 }],
    [10, 2, [10, 10], [2, 0], { old: 8 }],
    [10, 2, [8, 8], [2, 0], {}],
    [10, 2, [8, 8], [4, 4], { old: 4 }],
    [10, 2, [8, 0], [4, 0], { old: 8 - (8 + 4 - 8 - 4) }],
    [10, 0, [10, 0], [5, 5], { old: 5 }],
    [10, 2, [0, 0], [10, 10], {}],
    // The old set's status still counts pods that it has to give up.
    [2, 0, [2, 5], [1, 1], { old: 1 }],
  ] as const)(
    '%i wanted, %i may be missing, old %j, new %j',
    (replicas, down, [size, available], [newSize, newAvailable], expected) => {
      const sizes = show(
        shrinkOld(deployment(replicas, 5, down), [set('old', size, available)], set('new', newSize, newAvailable)),
      );
      // A set that keeps its size need not be named.
      expect({ old: size as number, ...sizes }).toEqual({ old: size, ...expected });
    },
  );

  it('takes what does not work from the oldest first, then what does', () => {
    const [a, b] = [set('a', 4, 3), set('b', 4, 2)];
    expect(show(shrinkOld(deployment(10, 0, 5), [b, a], set('new', 2, 2)))).toEqual({ a: 1, b: 2 });
  });
});

describe('resize', () => {
  const sized = (name: string, n: number, available = n, desired = 10, max = 10) =>
    set(name, n, available, { [DESIRED_REPLICAS]: String(desired), [MAX_REPLICAS]: String(max) });

  it.each<[string, number, number, [string, number][], [string, number] | undefined, object]>([
    ['the only living set', 12, 0, [['old', 0]], ['new', 10], { new: 12 }],
    [
      'the latest when none lives',
      5,
      0,
      [
        ['a', 0],
        ['b', 0],
      ],
      undefined,
      { b: 5 },
    ],
    ['the current when none lives', 5, 0, [['a', 0]], ['new', 0], { new: 5 }],
    ['up in proportion', 20, 0, [['old', 5]], ['new', 5], { new: 10, old: 10 }],
    ['down in proportion', 5, 0, [['old', 8]], ['new', 2], { old: 4, new: 1 }],
    [
      'leftover to the largest',
      11,
      0,
      [
        ['a', 3],
        ['b', 3],
      ],
      ['new', 4],
      { new: 5, b: 3, a: 3 },
    ],
    ['to nothing', 0, 2, [['old', 5]], ['new', 5], { new: 0, old: 0 }],
    ['with surge', 20, 4, [['old', 8]], ['new', 4], { old: 8 + Math.round((8 * 24) / 12) - 8, new: 8 }],
  ])('%s', (_, replicas, surge, old, current, expected) => {
    const max = 10 + (surge === 4 ? 2 : 0);
    const make = ([name, n]: [string, number]) => sized(name, n, n, 10, max);
    expect(show(resize(deployment(replicas, surge), old.map(make), current && make(current)))).toEqual(expected);
  });

  it('empties the others when the current set is complete', () => {
    const sets = [sized('a', 3), sized('b', 1)];
    expect(show(resize(deployment(10), sets, sized('new', 10)))).toEqual({ a: 0, b: 0 });
  });

  it('does not share out under Recreate', () => {
    expect(show(resize(deployment(20, 0, 0, 'Recreate'), [sized('a', 5)], sized('new', 5)))).toEqual({});
  });

  it('has nothing to do without sets', () => {
    expect(show(resize(deployment(3), [], undefined))).toEqual({});
  });
});
