// The embedded cluster as its users see it: the same seed gives the same bytes, the past can be read, and a moment kept.

import { describe, expect, it } from 'vitest';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Service } from '../api/kinds/core/service.ts';
import type { Draft } from '../api/object.ts';
import { TestCluster, type TestClusterOptions } from './testing.ts';

const NAMESPACE = 'default';
const deployment = (name: string, replicas: number, image = 'app:1', annotations: Record<string, string> = {}) =>
  ({
    metadata: { name, namespace: NAMESPACE },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name }, annotations },
        spec: { containers: [{ name: 'c', image }] },
      },
    },
  }) as unknown as Draft<Deployment>;
const setImage = (image: string) => [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: image }];

/** Rollouts, failures, deletions and the loss of a node. */
async function richHistory(options: TestClusterOptions): Promise<string> {
  await using cluster = await TestCluster.start({ nodes: 3, ...options });
  const { client } = cluster;
  const of = (name: string) => ({ namespace: NAMESPACE, name });
  await client.create(Service, {
    metadata: { name: 'web', namespace: NAMESPACE },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  } as Draft<Service>);
  await client.create(Deployment, deployment('web', 6));
  await client.create(Deployment, deployment('bad', 2, 'app:1', { 'simulator.coracle.dev/crash-loop': '3' }));
  await cluster.settle();
  await client.patch(Deployment, of('web'), 'json', setImage('app:2'));
  await cluster.advance('1m');
  await cluster.stopNode('node-2');
  await cluster.advance('8m');
  await client.patch(Deployment, of('web'), 'merge', { spec: { replicas: 3 } });
  cluster.startNode('node-2');
  await client.delete(Deployment, of('bad'), { propagationPolicy: 'Foreground' });
  await cluster.advance('5m');
  return JSON.stringify(cluster.history());
}

describe('TestCluster', () => {
  it.each(['simulated', 'full'] as const)('gives the same bytes for the same seed: %s', async (kubelet) => {
    const first = await richHistory({ seed: 42, kubelet });
    expect(JSON.parse(first).length).toBeGreaterThan(200);
    expect(await richHistory({ seed: 42, kubelet })).toBe(first);
    expect(await richHistory({ seed: 43, kubelet })).not.toBe(first);
  });

  it('tells who changed what and when, and shows the past', async () => {
    await using cluster = await TestCluster.start({ seed: 1 });
    const { client } = cluster;
    const before = cluster.now();
    await cluster.advance('1s');
    await client.create(Deployment, deployment('web', 2));
    await cluster.settle();
    const then = cluster.now();
    await cluster.advance('1m');
    await client.delete(Deployment, { namespace: NAMESPACE, name: 'web' });
    await cluster.settle();
    const changes = cluster.history().filter((c) => c.resource === 'pods' && c.type === 'ADDED');
    expect(changes).toHaveLength(2);
    expect(changes[0]).toMatchObject({ namespace: NAMESPACE, time: before + 1000 });
    expect(changes[0]!.author).toEqual({
      user: 'system:serviceaccount:kube-system:replicaset-controller',
      manager: 'replicaset-controller',
      verb: 'create',
    });
    const gone = cluster.history().find((c) => c.resource === 'deployments.apps' && c.type === 'DELETED');
    expect(gone?.author).toMatchObject({ manager: 'test', verb: 'delete' });
    expect(cluster.at(before).list(Pod)).toEqual([]);
    expect(
      cluster
        .at(then)
        .list<Pod>(Pod)
        .map((p) => p.status?.phase),
    ).toEqual(['Running', 'Running']);
    expect(cluster.at(then).get(Deployment, { namespace: NAMESPACE, name: 'web' })).toBeDefined();
    expect(await cluster.list(Pod)).toEqual([]);
  });

  it('forks and goes back, with running pods and time as they were', async () => {
    await using cluster = await TestCluster.start({ seed: 2, nodes: 2 });
    await cluster.client.create(Deployment, deployment('web', 3));
    await cluster.settle();
    await cluster.advance('1h');
    const moment = cluster.snapshot();
    const time = cluster.now();
    const restarts = async (of: TestCluster) =>
      (await of.list<Pod>(Pod)).map((p) => `${p.metadata.name} ${p.status?.containerStatuses?.[0]?.restartCount}`);
    const pods = await restarts(cluster);

    await using other = await cluster.fork();
    await other.client.delete(Deployment, { namespace: NAMESPACE, name: 'web' });
    await other.advance('1m');
    expect(await other.list(Pod)).toEqual([]);
    expect(await restarts(cluster)).toEqual(pods);

    await cluster.client.create(ConfigMap, { metadata: { name: 'later', namespace: NAMESPACE } });
    await cluster.advance('1h');
    await cluster.restore(moment);
    expect(cluster.now()).toBe(time);
    expect(await restarts(cluster)).toEqual(pods);
    expect(cluster.history().some((c) => c.name === 'later')).toBe(false);
    await cluster.client.patch(Deployment, { namespace: NAMESPACE, name: 'web' }, 'merge', { spec: { replicas: 4 } });
    await cluster.settle();
    const { status } = await cluster.client.get(Deployment, { namespace: NAMESPACE, name: 'web' });
    expect(status?.availableReplicas).toBe(4);
  });

  it('does what a scenario says', async () => {
    await using cluster = await TestCluster.start({
      seed: 3,
      scenario: ({ pod, attempt }) =>
        pod.labels['app'] === 'flaky' && attempt < 2 ? { exitAfter: 1000, exitCode: 3 } : {},
    });
    await cluster.client.create(Deployment, deployment('flaky', 1));
    await cluster.advance('2s');
    const [pod] = await cluster.list<Pod>(Pod);
    expect(
      pod!.status?.containerStatuses?.[0]?.lastState?.terminated ?? pod!.status?.containerStatuses?.[0]?.state,
    ).toBeDefined();
    await cluster.advance('5m');
    const [later] = await cluster.list<Pod>(Pod);
    expect(later!.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 2, ready: true });
  });

  it('names its seed when it does not come to rest', async () => {
    await using cluster = await TestCluster.start({ seed: 99 });
    const again = () => void cluster.env.clock.setTimer(60_000, again);
    again();
    await expect(cluster.settle()).rejects.toThrow('seed 99');
  });

  it('has real time, too', async () => {
    await using cluster = await TestCluster.start({ time: 'real' });
    await cluster.client.create(Deployment, deployment('web', 2));
    await cluster.settle();
    const nodes = await cluster.list<Node>(Node);
    expect(nodes[0]?.status?.conditions?.find((c) => c.type === 'Ready')?.status).toBe('True');
    expect((await cluster.list<Pod>(Pod)).map((p) => p.status?.phase)).toEqual(['Running', 'Running']);
  });
});

it('a pod whose probes have spoken has settled, with whole kubelets too', async () => {
  await using cluster = await TestCluster.start({ kubelet: 'full', seed: 5 });
  const readinessProbe = { httpGet: { path: '/', port: 80 }, periodSeconds: 5 };
  await cluster.client.create(Pod, {
    metadata: { name: 'probed', namespace: 'default' },
    spec: { containers: [{ name: 'c', image: 'i', readinessProbe, livenessProbe: readinessProbe }] },
  });
  await cluster.settle();
  const pod = await cluster.client.get(Pod, { namespace: 'default', name: 'probed' });
  expect(pod.status?.containerStatuses?.[0]?.ready).toBe(true);
});
