import { expect, test } from 'vitest';
import type { ChangeLife, SpanNode } from '../base/change-life.ts';
import { lifeText } from '../cli/print-life.ts';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Service } from '../api/kinds/core/service.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { runProxy } from '../proxy/proxy.ts';
import { PROXY } from './identities.ts';
import { TestCluster } from './testing.ts';

const namespace = 'default';
const ref = { namespace, name: 'web' };

async function deploy(cluster: TestCluster, replicas: number): Promise<void> {
  const labels = { app: 'web' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  await cluster.client.create(Service, { metadata: ref, spec: { selector: labels, ports: [{ port: 80 }] } } as never);
  const spec = { replicas, selector: { matchLabels: labels }, template };
  await cluster.client.create(Deployment, { metadata: ref, spec } as never);
  await cluster.settle();
}

/** `component name resource` of every step of a path that begins at the root, for each leaf. */
function paths({ root }: ChangeLife): string[] {
  const all: string[] = [];
  const visit = ({ span, children }: SpanNode, before: readonly string[]) => {
    const path = [...before, `${span.component} ${span.name} ${span.resource}`];
    all.push(path.join(' > '));
    for (const child of children) visit(child, path);
  };
  visit(root, []);
  return all;
}

const CREATE = 'apiserver Create deployments.apps > deployment-controller Reconcile deployments.apps';
const SET = `${CREATE} > apiserver Create replicasets.apps > replicaset-controller Reconcile replicasets.apps`;
const BIND = `${SET} > apiserver Create pods > scheduler Scheduling pods > apiserver Create pods`;

test('a Deployment is followed to its containers, its Service and back', async () => {
  await using cluster = await TestCluster.start({ seed: 1, kubelet: 'full' });
  const stop = new AbortController();
  const informers = createInformerFactory({ client: cluster.clientFor(PROXY), env: cluster.env }, stop);
  const sink = { replace: async () => {}, change: async () => {}, intact: async () => true, close: async () => {} };
  const proxy = runProxy({ env: cluster.env, informers, nodeName: 'node-1', sink }, stop);
  await cluster.settle();
  await deploy(cluster, 2);
  const life = cluster.trace(Deployment, ref)!;
  const found = paths(life);
  for (const step of ['MountVolumes', 'RunPodSandbox', 'SyncContainer', 'WriteStatus'])
    expect(found).toContain(`${BIND} > kubelet ${step} pods`);
  const told = `${BIND} > kubelet WriteStatus pods > apiserver Update pods`;
  const slices = `${told} > endpointslice-controller Reconcile services > apiserver Update endpointslices.discovery.k8s.io`;
  expect(found).toContain(`${slices} > proxy SyncProxyRules services`);
  expect(
    found.some((path) =>
      path.endsWith('deployment-controller Reconcile deployments.apps > apiserver Update deployments.apps'),
    ),
  ).toBe(true);
  const { span } = life.root;
  expect([span.user, span.agent, span.generation]).toEqual(['system:apiserver', 'test', 1]);
  stop.abort();
  await proxy;
});

test('the life of the last generation, and of what has no generation', async () => {
  await using cluster = await TestCluster.start({ seed: 1 });
  await deploy(cluster, 1);
  await cluster.advance('5m');
  await cluster.client.patch(Deployment, ref, 'merge', { spec: { replicas: 2 } });
  await cluster.settle();
  const life = cluster.trace(Deployment, ref)!;
  expect([life.root.span.name, life.root.span.generation]).toEqual(['Patch', 2]);
  expect(paths(life).filter((path) => path.endsWith('apiserver Create pods > scheduler Scheduling pods'))).toHaveLength(
    1,
  );
  const [pod] = await cluster.list<Pod>(Pod);
  await cluster.client.delete(Pod, { namespace, name: pod!.metadata.name }, { gracePeriodSeconds: 0 });
  await cluster.settle();
  const deletion = cluster.trace(Pod, { namespace, name: pod!.metadata.name })!;
  expect(deletion.root.span.name).toBe('Delete');
  expect(
    paths(deletion).some((path) =>
      path.includes('replicaset-controller Reconcile replicasets.apps > apiserver Create pods'),
    ),
  ).toBe(true);
  expect(cluster.trace(Pod, { namespace, name: 'nobody' })).toBeUndefined();
});

test('the same seed tells the same life; nothing is remembered where nobody wants it', async () => {
  const tell = async () => {
    await using cluster = await TestCluster.start({ seed: 7, nodes: 2 });
    await deploy(cluster, 20);
    return lifeText(cluster.trace(Deployment, ref)!, { colors: false });
  };
  const text = await tell();
  expect(await tell()).toBe(text);
  expect(text).toMatch(/^deployments default\/web, generation 1: Create by system:apiserver with test, .* UTC\n/);
  expect(text).toContain('... and 19 more like it, all over at ');
  expect(text.split('\n').filter((line) => line.startsWith('>')).length).toBeGreaterThan(5);
  await using cluster = await TestCluster.start({ seed: 1, trace: false });
  expect(() => cluster.trace(Deployment, ref)).toThrow('trace: false');
});
