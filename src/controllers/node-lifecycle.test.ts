import { describe, expect, test } from 'vitest';
import type { Node as NodeObject, Taint, Toleration } from '../api/generated/core-v1.ts';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { Event } from '../api/kinds/core/event.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Service } from '../api/kinds/core/service.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import { staticView } from '../client/static-view.ts';
import { TestCluster } from '../cluster/testing.ts';
import { startControllers } from '../cluster/test-controllers.ts';
import { nodeIpam } from './node-ipam.ts';
import { nodeLifecycle } from './node-lifecycle.ts';
import { disruptionOf, evictionPause, taintsOf, type Disruption } from './node-taints.ts';
import { podGc } from './pod-gc.ts';
import { evictionTime, taintEviction } from './taint-eviction.ts';

const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';

function node(name: string, ready?: string, more: { spec?: object; zone?: string; conditions?: object[] } = {}) {
  const { spec = {}, zone, conditions = [] } = more;
  const all = [...(ready ? [{ type: 'Ready', status: ready }] : []), ...conditions];
  return {
    metadata: { name, uid: name, labels: zone ? { 'topology.kubernetes.io/zone': zone } : {} },
    spec,
    status: { conditions: all },
  } as unknown as NodeObject;
}
const taints = (texts: string[]): Taint[] =>
  texts.map((text) => ({ key: text.split(':')[0]!, effect: text.split(':')[1]! }));

describe('taints of a node', () => {
  test.each<[string, NodeObject, Disruption, string[] | undefined]>([
    ['well', node('n', 'True'), 'none', undefined],
    ['not ready', node('n', 'False'), 'none', [`${NOT_READY}:NoSchedule`, `${NOT_READY}:NoExecute`]],
    ['unreachable', node('n', 'Unknown'), 'none', [`${UNREACHABLE}:NoSchedule`, `${UNREACHABLE}:NoExecute`]],
    ['unreachable like all others', node('n', 'Unknown'), 'all', [`${UNREACHABLE}:NoSchedule`]],
    ['unreachable like many others', node('n', 'Unknown'), 'part', [`${UNREACHABLE}:NoSchedule`]],
    [
      'evicting before many others',
      node('n', 'Unknown', { spec: { taints: taints([`${UNREACHABLE}:NoSchedule`, `${UNREACHABLE}:NoExecute`]) } }),
      'part',
      undefined,
    ],
    [
      'all others became unreachable too',
      node('n', 'Unknown', { spec: { taints: taints([`${UNREACHABLE}:NoSchedule`, `${UNREACHABLE}:NoExecute`]) } }),
      'all',
      [`${UNREACHABLE}:NoSchedule`],
    ],
    [
      'not ready becomes unreachable',
      node('n', 'Unknown', { spec: { taints: taints([`${NOT_READY}:NoSchedule`, 'mine:NoExecute']) } }),
      'none',
      ['mine:NoExecute', `${UNREACHABLE}:NoSchedule`, `${UNREACHABLE}:NoExecute`],
    ],
    [
      'pressure and cordon',
      node('n', 'True', { spec: { unschedulable: true }, conditions: [{ type: 'DiskPressure', status: 'True' }] }),
      'none',
      ['node.kubernetes.io/disk-pressure:NoSchedule', 'node.kubernetes.io/unschedulable:NoSchedule'],
    ],
    [
      'well again',
      node('n', 'True', { spec: { taints: taints([`${NOT_READY}:NoSchedule`, `${NOT_READY}:NoExecute`]) } }),
      'none',
      [],
    ],
  ])('%s', (_, subject, disruption, wanted) => {
    expect(taintsOf(subject, disruption, 0)?.map((t) => `${t.key}:${t.effect}`)).toEqual(wanted);
  });

  test('one after the other: ten seconds between two nodes of a zone', () => {
    const losing = (name: string, seconds: number, zone: string) =>
      node(name, 'Unknown', {
        zone,
        spec: {
          taints: [{ key: UNREACHABLE, effect: 'NoExecute', timeAdded: new Date(seconds * 1000).toISOString() }],
        },
      });
    const self = node('self', 'Unknown', { zone: 'a' });
    const pause = (...others: NodeObject[]) => evictionPause(self, [self, ...others], 100_000);
    expect(pause(node('well', 'True', { zone: 'a' }))).toBe(0);
    expect(pause(losing('n', 97, 'a'), losing('m', 91, 'a'))).toBe(7000);
    expect(pause(losing('n', 97, 'b'), losing('m', 80, 'a'))).toBe(0);
    // Of a clock that was put back.
    expect(pause(losing('n', 3700, 'a'))).toBe(0);
    expect(evictionPause(losing('self', 50, 'a'), [losing('n', 97, 'a')], 100_000)).toBe(0);
  });

  const nodes = (count: number, ready: string, zone: string) =>
    Array.from({ length: count }, (_, i) => node(`${zone}${ready}${i}`, ready, { zone }));
  test.each<[string, NodeObject[], Disruption]>([
    ['alone', [], 'all'],
    ['one of two', nodes(1, 'True', 'a'), 'none'],
    ['three of five', [...nodes(2, 'Unknown', 'a'), ...nodes(2, 'True', 'a')], 'part'],
    ['two of three', [...nodes(1, 'Unknown', 'a'), ...nodes(1, 'True', 'a')], 'none'],
    ['all of this zone', [...nodes(4, 'Unknown', 'a'), ...nodes(1, 'True', 'b')], 'none'],
    ['all of all zones', [...nodes(4, 'Unknown', 'a'), ...nodes(1, 'False', 'b')], 'all'],
    ['most of many', [...nodes(40, 'Unknown', 'a'), ...nodes(20, 'True', 'a')], 'none'],
  ])('disruption: %s', (_, others, wanted) => {
    const self = node('self', 'Unknown', { zone: 'a' });
    expect(disruptionOf(self, [node('self', 'True', { zone: 'a' }), ...others])).toBe(wanted);
  });
});

