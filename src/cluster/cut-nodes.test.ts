// Nodes whose network is cut for a while, and comes back: their containers go on meanwhile.

import { expect, test } from 'vitest';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Service } from '../api/kinds/core/service.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import { Cuts } from './test-cuts.ts';
import { TestCluster } from './testing.ts';

const namespace = 'default';
const labels = { app: 'web' };
const UNREACHABLE = 'node.kubernetes.io/unreachable';

async function start(nodes: number, replicas: number) {
  const cuts = new Cuts();
  const cluster = await TestCluster.start({ nodes, kubelet: 'full', seed: 11, between: cuts.between });
  cuts.env = cluster.env;
  const { client } = cluster;
  const metadata = { namespace, name: 'web' };
  const spec = { containers: [{ name: 'c', image: 'i' }], terminationGracePeriodSeconds: 5 };
  await client.create(Deployment, {
    metadata,
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  } as never);
  await client.create(Service, { metadata, spec: { selector: labels, ports: [{ port: 80 }] } } as never);
  await cluster.settle();
  const web = async () => (await cluster.list<Pod>(Pod)).filter((p) => p.metadata.labels?.['app'] === 'web');
  const on = async (node: string) => (await web()).filter((p) => p.spec.nodeName === node);
  const taints = async (name: string) =>
    ((await client.get(Node, { name })).spec?.taints ?? []).map((t) => `${t.key}:${t.effect}`);
  /** Containers that run on the node, whatever the API knows of them. */
  const running = async (node: string) =>
    (await cluster.nodes.find((n) => n.name === node)!.runtime!.listContainers())
      .filter((c) => c.state === 'running')
      .map((c) => c.id)
      .sort();
  return { cuts, cluster, client, web, on, taints, running };
}

const ready = (pod: Pod | Node) => pod.status?.conditions?.find((c) => c.type === 'Ready')?.status;
const uids = (pods: readonly Pod[]) => pods.map((p) => p.metadata.uid).sort();

async function endpoints(cluster: TestCluster): Promise<{ ready: number; all: number }> {
  const slices = await cluster.list<EndpointSlice>(EndpointSlice, namespace);
  const all = slices.flatMap((slice) => slice.endpoints ?? []);
  return { ready: all.filter((e) => e.conditions?.ready).length, all: all.length };
}

test('half a minute: nobody notices', async () => {
  const { cuts, cluster, web, running } = await start(3, 6);
  await using _ = cluster;
  const before = await web();
  const containers = await running('node-3');
  const from = cluster.history().length;
  cuts.cut('node-3');
  await cluster.advance('30s');
  cuts.mend();
  await cluster.advance('5m');
  const changed = cluster.history().slice(from);
  expect(changed.filter((c) => c.resource === 'pods')).toEqual([]);
  expect(changed.filter((c) => c.resource === 'nodes' && ready(c.object as Node) !== 'True')).toEqual([]);
  expect(uids(await web())).toEqual(uids(before));
  expect(await running('node-3')).toEqual(containers);
});

test('two minutes: out of its Services, tainted, and back as it was', async () => {
  const { cuts, cluster, client, web, on, taints, running } = await start(3, 6);
  await using _ = cluster;
  const before = await web();
  const containers = await running('node-3');
  expect(containers.length).toBeGreaterThan(0);
  cuts.cut('node-3');
  await cluster.advance('2m');
  const node = await client.get(Node, { name: 'node-3' });
  expect(node.status?.conditions?.filter((c) => c.status === 'Unknown').map((c) => c.type)).toContain('Ready');
  expect(await taints('node-3')).toEqual([`${UNREACHABLE}:NoSchedule`, `${UNREACHABLE}:NoExecute`]);
  const there = await on('node-3');
  expect(there.map(ready)).toEqual(there.map(() => 'False'));
  expect(await endpoints(cluster)).toEqual({ ready: 6 - there.length, all: 6 });
  // What happens to its pods meanwhile it hears when it is back.
  const label = { metadata: { labels: { heard: 'later' } } };
  await client.patch(Pod, { namespace, name: there[0]!.metadata.name }, 'merge', label);
  cuts.mend();
  await cluster.advance('1m');
  expect(await taints('node-3')).toEqual([]);
  expect((await web()).map(ready)).toEqual(before.map(() => 'True'));
  expect(await endpoints(cluster)).toEqual({ ready: 6, all: 6 });
  expect(uids(await web())).toEqual(uids(before));
  expect(await running('node-3')).toEqual(containers);
  expect((await web()).map((p) => p.status!.containerStatuses![0]!.restartCount)).toEqual(before.map(() => 0));
});

