// Snapshots, forks and restores in the middle of things, and the past.

import { describe, expect, it } from 'vitest';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { refOfKey, type Draft } from '../api/object.ts';
import { defineController, NOTHING, watch } from '../client/controller.ts';
import { runController } from '../client/controller-runtime.ts';
import { createInformer, createInformerFactory } from '../client/create-informer.ts';
import { TestCluster } from './testing.ts';

const NAMESPACE = 'default';
const web = { namespace: NAMESPACE, name: 'web' };
const labels = { app: 'web' };

/** Ten pods that take 20 seconds to start, one at a time in a rollout. */
const slowDeployment = {
  metadata: web,
  spec: {
    replicas: 10,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    selector: { matchLabels: labels },
    template: {
      metadata: { labels, annotations: { 'simulator.coracle.dev/start-delay': '20' } },
      spec: { containers: [{ name: 'c', image: 'app:1' }] },
    },
  },
} as unknown as Draft<Deployment>;
const toImage = (image: string) => [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: image }];

const images = async (cluster: TestCluster) => {
  const count: Record<string, number> = {};
  for (const pod of await cluster.list<Pod>(Pod)) {
    if (pod.metadata.deletionTimestamp || pod.status?.phase !== 'Running') continue;
    const image = pod.spec.containers[0]!.image!;
    count[image] = (count[image] ?? 0) + 1;
  }
  return count;
};
const text = (cluster: TestCluster) => JSON.stringify(cluster.history());

/** A cluster whose rollout from app:1 to app:2 is half done. */
async function midRollout(kubelet: 'simulated' | 'full'): Promise<TestCluster> {
  const cluster = await TestCluster.start({ seed: 11, nodes: 2, kubelet });
  await cluster.client.create(Deployment, slowDeployment);
  await cluster.advance('1m');
  await cluster.client.patch(Deployment, web, 'json', toImage('app:2'));
  await cluster.advance('110s');
  const now = await images(cluster);
  expect(now['app:1']).toBeGreaterThan(2);
  expect(now['app:2']).toBeGreaterThan(2);
  return cluster;
}

describe.each(['simulated', 'full'] as const)('%s', (kubelet) => {
  it('a rollout goes on in both halves of a fork, each its own way', async () => {
    await using cluster = await midRollout(kubelet);
    const half = await images(cluster);
    const past = text(cluster);
    await using back = await cluster.fork();
    await using third = await cluster.fork();
    expect(text(back).startsWith(past.slice(0, -1))).toBe(true);

    await back.client.patch(Deployment, web, 'json', toImage('app:1'));
    await back.advance('10m');
    expect(await images(back)).toEqual({ 'app:1': 10 });
    expect(await images(cluster)).toEqual(half);
    expect(text(cluster)).toBe(past);

    await cluster.advance('10m');
    expect(await images(cluster)).toEqual({ 'app:2': 10 });
    await third.client.patch(Deployment, web, 'merge', { spec: { paused: true } });
    await third.advance('1h');
    expect(Object.keys(await images(third)).sort()).toEqual(['app:1', 'app:2']);
    const sets = (await cluster.list<ReplicaSet>(ReplicaSet)).map((set) => set.metadata.uid);
    expect((await third.list<ReplicaSet>(ReplicaSet)).map((set) => set.metadata.uid)).toEqual(sets);
  });

  it('two forks of one moment that see the same do the same', async () => {
    await using cluster = await midRollout(kubelet);
    const moment = cluster.snapshot();
    const rest = async () => {
      await using fork = await cluster.fork(moment);
      await fork.advance('10m');
      return text(fork);
    };
    expect(await rest()).toBe(await rest());
  });

  it('goes back to the middle of a rollout, more than once', async () => {
    await using cluster = await midRollout(kubelet);
    const moment = cluster.snapshot();
    const [time, half] = [cluster.now(), await images(cluster)];
    const ends: string[] = [];
    for (const image of ['app:3', 'app:4']) {
      await cluster.client.patch(Deployment, web, 'json', toImage(image));
      await cluster.advance('20m');
      ends.push(Object.keys(await images(cluster)).join());
      await cluster.restore(moment);
      expect(cluster.now()).toBe(time);
      expect(await images(cluster)).toEqual(half);
    }
    expect(ends).toEqual(['app:3', 'app:4']);
    await cluster.advance('20m');
    expect(await images(cluster)).toEqual({ 'app:2': 10 });
  });
});