test.each<[string, Toleration[], string[], number | undefined]>([
  ['nothing to tolerate', [], [], undefined],
  ['not tolerated', [], ['a'], 1000],
  ['for ever', [{ key: 'a', operator: 'Exists' }], ['a'], undefined],
  ['for a while', [{ key: 'a', operator: 'Exists', tolerationSeconds: 30 }], ['a'], 30_000],
  ['no time at all', [{ key: 'a', operator: 'Exists', tolerationSeconds: -5 }], ['a'], 0],
  [
    'the shortest of two',
    [
      { operator: 'Exists', key: 'a', tolerationSeconds: 30 },
      { operator: 'Exists', key: 'b', tolerationSeconds: 9 },
    ],
    ['a', 'b'],
    9_000,
  ],
  ['one of two', [{ key: 'a', operator: 'Exists' }], ['a', 'b'], 1000],
  [
    'the first that meets',
    [{ operator: 'Exists' }, { key: 'a', operator: 'Exists', tolerationSeconds: 3 }],
    ['a'],
    undefined,
  ],
])('eviction: %s', (_, tolerations, keys, wanted) => {
  const all = keys.map((key) => ({ key, effect: 'NoExecute', timeAdded: '1970-01-01T00:00:00Z' }));
  const status = { startTime: '1970-01-01T00:00:00Z' };
  expect(evictionTime({ spec: { tolerations }, status } as Pod, all, 1000)).toBe(wanted);
});

test.each([
  ['a taint without a time', undefined, '1970-01-01T00:00:00Z', 12_000],
  ['a pod that came later', '1970-01-01T00:00:00Z', '1970-01-01T00:00:05Z', 15_000],
  ['a pod that has not started', '1970-01-01T00:00:00Z', undefined, 12_000],
])('eviction: time runs for %s', (_, timeAdded, startTime, wanted) => {
  const tolerations = [{ operator: 'Exists', tolerationSeconds: 10 }];
  const pod = { spec: { tolerations }, status: { startTime } } as Pod;
  const taint = { key: 'a', effect: 'NoExecute', ...(timeAdded ? { timeAdded } : {}) };
  expect(evictionTime(pod, [taint], 9_000, 2_000)).toBe(wanted);
});

