// API machinery: watches, pages, namespaces, garbage collection, quotas as objects. Tests are named after the behaviours
// of the conformance suite.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Deployment } from '../../api/kinds/apps/deployment.ts';
import { ReplicaSet } from '../../api/kinds/apps/replica-set.ts';
import { ConfigMap } from '../../api/kinds/core/config-map.ts';
import { Namespace } from '../../api/kinds/core/namespace.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import { PodTemplate } from '../../api/kinds/core/pod-template.ts';
import { ReplicationController } from '../../api/kinds/core/replication-controller.ts';
import { ResourceQuota } from '../../api/kinds/core/resource-quota.ts';
import { Service } from '../../api/kinds/core/service.ts';
import type { KubeObject } from '../../api/object.ts';
import type { Client } from '../../client/client.ts';
import { TestCluster } from '../testing.ts';
import { inDefault, make, names, podSpec, refusal, watching, workload } from './support.ts';

let cluster: TestCluster;
let client: Client;
beforeEach(async () => {
  cluster = await TestCluster.start({ seed: 1 });
  client = cluster.client;
});
afterEach(() => cluster.stop());

const map = (name: string, label = 'a') => make(client, ConfigMap, name, {}, { labels: { watch: label } });
const mutate = (name: string, n: number) =>
  client.patch(ConfigMap, inDefault(name), 'merge', { data: { mutation: `${n}` } });
const relabel = (name: string, watch: string) =>
  client.patch(ConfigMap, inDefault(name), 'merge', { metadata: { labels: { watch } } });
const space = { namespace: 'default' };

test('watch-configmaps-with-multiple-watchers', async () => {
  const [a, b, both] = await Promise.all(
    ['watch=a', 'watch=b', 'watch in (a,b)'].map((labelSelector) =>
      watching(client, ConfigMap, { ...space, labelSelector }),
    ),
  );
  await map('x', 'a');
  await mutate('x', 1);
  await mutate('x', 2);
  await client.delete(ConfigMap, inDefault('x'));
  await map('y', 'b');
  await client.delete(ConfigMap, inDefault('y'));
  await cluster.settle();
  const ofX = ['ADDED x', 'MODIFIED x', 'MODIFIED x', 'DELETED x'];
  const ofY = ['ADDED y', 'DELETED y'];
  expect([a!.seen(), b!.seen(), both!.seen()]).toEqual([ofX, ofY, [...ofX, ...ofY]]);
});

test('watch-configmaps-from-resource-version', async () => {
  await map('x');
  const first = await mutate('x', 1);
  await mutate('x', 2);
  await client.delete(ConfigMap, inDefault('x'));
  const watch = await watching(client, ConfigMap, {
    ...space,
    labelSelector: 'watch=a',
    resourceVersion: first.metadata.resourceVersion,
  });
  await cluster.settle();
  expect(watch.seen()).toEqual(['MODIFIED x', 'DELETED x']);
  expect(watch.events.map((e) => e.object.data?.['mutation'])).toEqual(['2', '2']);
});

test('watch-configmaps-closed-and-restarted', async () => {
  const before = await watching(client, ConfigMap, space);
  await map('x');
  await mutate('x', 1);
  await cluster.settle();
  before.stop();
  const last = before.events.at(-1)!.object.metadata.resourceVersion!;
  await mutate('x', 2);
  await client.delete(ConfigMap, inDefault('x'));
  const after = await watching(client, ConfigMap, { ...space, resourceVersion: last });
  await cluster.settle();
  expect([before.seen(), after.seen()]).toEqual([
    ['ADDED x', 'MODIFIED x'],
    ['MODIFIED x', 'DELETED x'],
  ]);
});

