import { describe, expect, it } from 'vitest';
import type { Node, Pod } from '../api/generated/core-v1.ts';
import type { DaemonSet } from '../api/kinds/apps/daemon-set.ts';
import { daemonPod, HASH_LABEL, placement, targetNode } from './daemon-set-nodes.ts';
import { manage, roll, type Site, type Steps } from './daemon-set-rollout.ts';

const NOW = Date.UTC(2026, 0, 2);
const set = (rollingUpdate: object = { maxUnavailable: 1, maxSurge: 0 }, podSpec: object = {}): DaemonSet =>
  ({
    metadata: { name: 'ds', namespace: 'a', uid: 'u' },
    spec: {
      selector: { matchLabels: { app: 'ds' } },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate },
      template: { metadata: { labels: { app: 'ds' } }, spec: { containers: [], ...podSpec } },
    },
  }) as unknown as DaemonSet;
const node = (name: string, extra: { labels?: object; taints?: object[] } = {}): Node =>
  ({ metadata: { name, labels: extra.labels ?? {} }, spec: { taints: extra.taints } }) as unknown as Node;

/** A pod in shorthand: `new` or `old` template, then flags: `-` not ready, `F`ailed, `S`ucceeded, `D`eleted. */
function pod(name: string, text: string): Pod {
  const phase = text.includes('F') ? 'Failed' : text.includes('S') ? 'Succeeded' : 'Running';
  return {
    metadata: {
      name,
      namespace: 'a',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { [HASH_LABEL]: text.startsWith('new') ? 'h2' : 'h1' },
      ...(text.includes('D') ? { deletionTimestamp: 'x' } : {}),
    },
    spec: { nodeName: 'n' },
    status: { phase, conditions: [{ type: 'Ready', status: text.includes('-') ? 'False' : 'True' }] },
  } as unknown as Pod;
}
/** `n1: old new-` -> a site; `!` after the name: the node should not run the pod; `?`: it does not exist. */
function site(text: string): Site {
  const [head, rest = ''] = text.split(':');
  const name = head!.replace(/[!?]/g, '');
  const runs = !/[!?]/.test(head!);
  const pods = rest.trim()
    ? rest
        .trim()
        .split(/\s+/)
        .map((p, i) => pod(`${name}-${i}`, p))
    : [];
  return { name, node: head!.includes('?') ? undefined : node(name), runs, stays: runs, pods };
}
const show = (steps: Steps) => [
  ...steps.creates.map((n) => `+${n}`),
  ...steps.deletes.map((p) => `-${p.metadata.name}`),
];

describe('manage', () => {
  const managed = (texts: string[], ds = set()) => manage(ds, 'h2', texts.map(site), {}, NOW);

  it.each<[string, string[], string[]]>([
    ['one on every node that fits', ['a:', 'b: new', 'c!:'], ['+a']],
    ['none where it does not fit', ['a!: new', 'b!: newD'], ['-a-0']],
    ['the oldest of several', ['a: old new new'], ['-a-1', '-a-2']],
    ['waits for one on its way out', ['a: newD'], []],
    ['replaces what has ended', ['a: newF', 'b: newS'], ['-a-0', '-b-0']],
    ['not bound, and its node is gone', ['a?: new'], []],
  ])('%s', (_, texts, expected) => {
    expect(show(managed(texts))).toEqual(expected);
  });

  it('deletes unbound pods of nodes that are gone', () => {
    const gone = site('a?: new');
    const unbound = { ...gone, pods: gone.pods.map((p) => ({ ...p, spec: {} }) as Pod) };
    expect(show(manage(set(), 'h2', [unbound], {}, NOW))).toEqual(['-a-0']);
  });

  it.each<[string, string, string[]]>([
    ['new not ready, old ready: both stay', 'a: old new-', []],
    ['old not ready: it goes', 'a: old- new-', ['-a-0']],
    ['new available: the old goes', 'a: old new', ['-a-0']],
    ['more than two', 'a: old old new- new-', ['-a-3', '-a-1']],
  ])('with surge, %s', (_, text, expected) => {
    expect(show(managed([text], set({ maxSurge: 1, maxUnavailable: 0 })))).toEqual(expected);
  });

  it('leaves failed pods alone for a while that doubles', () => {
    let memory = {};
    let now = NOW;
    const waits: (number | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      const first = manage(set(), 'h2', [site('a: newF')], memory, now);
      expect(show(first)).toEqual(['-a-0']);
      expect(first.events).toMatchObject([{ type: 'Warning', reason: 'FailedDaemonPod' }]);
      const second = manage(set(), 'h2', [site('a: newF')], first.failures, now);
      expect(show(second)).toEqual([]);
      waits.push(second.again);
      memory = second.failures;
      now += second.again!;
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000]);
    const later = manage(set(), 'h2', [site('a: newF')], memory, now + 31 * 60_000);
    expect(manage(set(), 'h2', [site('a: newF')], later.failures, now + 31 * 60_000).again).toBe(1000);
  });
});