it('watchers learn that they must begin anew when the cluster goes back', async () => {
  await using cluster = await TestCluster.start({ seed: 1 });
  const moment = cluster.snapshot();
  for (const name of ['a', 'b']) await cluster.client.create(ConfigMap, { metadata: { name, namespace: NAMESPACE } });
  const stream = await cluster.client.watch(ConfigMap, { namespace: NAMESPACE });
  const told: string[] = [];
  stream.start({
    events: (batch) => {
      for (const { type, object } of batch)
        told.push(`${type} ${(object as { code?: number }).code ?? object.metadata?.name}`);
    },
    closed: () => told.push('closed'),
  });
  await cluster.settle();
  told.length = 0;
  await cluster.restore(moment);
  expect(told).toEqual(['ERROR 410', 'closed']);
});

it.each(['virtual', 'real'] as const)(
  'an informer that lives through a restore shows what is there: %s',
  async (time) => {
    await using cluster = await TestCluster.start({ seed: 1, time });
    const abort = new AbortController();
    await cluster.client.create(ConfigMap, { metadata: { name: 'kept', namespace: NAMESPACE } });
    const moment = cluster.snapshot();
    const informer = createInformer(
      ConfigMap,
      { client: cluster.client, env: cluster.env },
      { namespace: NAMESPACE, signal: abort.signal },
    );
    await informer.synced;
    for (const name of ['x', 'y', 'z'])
      await cluster.client.create(ConfigMap, { metadata: { name, namespace: NAMESPACE } });
    await cluster.settle();
    const names = () => informer.list().map((map) => map.metadata.name);
    expect(names()).toEqual(expect.arrayContaining(['kept', 'x', 'y', 'z']));
    await cluster.restore(moment);
    await cluster.client.create(ConfigMap, { metadata: { name: 'new', namespace: NAMESPACE } });
    await expect
      .poll(() =>
        names()
          .filter((name) => name !== 'kube-root-ca.crt')
          .sort(),
      )
      .toEqual(['kept', 'new']);
    abort.abort(new Error('the test is over'));
  },
);

it('every change has its time and author; the past is what it was', async () => {
  await using cluster = await TestCluster.start({ seed: 4 });
  const who = cluster.clientFor({ name: 'jane', groups: ['system:masters', 'system:authenticated'] }, 'shell/1.0');
  const times: number[] = [];
  for (const value of ['1', '2', '3']) {
    await cluster.advance('1h');
    times.push(cluster.now());
    const object = { metadata: { name: 'c', namespace: NAMESPACE }, data: { value } };
    await (value === '1' ? who.create(ConfigMap, object) : who.patch(ConfigMap, object.metadata, 'merge', object));
  }
  await cluster.advance('1h');
  await who.delete(ConfigMap, { name: 'c', namespace: NAMESPACE });
  const changes = cluster.history().filter((c) => c.name === 'c');
  expect(changes.map(({ type, time, author }) => [type, time, author?.user, author?.manager, author?.verb])).toEqual([
    ['ADDED', times[0], 'jane', 'shell', 'create'],
    ['MODIFIED', times[1], 'jane', 'shell', 'patch'],
    ['MODIFIED', times[2], 'jane', 'shell', 'patch'],
    ['DELETED', cluster.now(), 'jane', 'shell', 'delete'],
  ]);
  const valueAt = (time: number) =>
    cluster.at(time).get<ConfigMap>(ConfigMap, { name: 'c', namespace: NAMESPACE })?.data?.['value'];
  expect([times[0]! - 1, ...times, cluster.now() - 1, cluster.now()].map(valueAt)).toEqual([
    undefined,
    '1',
    '2',
    '3',
    '3',
    undefined,
  ]);
  // Only what the server does by itself has none: events expire after an hour.
  const nobody = cluster.history().filter((c) => !c.author);
  expect(new Set(nobody.map((c) => `${c.type} ${c.resource}`))).toEqual(new Set(['DELETED events']));
  await using fork = await cluster.fork();
  expect(
    fork
      .at(times[1]!)
      .list<ConfigMap>(ConfigMap, NAMESPACE)
      .map((o) => o.data?.['value']),
  ).toContain('2');
});