test('watch-configmaps-label-changed', async () => {
  const watch = await watching(client, ConfigMap, { ...space, labelSelector: 'watch=a' });
  await map('x');
  await mutate('x', 1);
  await relabel('x', 'other');
  await mutate('x', 2);
  await relabel('x', 'a');
  await mutate('x', 3);
  await client.delete(ConfigMap, inDefault('x'));
  await cluster.settle();
  expect(watch.seen().map((s) => s.split(' ')[0])).toEqual([
    'ADDED',
    'MODIFIED',
    'DELETED',
    'ADDED',
    'MODIFIED',
    'DELETED',
  ]);
  expect(watch.events.map((e) => e.object.data?.['mutation'])).toEqual([undefined, '1', '1', '2', '3', '3']);
});

test('watch-consistency', async () => {
  const first = await watching(client, ConfigMap, space);
  const versions: string[] = [];
  for (let n = 0; n < 30; n++) {
    const name = `m${n % 5}`;
    const written = n < 5 ? await map(name) : await mutate(name, n);
    versions.push(written.metadata.resourceVersion!);
  }
  const watches = await Promise.all(
    versions.map((resourceVersion) => watching(client, ConfigMap, { ...space, resourceVersion })),
  );
  await client.delete(ConfigMap, inDefault('m0'));
  await cluster.settle();
  const order = (w: typeof first) => w.events.map((e) => e.object.metadata.resourceVersion);
  const all = order(first);
  expect(all.slice(0, 30)).toEqual(versions);
  watches.forEach((w, i) => expect(order(w)).toEqual(all.slice(i + 1)));
});

test('API Chunking, server should return chunks of results for list calls', async () => {
  for (let n = 0; n < 40; n++)
    await make(client, PodTemplate, `t${String(n).padStart(4, '0')}`, { template: { spec: podSpec() } });
  const seen: string[] = [];
  let token: string | undefined;
  let version: string | undefined;
  do {
    const page = await client.list(PodTemplate, { ...space, limit: 17, ...(token ? { continue: token } : {}) });
    expect(page.items.length).toBeLessThanOrEqual(17);
    expect(page.metadata.resourceVersion).toBe((version ??= page.metadata.resourceVersion));
    seen.push(...page.items.map((t) => t.metadata.name));
    expect(page.metadata.remainingItemCount ?? 0).toBe(40 - seen.length);
    token = page.metadata.continue;
    await make(client, PodTemplate, `later-${seen.length}`, { template: { spec: podSpec() } });
  } while (token);
  expect(seen).toEqual(Array.from({ length: 40 }, (_, n) => `t${String(n).padStart(4, '0')}`));
  const whole = await client.list(PodTemplate, { ...space, limit: 400 });
  expect(whole.items).toHaveLength(43);
});

test('namespace-deletion-removes-pods + namespace-deletion-removes-services', async () => {
  const there = { namespace: 'gone' };
  for (const kind of [Pod, Service] as const) {
    await make(client, Namespace, 'gone');
    await cluster.settle();
    const body = kind === Pod ? { spec: podSpec() } : { spec: { ports: [{ port: 80 }], selector: { a: 'b' } } };
    await make(client, kind as typeof Pod, 'x', body, there);
    await cluster.settle();
    await client.delete(Namespace, { name: 'gone' });
    await cluster.settle();
    expect(await refusal(client.get(Namespace, { name: 'gone' }))).toBe('NotFound: namespaces "gone" not found');
    await make(client, Namespace, 'gone');
    await cluster.settle();
    expect(await names(client, kind as typeof Pod, there)).toEqual([]);
    await client.delete(Namespace, { name: 'gone' });
    await cluster.settle();
  }
});

test('Ordered Namespace Deletion', async () => {
  const there = { namespace: 'ordered' };
  await make(client, Namespace, 'ordered');
  await cluster.settle();
  await make(client, Pod, 'held', { spec: podSpec() }, { ...there, finalizers: ['e2e.example.com/hold'] });
  await make(client, ConfigMap, 'later', {}, there);
  await cluster.settle();
  await client.delete(Namespace, { name: 'ordered' });
  await cluster.advance('1m');
  expect(await names(client, ConfigMap, there)).toContain('later');
  const { status } = await client.get(Namespace, { name: 'ordered' });
  expect(status?.conditions?.find((c) => c.type === 'NamespaceDeletionContentFailure')).toMatchObject({
    status: 'False',
  });
  expect(status?.conditions?.find((c) => c.type === 'NamespaceFinalizersRemaining')).toMatchObject({ status: 'True' });
  await client.patch(Pod, { ...there, name: 'held' }, 'merge', { metadata: { finalizers: null } });
  await cluster.settle();
  await cluster.advance('1m');
  expect(await names(client, Namespace)).not.toContain('ordered');
});

