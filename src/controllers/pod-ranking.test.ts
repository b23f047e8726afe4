import { describe, expect, it } from 'vitest';
import type { Pod } from '../api/kinds/core/pod.ts';
import { rfc3339 } from '../base/env.ts';
import { DELETION_COST, podsToDelete } from './pod-ranking.ts';

const NOW = Date.UTC(2026, 0, 2);
const ago = (seconds: number) => rfc3339(NOW - seconds * 1000);

interface Shape {
  node?: string;
  phase?: string;
  /** Seconds since it became ready. */
  ready?: number;
  age?: number;
  cost?: string;
  restarts?: number;
  sidecarRestarts?: number;
}
const pod = (name: string, s: Shape = {}): Pod =>
  ({
    metadata: {
      name,
      uid: name,
      namespace: 'a',
      creationTimestamp: ago(s.age ?? 1000),
      ...(s.cost === undefined ? {} : { annotations: { [DELETION_COST]: s.cost } }),
    },
    spec: { containers: [], initContainers: [{ name: 'side', restartPolicy: 'Always' }], nodeName: s.node ?? 'n1' },
    status: {
      phase: s.phase ?? 'Running',
      conditions: [
        { type: 'Ready', status: s.ready === undefined ? 'False' : 'True', lastTransitionTime: ago(s.ready ?? 0) },
      ],
      containerStatuses: [{ name: 'c', restartCount: s.restarts ?? 0 }],
      initContainerStatuses: [{ name: 'side', restartCount: s.sidecarRestarts ?? 0 }],
    },
  }) as unknown as Pod;
const names = (pods: readonly Pod[]) => pods.map((p) => p.metadata.name);

describe('podsToDelete', () => {
  it.each<[string, Shape, Shape]>([
    ['unassigned before assigned', { node: '', phase: 'Pending' }, { ready: 10 }],
    ['pending before running', { phase: 'Pending' }, { phase: 'Running' }],
    ['unknown before running', { phase: 'Unknown' }, { phase: 'Running' }],
    ['not ready before ready', {}, { ready: 10 }],
    ['the cheaper', { ready: 1000, cost: '-10' }, { ready: 1 }],
    ['cost is no text', { ready: 1 }, { ready: 1000, cost: '1' }],
    ['readiness before cost', { cost: '100' }, { ready: 1, cost: '-100' }],
    ['the one ready for a shorter time', { ready: 10 }, { ready: 1000 }],
    ['more restarts', { ready: 10, restarts: 3 }, { ready: 10, restarts: 1 }],
    ['more restarts of a sidecar', { ready: 10, sidecarRestarts: 1 }, { ready: 10 }],
    ['the younger', { ready: 10, age: 20 }, { ready: 10, age: 2000 }],
  ])('%s', (_, first, second) => {
    const [a, b] = [pod('z-first', first), pod('a-second', second)];
    expect(names(podsToDelete([a, b], [], 1, NOW))).toEqual(['z-first']);
    expect(names(podsToDelete([b, a], [], 1, NOW))).toEqual(['z-first']);
  });

  it('thins out crowded nodes before looking at age', () => {
    const pods = [pod('alone', { node: 'n2', ready: 1 }), pod('one', { ready: 1000 }), pod('two', { ready: 1000 })];
    expect(names(podsToDelete(pods, pods, 1, NOW))).toEqual(['one']);
    const finished = { ...pods[1]!, status: { phase: 'Succeeded' } };
    expect(names(podsToDelete(pods, [pods[0]!, finished, pods[2]!], 1, NOW))).toEqual(['alone']);
  });

  it('leaves it to the UID among pods of about the same age', () => {
    const pods = [pod('b', { ready: 900 }), pod('a', { ready: 1000 })];
    expect(names(podsToDelete(pods, [], 1, NOW))).toEqual(['a']);
  });

  it('takes all when asked for all', () => {
    expect(names(podsToDelete([pod('x', { ready: 1 }), pod('y')], [], 2, NOW))).toEqual(['x', 'y']);
  });
});
