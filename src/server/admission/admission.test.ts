// The admission plugins over the real pipeline.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigMap } from '../../api/kinds/core/config-map.ts';
import { Namespace } from '../../api/kinds/core/namespace.ts';
import { Node } from '../../api/kinds/core/node.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import { ServiceAccount } from '../../api/kinds/core/service-account.ts';
import { Lease } from '../../api/kinds/coordination/lease.ts';
import { PriorityClass } from '../../api/kinds/scheduling/priority-class.ts';
import type { Client } from '../../client/client.ts';
import { createTestServer, type TestServer } from '../../cluster/test-server.ts';
import { bootstrapSystem, publishApiServer } from '../bootstrap.ts';

let t: TestServer;
beforeEach(async () => {
  t = createTestServer({ admission: true });
  await bootstrapSystem(t.server);
  await t.client.create(ServiceAccount, { metadata: { name: 'default', namespace: 'default' } });
});
afterEach(() => t.close());

const pod = (spec: object = {}, metadata: object = {}) =>
  ({
    metadata: { name: 'p', namespace: 'default', ...metadata },
    spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
  }) as Pod;
const create = (spec: object = {}, metadata: object = {}) => t.client.create(Pod, pod(spec, metadata));

describe('NamespaceLifecycle', () => {
  const map = (namespace: string) => t.client.create(ConfigMap, { metadata: { name: 'm', namespace } });

  test('nothing without a namespace', async () => {
    await expect(map('nowhere')).rejects.toMatchObject({ code: 404, message: 'namespaces "nowhere" not found' });
  });

  test('nothing new in one that is going', async () => {
    await t.client.create(Namespace, { metadata: { name: 'x' }, spec: {} });
    await t.client.delete(Namespace, { name: 'x' });
    await expect(map('x')).rejects.toMatchObject({
      code: 403,
      message:
        'configmaps "m" is forbidden: unable to create new content in namespace x because it is being terminated',
      details: {
        causes: [
          { reason: 'NamespaceTerminating', message: 'namespace x is being terminated', field: 'metadata.namespace' },
        ],
      },
    });
  });

  test('the system keeps its namespaces', async () => {
    await expect(t.client.delete(Namespace, { name: 'kube-system' })).rejects.toMatchObject({
      message: 'namespaces "kube-system" is forbidden: this namespace may not be deleted',
    });
    await t.client.delete(Namespace, { name: 'kube-node-lease' });
  });
});

describe('ServiceAccount', () => {
  test('a pod gets the default account and its token', async () => {
    const { spec } = await create();
    expect(spec.serviceAccountName).toBe('default');
    const volume = spec.volumes?.[0];
    expect(volume?.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    expect(volume?.projected).toMatchObject({
      defaultMode: 420,
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
      ],
    });
    const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
    expect(spec.containers[0]!.volumeMounts).toEqual([{ name: volume!.name, readOnly: true, mountPath }]);
  });

  test.each([
    ['the pod', { automountServiceAccountToken: false }, {}],
    ['the account', {}, { automountServiceAccountToken: false }],
  ])('%s may decline', async (_, spec, account) => {
    await t.client.create(ServiceAccount, {
      metadata: { name: 'mine', namespace: 'default' },
      imagePullSecrets: [{ name: 's' }],
      ...account,
    });
    const created = await create({ serviceAccountName: 'mine', ...spec });
    expect(created.spec.volumes).toBeUndefined();
    expect(created.spec.imagePullSecrets).toEqual([{ name: 's' }]);
  });

  test('an account that is not there', async () => {
    await expect(create({ serviceAccountName: 'foo' })).rejects.toMatchObject({
      code: 403,
      message: 'pods "p" is forbidden: error looking up service account default/foo: serviceaccount "foo" not found',
    });
  });

  test('the default one may still be on its way', async () => {
    const waiting = create({}, { namespace: 'kube-public' });
    await t.clock.advance(500);
    await t.client.create(ServiceAccount, { metadata: { name: 'default', namespace: 'kube-public' } });
    await waiting;
    const never = expect(create({}, { namespace: 'kube-system' })).rejects.toMatchObject({ code: 403 });
    await t.clock.advance(2000);
    await never;
  });
});