describe('a node that falls silent', () => {
  const labels = { app: 'web' };
  const ref = { name: 'node-3' };
  const namespace = 'default';
  const taintKeys = async (cluster: TestCluster) =>
    (await cluster.client.get(Node, ref)).spec!.taints?.map((t) => `${t.key}:${t.effect}`);
  const events = async (cluster: TestCluster, about: RegExp) =>
    (await cluster.list<Event>(Event))
      .filter((e) => about.test(`${e.involvedObject.kind} ${e.involvedObject.name}`))
      .map((e) => `${e.type} ${e.source?.component} ${e.reason}: ${e.message}`);

  test('is tainted, loses its pods after five minutes, and is welcome back', async () => {
    await using cluster = await TestCluster.start({ nodes: 3, seed: 1 });
    const { client } = cluster;
    const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    const metadata = { namespace, name: 'web' };
    await client.create(Deployment, {
      metadata,
      spec: { replicas: 3, selector: { matchLabels: labels }, template },
    } as never);
    await client.create(Service, { metadata, spec: { selector: labels, ports: [{ port: 80 }] } } as never);
    await cluster.settle();
    const lost = (await cluster.list<Pod>(Pod)).find((p) => p.spec.nodeName === 'node-3')!;
    expect(await events(cluster, /^Node node-3/)).toContain(
      'Normal node-controller RegisteredNode: Node node-3 event: Registered Node node-3 in Controller',
    );
    await cluster.stopNode('node-3');
    await cluster.advance('39s');
    expect(await taintKeys(cluster)).toBeUndefined();
    await cluster.advance('12s');
    expect(await taintKeys(cluster)).toEqual([`${UNREACHABLE}:NoSchedule`, `${UNREACHABLE}:NoExecute`]);
    const conditions = (await client.get(Node, ref)).status!.conditions!;
    expect(conditions.filter((c) => c.status === 'Unknown').map((c) => [c.type, c.reason, c.message])).toEqual(
      ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'].map((type) => [
        type,
        'NodeStatusUnknown',
        'Kubelet stopped posting node status.',
      ]),
    );
    expect(await events(cluster, /^Node node-3/)).toContain(
      'Normal node-controller NodeNotReady: Node node-3 status is now: NodeNotReady',
    );
    const podRef = { namespace, name: lost.metadata.name };
    expect((await client.get(Pod, podRef)).status!.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'False' }),
    );
    expect(await events(cluster, new RegExp(lost.metadata.name))).toContain(
      'Warning node-controller NodeNotReady: Node is not ready',
    );
    const ready = async () =>
      (await cluster.list<EndpointSlice>(EndpointSlice, namespace)).flatMap((s) =>
        s.endpoints!.filter((e) => e.conditions!.ready),
      ).length;
    expect(await ready()).toBe(2);
    await cluster.advance('4m50s');
    expect((await client.get(Pod, podRef)).metadata.deletionTimestamp).toBeUndefined();
    await cluster.advance('15s');
    const going = await client.get(Pod, podRef);
    expect(going.metadata.deletionTimestamp).toBeDefined();
    expect(going.status!.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager' }),
    );
    expect(await events(cluster, new RegExp(lost.metadata.name))).toContain(
      `Normal taint-eviction-controller TaintManagerEviction: Marking for deletion Pod default/${lost.metadata.name}`,
    );
    await cluster.settle();
    expect(await ready()).toBe(3);
    cluster.startNode('node-3');
    await cluster.advance('1m');
    expect(await taintKeys(cluster)).toBeUndefined();
    await expect(client.get(Pod, podRef)).rejects.toThrow('not found');
  });

  test('keeps its pods when it comes back in time', async () => {
    await using cluster = await TestCluster.start({ nodes: 3, seed: 1 });
    const spec = { nodeName: 'node-3', containers: [{ name: 'c', image: 'i' }] };
    await cluster.client.create(Pod, { metadata: { namespace, name: 'p' }, spec } as never);
    await cluster.settle();
    await cluster.stopNode('node-3');
    await cluster.advance('2m');
    expect(await taintKeys(cluster)).toHaveLength(2);
    cluster.startNode('node-3');
    await cluster.advance('10m');
    const pod = await cluster.client.get(Pod, { namespace, name: 'p' });
    expect(pod.metadata.deletionTimestamp).toBeUndefined();
    expect(pod.status!.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
    expect(await events(cluster, /Pod p/)).toContain(
      'Normal taint-eviction-controller TaintManagerEviction: Cancelling deletion of Pod default/p',
    );
  });

  test('evicts nobody when all have fallen silent; the rest get time when one is back', async () => {
    await using cluster = await TestCluster.start({ nodes: 3, seed: 1 });
    for (const { name } of cluster.nodes) await cluster.stopNode(name);
    await cluster.advance('5m');
    expect(await taintKeys(cluster)).toEqual([`${UNREACHABLE}:NoSchedule`]);
    cluster.startNode('node-1');
    await cluster.advance('40s');
    expect(await taintKeys(cluster)).toEqual([`${UNREACHABLE}:NoSchedule`]);
    await cluster.advance('20s');
    expect(await taintKeys(cluster)).toEqual([`${UNREACHABLE}:NoSchedule`, `${UNREACHABLE}:NoExecute`]);
  });
});

