// Pods, configuration and placement. Tests are named after the behaviours of the conformance suite.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigMap } from '../../api/kinds/core/config-map.ts';
import { Event } from '../../api/kinds/core/event.ts';
import { Node } from '../../api/kinds/core/node.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import { Secret } from '../../api/kinds/core/secret.ts';
import type { Client } from '../../client/client.ts';
import { TestCluster } from '../testing.ts';
import { inDefault, make, names, podSpec, refusal, watching } from './support.ts';

let cluster: TestCluster;
let client: Client;
beforeEach(async () => {
  cluster = await TestCluster.start({ seed: 1, nodes: 2 });
  client = cluster.client;
});
afterEach(() => cluster.stop());

const space = { namespace: 'default' };
const pod = (name: string, spec: object = {}, metadata: object = {}) =>
  make(client, Pod, name, { spec: podSpec(spec) }, metadata);
const get = (name: string) => client.get(Pod, inDefault(name));
const change = (name: string, patch: object, subresource?: string) =>
  client.patch(Pod, inDefault(name), 'strategic', patch, subresource ? { subresource } : {});
const resources = (cpu: string, memory = '100Mi') => ({ requests: { cpu, memory }, limits: { cpu, memory } });
const sized = (cpu: string) => ({ containers: [{ name: 'c', image: 'app:1', resources: resources(cpu) }] });