describe('roll', () => {
  it.each<[string, number | string, string[], string[]]>([
    ['one at a time', 1, ['a: old', 'b: old', 'c: new'], ['-a-0']],
    ['several', 2, ['a: old', 'b: old', 'c: new'], ['-a-0', '-b-0']],
    ['a percentage, rounded up', '40%', ['a: old', 'b: old', 'c: old'], ['-a-0', '-b-0']],
    ['not while a new one is not available', 1, ['a: old', 'b: new-'], []],
    ['old ones that do not work at once', 1, ['a: old', 'b: old-', 'c: old-'], ['-b-0', '-c-0']],
    ['not while one is on its way out', 1, ['a: old', 'b: oldD'], []],
    ['nothing left', 1, ['a: new', 'b: new'], []],
  ])('without surge: %s', (_, maxUnavailable, texts, expected) => {
    expect(show(roll(set({ maxUnavailable, maxSurge: 0 }), 'h2', texts.map(site), NOW))).toEqual(expected);
  });

  it.each<[string, number | string, string[], string[]]>([
    ['a new one beside the old', 1, ['a: old', 'b: old'], ['+a']],
    ['no more than allowed', 1, ['a: old new-', 'b: old'], []],
    ['the old goes when the new works', 1, ['a: old new', 'b: old'], ['+b', '-a-0']],
    ['an old one that does not work is replaced at once', 1, ['a: old', 'b: old-', 'c: old new-'], ['+b']],
    ['misplaced ones only while enough are available', 1, ['a!: old', 'b: new'], ['-a-0']],
    ['misplaced ones stay while others do not work', 1, ['a!: old', 'b: new-'], []],
  ])('with surge: %s', (_, maxSurge, texts, expected) => {
    expect(show(roll(set({ maxSurge, maxUnavailable: 0 }), 'h2', texts.map(site), NOW))).toEqual(expected);
  });
});

describe('placement', () => {
  const NO_SCHEDULE = { key: 'x', effect: 'NoSchedule' };
  const NO_EXECUTE = { key: 'x', effect: 'NoExecute' };
  it.each<[string, object, Node, boolean, boolean]>([
    ['anywhere', {}, node('a'), true, true],
    ['by node selector', { nodeSelector: { disk: 'ssd' } }, node('a'), false, false],
    ['matching', { nodeSelector: { disk: 'ssd' } }, node('a', { labels: { disk: 'ssd' } }), true, true],
    ['tainted: stays if it was there', {}, node('a', { taints: [NO_SCHEDULE] }), false, true],
    ['tainted harder', {}, node('a', { taints: [NO_EXECUTE] }), false, false],
    ['tolerated', { tolerations: [{ key: 'x', operator: 'Exists' }] }, node('a', { taints: [NO_EXECUTE] }), true, true],
    [
      'daemons stay where nodes fail',
      {},
      node('a', { taints: [{ key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' }] }),
      true,
      true,
    ],
    [
      'no network yet',
      {},
      node('a', { taints: [{ key: 'node.kubernetes.io/network-unavailable', effect: 'NoSchedule' }] }),
      false,
      true,
    ],
    [
      'no network needed',
      { hostNetwork: true },
      node('a', { taints: [{ key: 'node.kubernetes.io/network-unavailable', effect: 'NoSchedule' }] }),
      true,
      true,
    ],
    ['another node by name', { nodeName: 'b' }, node('a'), false, false],
  ])('%s', (_, podSpec, where, runs, stays) => {
    expect(placement(set({}, podSpec), where)).toEqual({ runs, stays });
  });
});

it('makes a pod for one node, whatever affinity the template has', () => {
  const affinity = {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }],
      },
    },
    podAntiAffinity: {},
  };
  const mine = { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' };
  const made = daemonPod(set({}, { affinity, tolerations: [mine] }), 'h2', 'n7') as Pod;
  expect(targetNode(made)).toBe('n7');
  expect(made.spec.affinity).toMatchObject({ podAntiAffinity: {} });
  expect(made.spec.tolerations!.length).toBe(6);
  expect(made.metadata).toMatchObject({ generateName: 'ds-', labels: { app: 'ds', [HASH_LABEL]: 'h2' } });
});
