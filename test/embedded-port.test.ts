// The port of an embedded cluster, from a process of its own kubectl and with a client library that is not ours.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppsV1Api, CoreV1Api, KubeConfig, Watch } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigMap } from '../src/api/kinds/core/config-map.ts';
import { TestCluster } from '../src/cluster/testing.ts';
import { Kubectl, kubectls } from './support/kubectl.ts';

const dir = mkdtempSync(join(tmpdir(), 'coracle-port-'));
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 2, seed: 1 });
  await cluster.listen();
  writeFileSync(join(dir, 'kubeconfig'), cluster.kubeconfig(), { mode: 0o600 });
});
afterAll(async () => {
  await cluster.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe.each([...kubectls()])('kubectl %s', (version, binary) => {
  test('a Deployment from its creation to its end, in virtual time', async () => {
    const kubectl = new Kubectl(binary, join(dir, 'kubeconfig'), join(dir, version));
    expect(await kubectl.ok('get nodes --no-headers')).toMatch(/node-1\s+Ready[^]*node-2\s+Ready/);
    await kubectl.ok('create deployment web --image=web:1 --replicas=4');
    expect(await kubectl.ok('rollout status deployment web --timeout=30s')).toContain('successfully rolled out');
    await kubectl.ok('set image deployment web web=web:2');
    await kubectl.ok('rollout status deployment web --timeout=30s');
    expect(await kubectl.ok('get pods -o jsonpath={.items[*].spec.containers[0].image}')).toBe(
      'web:2 web:2 web:2 web:2',
    );
    // What kubectl waits for may come from the test.
    await kubectl.ok('create configmap late');
    const waiting = kubectl.ok('wait configmap/late --for=delete --timeout=30s');
    await cluster.advance('1h');
    await cluster.client.delete(ConfigMap, { name: 'late', namespace: 'default' });
    await waiting;
    await kubectl.ok('delete deployment web');
    await cluster.settle();
    expect(await kubectl.ok('get pods --no-headers')).toBe('');
  });

  test('who has no token is nobody', async () => {
    const stranger = join(dir, `stranger-${version}`);
    writeFileSync(stranger, cluster.kubeconfig().replace(/token: .*/, 'token: wrong'));
    const kubectl = new Kubectl(binary, stranger, join(dir, `stranger-${version}-cache`));
    expect(await kubectl.fails('get pods')).toMatch(/Unauthorized|must be logged in/);
  });
});

test('a client library of others: writes, lists, watches', async () => {
  const config = new KubeConfig();
  config.loadFromString(cluster.kubeconfig());
  const core = config.makeApiClient(CoreV1Api);
  const seen: string[] = [];
  const watching = new Watch(config);
  const stop = await watching.watch(
    '/api/v1/namespaces/default/pods',
    {},
    (type, pod: { metadata: { name: string } }) => void seen.push(`${type} ${pod.metadata.name.replace(/-.*/, '')}`),
    () => {},
  );
  const labels = { app: 'lib' };
  await config.makeApiClient(AppsV1Api).createNamespacedDeployment({
    namespace: 'default',
    body: {
      metadata: { name: 'lib' },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'lib:1' }] } },
      },
    },
  });
  const running = async () => {
    const { items } = await core.listNamespacedPod({ namespace: 'default', labelSelector: 'app=lib' });
    return items.map((pod) => pod.status?.phase);
  };
  await expect.poll(running).toEqual(['Running', 'Running']);
  await expect.poll(() => seen.filter((line) => line === 'ADDED lib')).toHaveLength(2);
  stop.abort();
  const author = cluster.history().find((c) => c.resource === 'deployments.apps' && c.name === 'lib')?.author;
  expect(author).toMatchObject({ user: 'system:apiserver', verb: 'create' });
});

test('a port closes with a restore, and another opens', async () => {
  const url = await cluster.listen();
  expect(await cluster.listen()).toBe(url);
  await cluster.restore(cluster.snapshot());
  expect(() => cluster.kubeconfig()).toThrow('call listen() first');
  await cluster.listen();
  expect(cluster.kubeconfig()).toContain('https://127.0.0.1:');
});