describe('Pods', () => {
  test('Pods Generation, updates', async () => {
    const made = await pod('g', sized('100m'), { generation: 100 });
    expect(made.metadata.generation).toBe(1);
    const tolerations = [...made.spec!.tolerations!, { key: 'a', operator: 'Exists' }];
    const steps: [object, string | undefined, number][] = [
      [{ metadata: { labels: { a: 'b' } } }, undefined, 1],
      [{ spec: { activeDeadlineSeconds: 3600 } }, undefined, 2],
      [{ spec: { containers: [{ name: 'c', image: 'app:2' }] } }, undefined, 3],
      [{ spec: { tolerations } }, undefined, 4],
      [{ spec: { ephemeralContainers: [{ name: 'e', image: 'debug' }] } }, 'ephemeralcontainers', 5],
      [{ spec: { containers: [{ name: 'c', resources: resources('200m') }] } }, 'resize', 6],
    ];
    for (const [patch, subresource, generation] of steps) {
      await cluster.settle();
      expect((await change('g', patch, subresource)).metadata.generation, JSON.stringify(patch)).toBe(generation);
    }
    await cluster.settle();
    expect((await get('g')).status!.observedGeneration).toBe(6);
  });

  test('Pods Generation, graceful delete', async () => {
    await pod('g', { terminationGracePeriodSeconds: 30 }, { generation: 5, finalizers: ['e2e.example.com/keep'] });
    await cluster.settle();
    const deleted = await client.delete(Pod, inDefault('g'));
    expect(deleted?.metadata).toMatchObject({ generation: 2, deletionGracePeriodSeconds: 30 });
    await cluster.settle();
    await client.patch(Pod, inDefault('g'), 'merge', { metadata: { finalizers: null } });
    await cluster.settle();
    expect(await names(client, Pod)).toEqual([]);
  });

  test('Pods Generation, 500 updates', async () => {
    await pod('g');
    await cluster.settle();
    for (let n = 1; n <= 500; n++) await change('g', { spec: { activeDeadlineSeconds: 10_000 - n } });
    await cluster.settle();
    const { metadata, status } = await get('g');
    expect([metadata.generation, status!.observedGeneration]).toEqual([501, 501]);
  });

  test('Pods, QOS', async () => {
    expect((await pod('g', sized('100m'))).status!.qosClass).toBe('Guaranteed');
    expect((await pod('b')).status!.qosClass).toBe('BestEffort');
  });

  test('Pods, ActiveDeadlineSeconds', async () => {
    await pod('p');
    await cluster.settle();
    await change('p', { spec: { activeDeadlineSeconds: 5 } });
    await cluster.advance('10s');
    expect((await get('p')).status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' });
  });

  test('Pods, lifecycle + Pods, update + Pods, assigned hostip', async () => {
    const watch = await watching(client, Pod, { ...space, labelSelector: 'time=now' });
    await pod('p', {}, { labels: { time: 'now' } });
    await cluster.settle();
    const { status, spec } = await get('p');
    const node = await client.get(Node, { name: spec!.nodeName! });
    expect(status!.hostIP).toBe(node.status!.addresses!.find((a) => a.type === 'InternalIP')!.address);
    expect(status!.hostIPs).toEqual([{ ip: status!.hostIP }]);
    await change('p', { metadata: { labels: { updated: 'yes' } } });
    expect(await names(client, Pod, { labelSelector: 'updated=yes' })).toEqual(['p']);
    await client.delete(Pod, inDefault('p'), { gracePeriodSeconds: 1 });
    await cluster.settle();
    expect([watch.types()[0], watch.types().at(-1)]).toEqual(['ADDED', 'DELETED']);
    expect(watch.events.at(-1)!.object.metadata.deletionTimestamp).toBeDefined();
    expect(watch.events.some((e) => e.type === 'MODIFIED' && e.object.metadata.deletionTimestamp)).toBe(true);
    expect(await refusal(get('p'))).toBe('NotFound: pods "p" not found');
  });

  test('Pods, delete a collection', async () => {
    for (const name of ['p1', 'p2', 'p3'])
      await pod(name, { terminationGracePeriodSeconds: 1 }, { labels: { type: 'Testing' } });
    await cluster.settle();
    await client.deleteCollection(Pod, { ...space, labelSelector: 'type=Testing' });
    await cluster.settle();
    expect(await names(client, Pod, space)).toEqual([]);
  });

  test('Pods, completes the lifecycle of a Pod and the PodStatus', async () => {
    await pod('p', {}, { labels: { e2e: 'life' } });
    await cluster.settle();
    await change('p', {
      metadata: { labels: { e2e: 'patched' } },
      spec: { containers: [{ name: 'c', image: 'app:2' }] },
    });
    await cluster.settle();
    const running = await get('p');
    expect(running.status!.containerStatuses![0]).toMatchObject({
      image: expect.stringContaining('app:2') as string,
      restartCount: 1,
    });
    const message = 'patched by a test';
    const patched = await client.patch(
      Pod,
      inDefault('p'),
      'merge',
      { status: { message } },
      { subresource: 'status' },
    );
    expect(patched.status).toMatchObject({ message, phase: 'Running' });
    await client.deleteCollection(Pod, { ...space, labelSelector: 'e2e=patched' });
    await cluster.settle();
    expect(await names(client, Pod, space)).toEqual([]);
  });

  test('Sysctls, reject invalid sysctls', async () => {
    const sysctls = ['foo-', 'kernel.shmmax', 'safe-and-unsafe', 'bar..'].map((name) => ({ name, value: 'x' }));
    const text = await refusal(pod('p', { securityContext: { sysctls } }));
    expect(text).toMatch(/^Invalid: /);
    expect(text).toContain('Invalid value: "foo-"');
    expect(text).toContain('Invalid value: "bar.."');
    expect(text).not.toMatch(/safe-and-unsafe|kernel.shmmax/);
  });
});

describe.each([
  ['ConfigMap', ConfigMap, 'v'],
  ['Secret', Secret, btoa('v')],
] as const)('%s', (word, kind, value) => {
  const plural = word === 'Secret' ? 'Secrets' : word;
  test(`${plural}, with empty-key`, async () => {
    expect(await refusal(make(client, kind as typeof ConfigMap, 'x', { data: { '': value } }))).toMatch(
      /^Invalid: .*a valid config key must consist of alphanumeric characters/,
    );
  });

  test(`${plural} Volume, immutability`, async () => {
    const plain = kind as typeof ConfigMap;
    const patch = (body: object) => client.patch(plain, inDefault('x'), 'merge', body);
    await make(client, plain, 'x', { data: { k: value } });
    await patch({ data: { l: value } });
    await patch({ immutable: true });
    for (const body of [{ data: { k: btoa('other') } }, { immutable: null }, { immutable: false }])
      expect(await refusal(patch(body))).toMatch(/^Invalid: .*Forbidden: field is immutable when `immutable` is set/);
    expect((await patch({ metadata: { labels: { a: 'b' } } })).metadata.labels).toEqual({ a: 'b' });
    await client.delete(plain, inDefault('x'));
  });
});

describe('taints', () => {
  const evict = { key: 'e2e', value: 'evict', effect: 'NoExecute' };
  const tolerate = (tolerationSeconds: number) => ({
    nodeName: 'node-1',
    terminationGracePeriodSeconds: 0,
    tolerations: [{ key: 'e2e', operator: 'Exists', effect: 'NoExecute', tolerationSeconds }],
  });
  const taint = (taints: object[]) => client.patch(Node, { name: 'node-1' }, 'merge', { spec: { taints } });

  test('Pod Eviction, Toleration limits', async () => {
    await pod('short', tolerate(20));
    await pod('long', tolerate(60));
    await cluster.settle();
    await taint([evict]);
    await cluster.advance('10s');
    expect(await names(client, Pod)).toEqual(['long', 'short']);
    await cluster.advance('20s');
    expect(await names(client, Pod)).toEqual(['long']);
    await cluster.advance('40s');
    expect(await names(client, Pod)).toEqual([]);
  });

  test('Taint, Pod Eviction on taint removal', async () => {
    await pod('p', tolerate(60));
    await cluster.settle();
    await taint([evict]);
    await cluster.advance('30s');
    await taint([]);
    await cluster.advance('2m');
    expect((await get('p')).metadata.deletionTimestamp).toBeUndefined();
  });
});

describe('Scheduler', () => {
  const refused = async (name: string) => {
    await cluster.advance('5s');
    expect((await get(name)).spec!.nodeName).toBeUndefined();
    const events = (await client.list(Event, space)).items.filter((e) => e.involvedObject.name === name);
    return events.find((e) => e.reason === 'FailedScheduling')?.message;
  };

  test('Scheduler, resource limits', async () => {
    for (const { metadata, status } of (await client.list(Node)).items)
      await pod(`filler-${metadata.name}`, {
        nodeName: metadata.name,
        ...sized(String(Number(status!.allocatable!['cpu']) - 1)),
      });
    await cluster.settle();
    await pod('additional', sized('2'));
    expect(await refused('additional')).toMatch(/^0\/2 nodes are available: 2 Insufficient cpu/);
  });

  test('Scheduler, node selector matching', async () => {
    await client.patch(Node, { name: 'node-2' }, 'merge', { metadata: { labels: { e2e: '42' } } });
    await pod('p', { nodeSelector: { e2e: '42' } });
    await cluster.settle();
    expect((await get('p')).spec!.nodeName).toBe('node-2');
  });

  test('Scheduler, node selector not matching', async () => {
    await pod('p', { nodeSelector: { label: 'nonempty' } });
    expect(await refused('p')).toMatch(
      /^0\/2 nodes are available: 2 node\(s\) didn't match Pod's node affinity\/selector/,
    );
  });

  test('Scheduling, HostPort and Protocol match, HostIPs different but one is default HostIP (0.0.0.0)', async () => {
    const port = (hostIP?: string) => ({
      nodeSelector: { 'kubernetes.io/hostname': 'node-1' },
      containers: [
        { name: 'c', image: 'app:1', ports: [{ containerPort: 8080, hostPort: 54322, ...(hostIP ? { hostIP } : {}) }] },
      ],
    });
    await pod('p4', port('0.0.0.0'));
    await cluster.settle();
    expect((await get('p4')).spec!.nodeName).toBe('node-1');
    await pod('p5', port('192.0.2.10'));
    expect(await refused('p5')).toContain("1 node(s) didn't have free ports for the requested pod ports");
  });
});

test('Conformance tests minimum number of nodes.', async () => {
  const free = (await client.list(Node)).items.filter((n) => !n.spec?.unschedulable && !n.spec?.taints?.length);
  expect(free.length).toBeGreaterThanOrEqual(2);
});