test('Namespace, apply finalizer to a namespace', async () => {
  const made = await make(client, Namespace, 'final');
  const finalize = async (finalizers: string[]) =>
    client.update(
      Namespace,
      { ...(await client.get(Namespace, { name: 'final' })), spec: { finalizers } },
      { subresource: 'finalize' },
    );
  const ours = 'e2e.example.com/fakeFinalizer';
  expect((await finalize([ours, ...made.spec!.finalizers!])).spec).toEqual({ finalizers: [ours, 'kubernetes'] });
  expect((await finalize(['kubernetes'])).spec).toEqual({ finalizers: ['kubernetes'] });
});

test('Namespace, apply changes to a namespace status + Namespace, apply update to a namespace', async () => {
  await make(client, Namespace, 'n');
  const condition = { type: 'StatusPatch', status: 'True', reason: 'E2E', message: 'Patched by a test' };
  const patched = await client.patch(
    Namespace,
    { name: 'n' },
    'merge',
    { metadata: { annotations: { patched: 'yes' } }, status: { conditions: [condition] } },
    { subresource: 'status' },
  );
  expect(patched).toMatchObject({
    metadata: { annotations: { patched: 'yes' } },
    status: { phase: 'Active', conditions: [condition] },
  });
  const updated = await client.update(Namespace, {
    ...patched,
    metadata: { ...patched.metadata, labels: { ...patched.metadata.labels, e2e: 'one' } },
  });
  expect(updated.metadata.labels).toEqual({ 'kubernetes.io/metadata.name': 'n', e2e: 'one' });
});

test('ResourceQuota, update and delete + ResourceQuota, apply changes to a ResourceQuota status', async () => {
  const made = await make(client, ResourceQuota, 'q', { spec: { hard: { cpu: '1', memory: '500Mi' } } });
  expect(made.spec?.hard).toEqual({ cpu: '1', memory: '500Mi' });
  const updated = await client.update(ResourceQuota, { ...made, spec: { hard: { cpu: '2', memory: '1Gi' } } });
  expect(updated.spec?.hard).toEqual({ cpu: '2', memory: '1Gi' });
  const hard = { cpu: '1500m' };
  const patched = await client.patch(
    ResourceQuota,
    inDefault('q'),
    'merge',
    { status: { hard } },
    { subresource: 'status' },
  );
  expect(patched).toMatchObject({ spec: { hard: { cpu: '2' } }, status: { hard } });
  await client.delete(ResourceQuota, inDefault('q'));
  expect(await refusal(client.get(ResourceQuota, inDefault('q')))).toBe('NotFound: resourcequotas "q" not found');
});

const controllerOf = (replicas: number) => ({ spec: { ...workload('rc'), selector: { app: 'rc' }, replicas } });
const remove = (
  kind: typeof ReplicationController | typeof Deployment,
  propagationPolicy: 'Background' | 'Foreground' | 'Orphan',
) => client.delete(kind as typeof Deployment, inDefault('x'), { propagationPolicy });
const podNames = () => names(client, Pod, space);

test('Garbage Collector, delete replication controller, propagation policy background', async () => {
  await make(client, ReplicationController, 'x', controllerOf(3));
  await cluster.settle();
  expect(await podNames()).toHaveLength(3);
  await remove(ReplicationController, 'Background');
  await cluster.settle();
  expect([await names(client, ReplicationController), await podNames()]).toEqual([[], []]);
});