describe('on a server without nodes running', () => {
  const pod = (name: string, spec: object = {}, metadata: object = {}) => ({
    metadata: { namespace: 'default', name, ...metadata },
    spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
  });
  const start = () => startControllers([nodeLifecycle, taintEviction, podGc, nodeIpam('10.244.0.0/22')]);

  test('a node that never says anything is given up after a minute', async () => {
    const t = await start();
    await t.client.create(Node, { metadata: { name: 'mute' } } as never);
    await t.clock.advance(59_000);
    expect((await t.client.get(Node, { name: 'mute' })).status?.conditions).toBeUndefined();
    await t.clock.advance(2_000);
    expect(
      (await t.client.get(Node, { name: 'mute' })).status!.conditions!.map((c) => `${c.type} ${c.reason}`),
    ).toEqual([
      'Ready NodeStatusNeverUpdated',
      'MemoryPressure NodeStatusNeverUpdated',
      'DiskPressure NodeStatusNeverUpdated',
      'PIDPressure NodeStatusNeverUpdated',
    ]);
    await t.client.delete(Node, { name: 'mute' });
    await t.settle();
    expect((await t.events()).at(-1)).toBe('RemovingNode: Node mute event: Removing Node mute from Controller');
    await t.stop();
  });

  test('address ranges: one each, told when there are none left, given again', async () => {
    const t = await start();
    for (const i of [1, 2, 3, 4, 5]) await t.client.create(Node, { metadata: { name: `n${i}` } } as never);
    await t.settle();
    const ranges = async () => (await t.client.list(Node)).items.map((n) => n.spec?.podCIDR);
    expect((await ranges()).sort()).toEqual([
      '10.244.0.0/24',
      '10.244.1.0/24',
      '10.244.2.0/24',
      '10.244.3.0/24',
      undefined,
    ]);
    expect(await t.events()).toContain('CIDRNotAvailable: Node n5 status is now: CIDRNotAvailable');
    await t.client.delete(Node, { name: 'n2' });
    await t.settle();
    expect((await ranges()).sort()).toEqual(['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24']);
    await t.stop();
  });

  test('pods of a node that has gone fail and go after a while; unscheduled ones that are deleted go at once', async () => {
    const t = await start();
    await t.client.create(Node, { metadata: { name: 'n' } } as never);
    await t.client.create(Pod, pod('held', { nodeName: 'n' }, { finalizers: ['test/hold'] }) as never);
    await t.client.create(Pod, pod('bound', { nodeName: 'n' }) as never);
    await t.client.create(Pod, pod('waiting', { schedulingGates: [{ name: 'x' }] }) as never);
    await t.settle();
    await t.client.delete(Pod, { namespace: 'default', name: 'waiting' }, { gracePeriodSeconds: 30 });
    await t.client.delete(Node, { name: 'n' });
    await t.clock.advance(39_000);
    expect((await t.pods()).map((p) => p.metadata.name)).toEqual(['bound', 'held']);
    await t.settle();
    const [held, ...others] = await t.pods();
    expect(others).toEqual([]);
    expect(held).toMatchObject({
      status: {
        phase: 'Failed',
        conditions: expect.arrayContaining([
          expect.objectContaining({
            type: 'DisruptionTarget',
            reason: 'DeletionByPodGC',
            message: 'PodGC: node no longer exists',
          }),
        ]) as unknown,
      },
    });
    await t.stop();
  });

  test('a pod that has ended well since it was seen has not failed', async () => {
    const t = await startControllers([]);
    const ref = { namespace: 'default', name: 'p' };
    await t.client.create(Pod, pod('p', { nodeName: 'gone' }) as never);
    const seen = staticView(podGc, [await t.client.get(Pod, ref)]);
    const [fail, remove] = podGc.plan!('node gone', seen, 0, 0, 60_000).actions;
    expect([fail, remove]).toMatchObject([{ do: 'patch' }, { do: 'delete' }]);
    await t.client.patch(Pod, ref, 'merge', { status: { phase: 'Succeeded' } }, { subresource: 'status' });
    const { patch } = fail as { patch: object };
    const late = t.client.patch(Pod, ref, 'strategic', patch, { subresource: 'status' });
    await expect(late).rejects.toMatchObject({ reason: 'Conflict' });
    expect((await t.client.get(Pod, ref)).status?.phase).toBe('Succeeded');
    await t.stop();
  });

  test('pods being deleted on a node out of service go at once', async () => {
    const t = await start();
    await t.client.create(Node, { metadata: { name: 'n' } } as never);
    await t.client.create(Pod, pod('p', { nodeName: 'n' }) as never);
    await t.client.create(Pod, pod('stays', { nodeName: 'n', tolerations: [{ operator: 'Exists' }] }) as never);
    await t.client.delete(Pod, { namespace: 'default', name: 'p' }, { gracePeriodSeconds: 3600 });
    await t.settle();
    expect(await t.pods()).toHaveLength(2);
    const out = [{ key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' }];
    await t.client.patch(Node, { name: 'n' }, 'merge', { spec: { taints: out } });
    await t.settle();
    expect((await t.pods()).map((p) => p.metadata.name)).toEqual(['stays']);
    await t.stop();
  });
});
