// The clock of the machines is put forward or back by an hour: nothing may come of it.

import { describe, expect, test } from 'vitest';
import type { NodeCondition } from '../api/generated/core-v1.ts';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { Lease } from '../api/kinds/coordination/lease.ts';
import { Event } from '../api/kinds/core/event.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import type { Change } from './change-log.ts';
import { TestCluster, type TestClusterOptions } from './testing.ts';

const namespace = 'default';
const HOUR = 3_600_000;
const pod = (name: string, annotations: Record<string, string> = {}, spec: object = {}) =>
  ({ metadata: { namespace, name, annotations }, spec: { containers: [{ name: 'c', image: 'i' }], ...spec } }) as never;
const web = (replicas: number) =>
  ({
    metadata: { namespace, name: 'web' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          containers: [
            { name: 'c', image: 'i', readinessProbe: { exec: { command: ['true'] }, initialDelaySeconds: 5 } },
          ],
        },
      },
    },
  }) as never;

const restarts = (p: Pod) => p.status?.containerStatuses?.[0]?.restartCount ?? 0;
const started = (p: Pod) => p.status?.containerStatuses?.[0]?.state?.running?.startedAt;
const ready = (p: { status?: { conditions?: readonly { type: string; status: string }[] } }) =>
  p.status?.conditions?.find((c) => c.type === 'Ready')?.status;

/** What happened since a revision, in words: only what clients can take offence at. */
function troubles(changes: readonly Change[]): string[] {
  return changes.flatMap(({ type, resource, object }) => {
    if (resource !== 'nodes' && resource !== 'pods') return [];
    const { metadata, status } = object as Node;
    if (type === 'DELETED' || metadata.deletionTimestamp) return [`${resource} ${metadata.name} deleted`];
    const lost = (c: NodeCondition) => c.type === 'Ready' && c.status !== 'True';
    return status?.conditions?.some(lost) ? [`${resource} ${metadata.name} not ready`] : [];
  });
}

const HOURS = [
  ['forward', HOUR],
  ['back', -HOUR],
] as const;

describe.each([{ kubelet: 'simulated' }, { kubelet: 'full' }] as TestClusterOptions[])('$kubelet nodes', (options) => {
  test.each(HOURS)('an hour %s: nodes stay Ready, pods stay as they are', async (_, hour) => {
    await using cluster = await TestCluster.start({ nodes: 3, seed: 7, ...options });
    await cluster.client.create(Deployment, web(6));
    await cluster.settle();
    await cluster.advance('10m');
    const before = await cluster.list<Pod>(Pod);
    expect(before.map(ready)).toEqual(Array(6).fill('True'));
    // At any moment between two heartbeats.
    for (let i = 0; i < 40; i++) {
      const from = cluster.history().length;
      cluster.jumpClock(i % 2 ? -hour : hour);
      await cluster.advance('23s');
      const since = cluster.history().slice(from);
      expect(troubles(since)).toEqual([]);
      // Leases and now and then a status: nobody has fallen into a loop.
      expect(since.length).toBeLessThan(30);
    }
    cluster.jumpClock(hour);
    await cluster.advance('10m');
    const after = await cluster.list<Pod>(Pod);
    expect(after.map((p) => [p.metadata.uid, restarts(p), started(p)])).toEqual(
      before.map((p) => [p.metadata.uid, 0, started(p)]),
    );
    // The leases go on, with the time as it is told now.
    for (const lease of await cluster.list<Lease>(Lease, 'kube-node-lease'))
      expect(cluster.now() - Date.parse(lease.spec.renewTime!)).toBeLessThan(15_000);
  });

  test.each(HOURS)('an hour %s: what is made, scaled and deleted afterwards is done at once', async (_, hour) => {
    await using cluster = await TestCluster.start({ nodes: 2, seed: 8, ...options });
    await cluster.client.create(Deployment, web(2));
    // No node is good for this one yet: it waits in the scheduler's queue.
    await cluster.client.create(Pod, pod('waits', {}, { nodeSelector: { good: 'yes' } }));
    await cluster.settle();
    cluster.jumpClock(hour);
    await cluster.client.patch(Node, { name: 'node-1' }, 'merge', { metadata: { labels: { good: 'yes' } } });
    await cluster.client.patch(Deployment, { namespace, name: 'web' }, 'merge', { spec: { replicas: 5 } });
    await cluster.client.create(Pod, pod('late'));
    await cluster.advance('20s');
    const pods = await cluster.list<Pod>(Pod);
    expect(pods.filter((p) => ready(p) === 'True')).toHaveLength(7);
    await cluster.client.patch(Deployment, { namespace, name: 'web' }, 'merge', { spec: { replicas: 1 } });
    await cluster.client.delete(Pod, { namespace, name: 'late' });
    await cluster.advance('40s');
    expect(await cluster.list<Pod>(Pod)).toHaveLength(2);
  });

  test.each(HOURS)('an hour %s: a container that crashes keeps its pace', async (_, hour) => {
    await using cluster = await TestCluster.start({ nodes: 1, seed: 9, ...options });
    await cluster.client.create(Pod, pod('crashes', { 'simulator.coracle.dev/crash-loop': '1' }));
    const count = async () => restarts(await cluster.client.get(Pod, { namespace, name: 'crashes' }));
    await cluster.advance('35s');
    const before = await count();
    cluster.jumpClock(hour);
    await cluster.advance('5m');
    // 40 s, 80 s, 160 s; the clock that was put forward may have cut one of the waits short.
    const made = (await count()) - before;
    expect(made).toBeGreaterThanOrEqual(2);
    expect(made).toBeLessThanOrEqual(4);
  });
});

test.each(HOURS)('an hour %s: events live for an hour of what passes, not of what the clock tells', async (_, hour) => {
  await using cluster = await TestCluster.start({ nodes: 1, seed: 3 });
  const kept = async () =>
    new Set((await cluster.list<Event>(Event)).map((e) => e.involvedObject.name).filter((name) => name?.length === 1));
  await cluster.client.create(Pod, pod('a'));
  await cluster.settle();
  await cluster.advance('20m');
  await cluster.client.create(Pod, pod('b'));
  await cluster.settle();
  expect(await kept()).toEqual(new Set(['a', 'b']));
  cluster.jumpClock(hour);
  await cluster.advance('39m');
  expect(await kept()).toEqual(new Set(['a', 'b']));
  await cluster.advance('2m');
  expect(await kept()).toEqual(new Set(['b']));
  await cluster.advance('20m');
  expect(await kept()).toEqual(new Set());
});

test('a pod that has five minutes left on a silent node keeps them', async () => {
  await using cluster = await TestCluster.start({ nodes: 2, seed: 4 });
  await cluster.client.create(Pod, pod('p', {}, { nodeName: 'node-2' }));
  await cluster.settle();
  await cluster.stopNode('node-2');
  await cluster.advance('1m');
  expect((await cluster.client.get(Node, { name: 'node-2' })).spec?.taints).toHaveLength(2);
  cluster.jumpClock('1h');
  // Something about the pod changes, so that it is looked at again.
  const labels = { looked: 'again' };
  await cluster.client.patch(Pod, { namespace, name: 'p' }, 'merge', { metadata: { labels } });
  await cluster.advance('3m');
  expect((await cluster.client.get(Pod, { namespace, name: 'p' })).metadata.deletionTimestamp).toBeUndefined();
  cluster.jumpClock('-1h');
  await cluster.advance('3m');
  expect((await cluster.client.get(Pod, { namespace, name: 'p' })).metadata.deletionTimestamp).toBeDefined();
});