test('pods stay five minutes on a bad node, new nodes take none', async () => {
  const { spec } = await create({ tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists' }] });
  expect(spec.tolerations?.slice(1)).toEqual([
    { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  ]);
  const node = await t.client.create(Node, { metadata: { name: 'n' }, spec: {} });
  expect(node.spec?.taints).toEqual([{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]);
});

describe('Priority', () => {
  test.each<[object, object]>([
    [{}, { priority: 0, preemptionPolicy: 'PreemptLowerPriority' }],
    [{ priorityClassName: 'system-node-critical' }, { priority: 2_000_001_000 }],
    [{ priorityClassName: 'low' }, { priority: -5, preemptionPolicy: 'Never' }],
  ])('%j', async (spec, expected) => {
    await t.client.create(PriorityClass, { metadata: { name: 'low' }, value: -5, preemptionPolicy: 'Never' });
    expect((await create(spec)).spec).toMatchObject(expected);
  });

  test('a default class', async () => {
    await t.client.create(PriorityClass, { metadata: { name: 'd' }, value: 7, globalDefault: true });
    expect((await create()).spec).toMatchObject({ priority: 7, priorityClassName: 'd' });
    const second = t.client.create(PriorityClass, { metadata: { name: 'e' }, value: 8, globalDefault: true });
    await expect(second).rejects.toMatchObject({
      message: 'priorityclasses.scheduling.k8s.io "e" is forbidden: PriorityClass d is already marked as globalDefault',
    });
  });

  test.each([
    [{ priorityClassName: 'x' }, 'pods "p" is forbidden: no PriorityClass with name x was found'],
    [
      { priority: 3 },
      'pods "p" is forbidden: the integer value of priority (3) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name',
    ],
  ])('refuses %j', async (spec, message) => {
    await expect(create(spec)).rejects.toMatchObject({ code: 403, message });
  });

  test('reserved names', async () => {
    const create = t.client.create(PriorityClass, { metadata: { name: 'system-x' }, value: 1 });
    await expect(create).rejects.toMatchObject({ code: 422 });
  });
});

describe('NodeRestriction', () => {
  let kubelet: Client;
  beforeEach(async () => {
    kubelet = t.clientFor({ name: 'system:node:n1', groups: ['system:nodes'] }, 'kubelet');
    await t.client.create(Node, { metadata: { name: 'n1' }, spec: {} });
    await t.client.create(Node, { metadata: { name: 'n2' }, spec: {} });
  });
  const statusOf = async (name: string) => {
    const node = await t.client.get(Node, { name });
    return kubelet.update(Node, { ...node, status: { phase: 'x' } }, { subresource: 'status' });
  };

  test('its own node', async () => {
    await statusOf('n1');
    await expect(statusOf('n2')).rejects.toMatchObject({
      code: 403,
      message: 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"',
    });
    const label = (key: string) =>
      kubelet.patch(Node, { name: 'n1' }, 'merge', { metadata: { labels: { [key]: 'x' } } });
    await label('example.com/x');
    await label('kubernetes.io/hostname');
    await expect(label('node-restriction.kubernetes.io/x')).rejects.toMatchObject({
      message: 'nodes "n1" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/x',
    });
    const taint = kubelet.patch(Node, { name: 'n1' }, 'merge', { spec: { taints: [] } });
    await expect(taint).rejects.toMatchObject({
      message: 'nodes "n1" is forbidden: node "n1" is not allowed to modify taints',
    });
  });

  test('its own pods', async () => {
    await create({ nodeName: 'n1' });
    await create({ nodeName: 'n2' }, { name: 'q' });
    await kubelet.delete(Pod, { namespace: 'default', name: 'p' });
    await expect(kubelet.delete(Pod, { namespace: 'default', name: 'q' })).rejects.toMatchObject({
      message: 'pods "q" is forbidden: node "n1" can only delete pods with spec.nodeName set to itself',
    });
    const other = await t.client.get(Pod, { namespace: 'default', name: 'q' });
    const status = kubelet.update(Pod, { ...other, status: {} }, { subresource: 'status' });
    await expect(status).rejects.toMatchObject({
      message: 'pods "q" is forbidden: node "n1" can only update pod status for pods with spec.nodeName set to itself',
    });
    const plain = kubelet.create(Pod, pod({ nodeName: 'n1' }, { name: 'r' }));
    await expect(plain).rejects.toMatchObject({
      message:
        'pods "r" is forbidden: pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods',
    });
    const annotations = { 'kubernetes.io/config.mirror': 'x' };
    await kubelet.create(Pod, pod({ nodeName: 'n1' }, { name: 'r', annotations }));
  });

  test('its own lease', async () => {
    const lease = (name: string) =>
      kubelet.create(Lease, { metadata: { name, namespace: 'kube-node-lease' }, spec: {} });
    await lease('n1');
    await expect(lease('n2')).rejects.toMatchObject({ code: 403 });
  });
});

test('plugins can be switched off, and unknown ones are an error', () => {
  expect(() => createTestServer({ admission: { disable: ['Nonsense'] } })).toThrow(
    'unknown admission plugin "Nonsense"',
  );
  const only = createTestServer({ admission: { only: ['Priority'] } });
  expect(only.server.admission.map((p) => p.name)).toEqual(['Priority']);
});

test('the Service kubernetes leads to the API servers', async () => {
  const publish = (addresses: string[]) => publishApiServer(t.server, { addresses, port: 6443 });
  await publish(['10.1.0.1']);
  const get = (resource: string, group = '') =>
    t.client.do({ verb: 'get', group, version: 'v1', resource, namespace: 'default', name: 'kubernetes', options: {} });
  expect(await get('services')).toMatchObject({ object: { spec: { clusterIP: '10.96.0.1', type: 'ClusterIP' } } });
  await publish(['10.1.0.2', '10.1.0.1']);
  expect(await get('endpoints')).toMatchObject({
    object: { subsets: [{ addresses: [{ ip: '10.1.0.1' }, { ip: '10.1.0.2' }] }] },
  });
  expect(await get('endpointslices', 'discovery.k8s.io')).toMatchObject({
    object: { endpoints: [{ addresses: ['10.1.0.1'] }, { addresses: ['10.1.0.2'] }] },
  });
  const before = t.store.revision;
  await publish(['10.1.0.1', '10.1.0.2']);
  expect(t.store.revision).toBe(before);
});