describe('a run that fails tells its seed', () => {
  it('by the error of what was run', async () => {
    const failing = TestCluster.use({ seed: 77 }, async (cluster) => {
      expect(await cluster.list(Pod)).toHaveLength(1);
    });
    await expect(failing).rejects.toThrow('CORACLE_SEED=77 repeats it');
  });

  it('and takes one from the environment', async () => {
    process.env['CORACLE_SEED'] = '4711';
    try {
      expect(await TestCluster.use({}, async ({ seed }) => seed)).toBe(4711);
      process.env['CORACLE_SEED'] = 'x';
      await expect(TestCluster.start()).rejects.toThrow('CORACLE_SEED=x is no seed');
    } finally {
      delete process.env['CORACLE_SEED'];
    }
    await using one = await TestCluster.start();
    await using other = await TestCluster.start();
    expect(one.seed).not.toBe(other.seed);
  });
});

it('a controller of the test lives through a restore, its waiting keys included', async () => {
  await using cluster = await TestCluster.start({ seed: 6 });
  const { client, env } = cluster;
  const stop = new AbortController();
  const controller = defineController({
    name: 'stamper',
    primary: ConfigMap,
    watches: [watch({ kind: ConfigMap, keys: 'self' })],
    grants: [],
    plan(key, view, now) {
      const map = view.of(ConfigMap).get(key);
      if (!map?.data?.['a'] || map.data['stamped']) return NOTHING;
      const due = Date.parse(map.metadata.creationTimestamp!) + 60_000;
      if (now < due) return { actions: [], again: due - now };
      const patch = { data: { stamped: 'yes' } };
      return { actions: [{ do: 'patch', kind: ConfigMap, ref: refOfKey(key), type: 'merge', patch }] };
    },
  });
  const informers = createInformerFactory({ client, env }, stop);
  const running = runController(controller, { client, env, informers }, stop);
  const create = (name: string) =>
    client.create(ConfigMap, { metadata: { name, namespace: NAMESPACE }, data: { a: '1' } });
  const stamped = async () =>
    (await cluster.list<ConfigMap>(ConfigMap, NAMESPACE))
      .filter((map) => map.data?.['stamped'])
      .map((map) => map.metadata.name);
  await create('first');
  await cluster.advance('30s');
  const moment = cluster.snapshot();
  await create('lost');
  await cluster.advance('2m');
  expect(await stamped()).toEqual(['first', 'lost']);
  await cluster.restore(moment);
  await create('second');
  await cluster.advance('31s');
  expect(await stamped()).toEqual(['first']);
  await cluster.advance('30s');
  expect(await stamped()).toEqual(['first', 'second']);
  stop.abort(new Error('the test is over'));
  await running;
});

it.each(['simulated', 'full'] as const)(
  '%s: pods share no address when a node comes back, nor in a fork',
  async (kubelet) => {
    await using cluster = await TestCluster.start({ nodes: 1, kubelet });
    const addresses = async (of: TestCluster) =>
      new Set((await of.list<Pod>(Pod)).map((pod) => pod.status?.podIP)).difference(new Set([undefined]));
    const scale = async (of: TestCluster, replicas: number) => {
      await of.client.patch(Deployment, web, 'merge', { spec: { replicas } });
      await of.advance('1m');
    };
    await cluster.client.create(Deployment, slowDeployment);
    await cluster.advance('1m');
    await cluster.stopNode('node-1');
    cluster.startNode('node-1');
    await scale(cluster, 14);
    expect((await addresses(cluster)).size).toBe(14);
    await using other = await cluster.fork();
    await scale(other, 18);
    expect((await addresses(other)).size).toBe(18);
  },
);