test('Garbage Collector, delete replication controller, propagation policy orphan', async () => {
  await make(client, ReplicationController, 'x', controllerOf(3));
  await cluster.settle();
  await remove(ReplicationController, 'Orphan');
  await cluster.advance('30s');
  const pods = (await client.list(Pod, space)).items;
  expect(await names(client, ReplicationController)).toEqual([]);
  expect(pods.map((p) => p.metadata.ownerReferences ?? [])).toEqual([[], [], []]);
});

test('Garbage Collector, delete replication controller, after owned pods', async () => {
  await make(client, ReplicationController, 'x', controllerOf(3));
  await cluster.settle();
  const watches = [await watching(client, ReplicationController, space), await watching(client, Pod, space)];
  const order: string[] = [];
  for (const kind of [ReplicationController, Pod]) {
    const stream = await client.watch(kind as typeof Pod, space);
    stream.start({
      events: (batch) => void order.push(...batch.filter((e) => e.type === 'DELETED').map((e) => e.object.kind!)),
      closed: () => {},
    });
  }
  await remove(ReplicationController, 'Foreground');
  expect((await client.get(ReplicationController, inDefault('x'))).metadata.finalizers).toContain('foregroundDeletion');
  await cluster.settle();
  expect(order).toEqual(['Pod', 'Pod', 'Pod', 'ReplicationController']);
  expect(watches.map((w) => w.types().at(-1))).toEqual(['DELETED', 'DELETED']);
});

test('Garbage Collector, delete deployment, propagation policy background', async () => {
  await make(client, Deployment, 'x', { spec: workload('d', { replicas: 2 }) });
  await cluster.settle();
  expect(await names(client, ReplicaSet)).toHaveLength(1);
  await remove(Deployment, 'Background');
  await cluster.settle();
  expect([await names(client, Deployment), await names(client, ReplicaSet), await podNames()]).toEqual([[], [], []]);
});

test('Garbage Collector, delete deployment, propagation policy orphan', async () => {
  await make(client, Deployment, 'x', { spec: workload('d', { replicas: 2 }) });
  await cluster.settle();
  await remove(Deployment, 'Orphan');
  await cluster.advance('30s');
  const sets = (await client.list(ReplicaSet, space)).items;
  expect(sets.map((s) => s.metadata.ownerReferences ?? [])).toEqual([[]]);
  expect(await podNames()).toHaveLength(2);
});

const ownerOf = (o: KubeObject, more: object = {}) => ({
  apiVersion: o.apiVersion,
  kind: o.kind,
  name: o.metadata.name,
  uid: o.metadata.uid,
  ...more,
});

test('Garbage Collector, multiple owners', async () => {
  await make(client, ReplicationController, 'x', controllerOf(4));
  const other = await make(client, ReplicationController, 'stays', {
    spec: { ...workload('other'), selector: { app: 'other' }, replicas: 0 },
  });
  await cluster.settle();
  const pods = await podNames();
  const kept = pods.slice(0, 2);
  for (const name of kept)
    await client.patch(Pod, inDefault(name), 'strategic', { metadata: { ownerReferences: [ownerOf(other)] } });
  await remove(ReplicationController, 'Foreground');
  await cluster.settle();
  const left = (await client.list(Pod, space)).items;
  expect(await names(client, ReplicationController)).toEqual(['stays']);
  expect(left.map((p) => [p.metadata.name, p.metadata.ownerReferences?.map((o) => o.name)])).toEqual(
    kept.map((n) => [n, ['stays']]),
  );
});

test('Garbage Collector, dependency cycle', async () => {
  const pods = [];
  for (const name of ['p1', 'p2', 'p3']) pods.push(await make(client, Pod, name, { spec: podSpec() }));
  for (const [i, name] of ['p1', 'p2', 'p3'].entries())
    await client.patch(Pod, inDefault(name), 'merge', {
      metadata: { ownerReferences: [ownerOf(pods[(i + 2) % 3]!, { controller: true, blockOwnerDeletion: true })] },
    });
  await cluster.settle();
  await client.delete(Pod, inDefault('p1'), { propagationPolicy: 'Foreground' });
  await cluster.settle();
  await cluster.advance('1m');
  expect(await podNames()).toEqual([]);
});