test('ten minutes: replaced elsewhere; what is left ends when the node is back, and not before', async () => {
  const { cuts, cluster, client, web, on, taints, running } = await start(3, 6);
  await using _ = cluster;
  // A pod with a name of its own: there is never a second of it.
  const spec = { nodeName: 'node-3', containers: [{ name: 'c', image: 'i' }] };
  await client.create(Pod, { metadata: { namespace, name: 'db-0' }, spec } as never);
  await cluster.settle();
  const there = await on('node-3');
  const containers = await running('node-3');
  expect(containers).toHaveLength(there.length + 1);
  cuts.cut('node-3');
  await cluster.advance('5m');
  expect((await on('node-3')).filter((p) => p.metadata.deletionTimestamp)).toEqual([]);
  await cluster.advance('5m');
  const going = await on('node-3');
  expect(uids(going)).toEqual(uids(there));
  expect(going.every((p) => p.metadata.deletionTimestamp)).toBe(true);
  const living = (await web()).filter((p) => !p.metadata.deletionTimestamp);
  expect(living.map(ready)).toEqual(Array(6).fill('True'));
  expect(living.map((p) => p.spec.nodeName)).not.toContain('node-3');
  expect((await endpoints(cluster)).ready).toBe(6);
  // They run on, for all that anybody knows.
  expect(await running('node-3')).toEqual(containers);
  const db = { metadata: { namespace, name: 'db-0' }, spec: { containers: spec.containers } };
  await expect(client.create(Pod, db as never)).rejects.toThrow(/already exists|being deleted/);
  await cluster.advance('1h');
  expect(await running('node-3')).toEqual(containers);
  expect(await on('node-3')).toHaveLength(there.length);

  cuts.mend();
  await cluster.advance('1m');
  expect(await running('node-3')).toEqual([]);
  expect(await taints('node-3')).toEqual([]);
  expect(uids(await web())).toEqual(uids(living));
  await client.create(Pod, { ...db, spec } as never);
  await cluster.advance('10s');
  expect(ready(await client.get(Pod, { namespace, name: 'db-0' }))).toBe('True');
});

test('a pod deleted by force while its node is cut ends there when it is back', async () => {
  const { cuts, cluster, client, on, running } = await start(2, 4);
  await using _ = cluster;
  const [pod] = await on('node-2');
  const containers = await running('node-2');
  cuts.cut('node-2');
  await cluster.advance('1m');
  const ref = { namespace, name: pod!.metadata.name };
  await client.delete(Pod, ref, { gracePeriodSeconds: 0 });
  await cluster.advance('1m');
  expect(await running('node-2')).toEqual(containers);
  cuts.mend();
  await cluster.advance('1m');
  const left = await running('node-2');
  expect(containers).toEqual(expect.arrayContaining(left));
  expect(left).toHaveLength(containers.length - 1);
  await expect(client.get(Pod, ref)).rejects.toThrow('not found');
});

test('all nodes: it is the network, and nobody loses pods', async () => {
  const { cuts, cluster, web, taints } = await start(3, 6);
  await using _ = cluster;
  const before = await web();
  cuts.cut('node-1', 'node-2', 'node-3');
  await cluster.advance('1h');
  for (const name of ['node-1', 'node-2', 'node-3']) expect(await taints(name)).toEqual([`${UNREACHABLE}:NoSchedule`]);
  const during = await web();
  expect(uids(during)).toEqual(uids(before));
  expect(during.filter((p) => p.metadata.deletionTimestamp)).toEqual([]);
  cuts.mend();
  await cluster.advance('2m');
  for (const name of ['node-1', 'node-2', 'node-3']) expect(await taints(name)).toEqual([]);
  const after = await web();
  expect(uids(after)).toEqual(uids(before));
  expect(after.map(ready)).toEqual(before.map(() => 'True'));
});

test('most of a small cluster: its pods wait; a zone of several: they are replaced in the others', async () => {
  const { cuts, cluster, client, web, taints } = await start(6, 6);
  await using _ = cluster;
  const first = ['node-1', 'node-2', 'node-3', 'node-4'];
  const before = await web();
  cuts.cut(...first);
  await cluster.advance('20m');
  for (const name of first) expect(await taints(name)).toEqual([`${UNREACHABLE}:NoSchedule`]);
  expect((await web()).filter((p) => p.metadata.deletionTimestamp)).toEqual([]);
  cuts.mend();
  await cluster.advance('2m');
  expect(uids(await web())).toEqual(uids(before));

  const zone = (name: string) => (Number(name.slice(5)) <= 3 ? 'a' : 'b');
  for (const { name } of cluster.nodes) {
    const label = { metadata: { labels: { 'topology.kubernetes.io/zone': zone(name) } } };
    await client.patch(Node, { name }, 'merge', label);
  }
  const lost = ['node-1', 'node-2', 'node-3'];
  cuts.cut(...lost);
  await cluster.advance('10m');
  for (const name of lost) expect(await taints(name)).toContain(`${UNREACHABLE}:NoExecute`);
  const living = (await web()).filter((p) => !p.metadata.deletionTimestamp);
  expect(living.map((p) => zone(p.spec.nodeName!))).toEqual(Array(6).fill('b'));
  cuts.mend();
  await cluster.advance('2m');
  expect(uids(await web())).toEqual(uids(living));
});
