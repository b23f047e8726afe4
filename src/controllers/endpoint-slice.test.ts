import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Endpoints } from '../api/kinds/core/endpoints.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Service } from '../api/kinds/core/service.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import type { KubeObject } from '../api/object.ts';
import { rfc3339 } from '../base/env.ts';
import { startControllers, type TestControllers } from '../cluster/test-controllers.ts';
import { endpointSliceMirroring } from './endpoint-slice-mirroring.ts';
import { endpointSlice } from './endpoint-slice.ts';
import { endpoints } from './endpoints.ts';

let t: TestControllers;
let writes: string[];
beforeEach(async () => {
  writes = [];
  t = await startControllers([endpointSlice, endpoints, endpointSliceMirroring], {
    observe: ({ verb, resource }) =>
      void (/endpoint/.test(resource) && /create|update|delete/.test(verb) && writes.push(`${verb} ${resource}`)),
  });
  for (const zone of ['a', 'b']) {
    const labels = { 'topology.kubernetes.io/zone': zone };
    await t.client.create(Node, { metadata: { name: `node-${zone}`, labels }, spec: {} } as never);
  }
});
afterEach(() => t.stop());

const namespace = 'default';
const ref = { namespace, name: 'web' };
const labels = { app: 'web' };

async function service(spec: object = {}, metadata: object = {}) {
  const object = {
    metadata: { namespace, name: 'web', ...metadata },
    spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  };
  await t.client.create(Service, object as never);
  await t.settle();
}

interface PodOptions {
  readonly ready?: boolean;
  readonly node?: string;
  readonly spec?: object;
  readonly phase?: string;
  readonly finalizers?: string[];
}

async function pod(name: string, ip: string, options: PodOptions = {}) {
  const { ready = true, node = 'node-a', spec = {}, phase = 'Running', finalizers } = options;
  await t.client.create(Pod, {
    metadata: { name, namespace, labels, ...(finalizers ? { finalizers } : {}) },
    spec: { nodeName: node, containers: [{ name: 'c', image: 'i' }], ...spec },
  } as never);
  await setStatus(name, ready, ip, phase);
}

async function setStatus(name: string, ready: boolean, ip: string, phase = 'Running') {
  const current = await t.client.get(Pod, { namespace, name });
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: rfc3339(t.clock.now()) }];
  const podIPs = ip ? ip.split(',').map((one) => ({ ip: one })) : [];
  const status = { ...current.status, phase, podIPs, conditions, ...(ip ? { podIP: podIPs[0]!.ip } : {}) };
  await t.client.update(Pod, { ...current, status } as typeof current, { subresource: 'status' });
}

const slices = async () => (await t.client.list(EndpointSlice, { namespace })).items;
/** `address r/s/t` of each endpoint of all slices, by name of the flags that hold. */
const summary = async () =>
  (await slices())
    .flatMap((slice) =>
      (slice.endpoints ?? []).map((e) => {
        const { ready, serving, terminating } = e.conditions ?? {};
        return `${e.addresses[0]}${ready ? ' ready' : ''}${serving ? ' serving' : ''}${terminating ? ' terminating' : ''}`;
      }),
    )
    .sort();
const subsets = async () => (await t.client.get(Endpoints, ref)).subsets;

describe('endpointslice-controller', () => {
  test('a Service without pods has an empty slice; pods come, become ready and go', async () => {
    await service({}, { labels: { tier: 'front', 'service.kubernetes.io/headless': 'no' } });
    const [empty, ...others] = await slices();
    expect(others).toEqual([]);
    expect(empty).toMatchObject({ addressType: 'IPv4', ports: [], endpoints: [] });
    expect(empty!.metadata).toMatchObject({
      generateName: 'web-',
      labels: {
        tier: 'front',
        'kubernetes.io/service-name': 'web',
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
      ownerReferences: [{ kind: 'Service', name: 'web', controller: true, blockOwnerDeletion: true }],
    });
    expect(empty!.metadata.labels).not.toHaveProperty(['service.kubernetes.io/headless']);
    await pod('a', '10.0.0.1', { ready: false, finalizers: ['test/hold'] });
    await pod('b', '', { ready: false });
    await pod('c', '10.0.0.3', { phase: 'Succeeded' });
    await t.settle();
    expect(await summary()).toEqual(['10.0.0.1']);
    expect(await subsets()).toMatchObject([{ notReadyAddresses: [{ ip: '10.0.0.1', nodeName: 'node-a' }] }]);
    await setStatus('a', true, '10.0.0.1');
    await t.settle();
    expect(await summary()).toEqual(['10.0.0.1 ready serving']);
    expect(await subsets()).toMatchObject([
      { addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 8080, protocol: 'TCP' }] },
    ]);
    const [slice] = await slices();
    expect(slice!.metadata.name).toBe(empty!.metadata.name);
    expect(slice!.ports).toEqual([{ name: '', port: 8080, protocol: 'TCP' }]);
    expect(slice!.endpoints![0]).toMatchObject({
      nodeName: 'node-a',
      zone: 'a',
      targetRef: { kind: 'Pod', name: 'a' },
    });
    await t.client.delete(Pod, { namespace, name: 'a' });
    await t.settle();
    expect(await summary()).toEqual(['10.0.0.1 serving terminating']);
    expect(await subsets()).toBeUndefined();
    await setStatus('a', false, '10.0.0.1');
    await t.settle();
    expect(await summary()).toEqual(['10.0.0.1 terminating']);
  });

  test('publishNotReadyAddresses: everything with an address is ready, even while it goes', async () => {
    await service({ publishNotReadyAddresses: true, clusterIP: 'None' });
    await pod('a', '10.0.0.1', { ready: false, finalizers: ['test/hold'] });
    await pod('lost', '10.0.0.2', { ready: false, node: 'no-such-node' });
    await t.client.delete(Pod, { namespace, name: 'a' });
    await t.settle();
    expect(await summary()).toEqual(['10.0.0.1 ready terminating', '10.0.0.2 ready']);
    expect(await subsets()).toMatchObject([{ addresses: [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }] }]);
  });

  test('pods of nodes that do not exist wait for their node; zones follow the node', async () => {
    await service();
    await pod('a', '10.0.0.1', { node: 'node-late' });
    await t.settle();
    expect(await summary()).toEqual([]);
    await t.client.create(Node, { metadata: { name: 'node-late' }, spec: {} } as never);
    await t.settle();
    expect(await summary()).toEqual(['10.0.0.1 ready serving']);
    const patch = { metadata: { labels: { 'topology.kubernetes.io/zone': 'z' } } };
    await t.client.patch(Node, { name: 'node-late' }, 'merge', patch);
    await t.settle();
    expect((await slices())[0]!.endpoints![0]!.zone).toBe('z');
    await t.client.delete(Node, { name: 'node-late' });
    await t.settle();
    expect(await summary()).toEqual([]);
  });

  test('ports by name may differ from pod to pod, or be missing', async () => {
    await service({ ports: [{ name: 'http', port: 80, targetPort: 'web', appProtocol: 'http' }] });
    const named = (containerPort: number, name = 'web') => ({
      containers: [{ name: 'c', image: 'i', ports: [{ name, containerPort }] }],
    });
    await pod('a', '10.0.0.1', { spec: named(8080) });
    await pod('b', '10.0.0.2', { spec: named(8081) });
    await pod('c', '10.0.0.3', { spec: named(8080, 'other') });
    await pod('d', '10.0.0.4', { spec: named(8080) });
    await t.settle();
    const byPort = (await slices()).map((s) => [s.ports?.[0]?.port, s.endpoints?.map((e) => e.addresses[0]).sort()]);
    expect(byPort.sort()).toEqual([
      [undefined, ['10.0.0.3']],
      [8080, ['10.0.0.1', '10.0.0.4']],
      [8081, ['10.0.0.2']],
    ]);
    expect(await subsets()).toMatchObject([
      {
        addresses: [{ ip: '10.0.0.1' }, { ip: '10.0.0.4' }],
        ports: [{ name: 'http', port: 8080, appProtocol: 'http' }],
      },
      { addresses: [{ ip: '10.0.0.2' }], ports: [{ port: 8081 }] },
    ]);
  });

  test('a change of port or selector reuses the slice; labels follow the Service', async () => {
    await service();
    await pod('a', '10.0.0.1');
    await t.settle();
    const [before] = await slices();
    writes.length = 0;
    await t.client.patch(Service, ref, 'merge', { spec: { ports: [{ port: 80, targetPort: 9090 }] } });
    await t.settle();
    expect(writes.sort()).toEqual(['update endpoints', 'update endpointslices']);
    const [after, ...none] = await slices();
    expect(none).toEqual([]);
    expect(after!.metadata.uid).toBe(before!.metadata.uid);
    expect(after!.ports![0]!.port).toBe(9090);
    await t.client.patch(Service, ref, 'merge', {
      metadata: { labels: { tier: 'x' } },
      spec: { selector: { app: 'api' } },
    });
    await t.settle();
    expect(await slices()).toMatchObject([{ endpoints: [], metadata: { labels: { tier: 'x' } } }]);
    expect(await subsets()).toBeUndefined();
    await t.client.patch(Service, ref, 'json', [{ op: 'remove', path: '/spec/selector' }]);
    await t.settle();
    expect((await slices()).length).toBe(1);
  });

  test('changes that do not show up in endpoints cause no writes', async () => {
    await service();
    await pod('a', '10.0.0.1');
    await t.settle();
    writes.length = 0;
    await t.client.patch(Pod, { namespace, name: 'a' }, 'merge', { metadata: { annotations: { x: 'y' } } });
    await t.client.patch(Pod, { namespace, name: 'a' }, 'merge', { metadata: { labels: { extra: 'label' } } });
    await t.client.patch(Service, ref, 'merge', { metadata: { annotations: { x: 'y' } } });
    await t.settle();
    expect(writes).toEqual([]);
    const [slice] = await slices();
    await t.client.delete(EndpointSlice, { namespace, name: slice!.metadata.name });
    await t.client.patch(Endpoints, ref, 'merge', { subsets: [] });
    await t.settle();
    expect(await summary()).toEqual(['10.0.0.1 ready serving']);
    expect(await subsets()).toHaveLength(1);
  });

  test('headless without ports; hostnames of pods that ask for the Service as subdomain', async () => {
    await service({ clusterIP: 'None', ports: [] });
    await pod('a', '10.0.0.1,fd00::1', { spec: { hostname: 'db-0', subdomain: 'web' } });
    await pod('b', '10.0.0.2', { spec: { hostname: 'db-1', subdomain: 'elsewhere' } });
    await t.settle();
    const [slice] = await slices();
    expect(slice).toMatchObject({ addressType: 'IPv4', ports: [] });
    expect(slice!.metadata.labels).toHaveProperty(['service.kubernetes.io/headless'], '');
    expect(slice!.endpoints!.map((e) => e.hostname).sort()).toEqual(['db-0', undefined]);
    const [subset] = (await subsets())!;
    expect(subset).toEqual({
      addresses: [
        expect.objectContaining({ ip: '10.0.0.1', hostname: 'db-0' }),
        expect.objectContaining({ ip: '10.0.0.2' }),
      ],
    });
  });

  test('a recreated Service replaces the slices of its predecessor', async () => {
    await service();
    const [old] = await slices();
    await t.client.delete(Service, ref);
    await service();
    await t.settle();
    const now = await slices();
    expect(now).toHaveLength(1);
    expect(now[0]!.metadata.uid).not.toBe(old!.metadata.uid);
  });

  test('ExternalName and selector-less Services are left alone; a Service that goes takes its Endpoints along', async () => {
    await service({ type: 'ExternalName', externalName: 'example.org', ports: [] });
    await service({ selector: undefined }, { name: 'bare' });
    expect(await slices()).toEqual([]);
    await service({}, { name: 'third' });
    expect((await t.client.list(Endpoints, { namespace })).items.map((e) => e.metadata.name)).toEqual(['third']);
    await t.client.delete(Service, { namespace, name: 'third' });
    await t.settle();
    expect((await t.client.list(Endpoints, { namespace })).items).toEqual([]);
  });
});

describe('endpointslicemirroring-controller', () => {
  const make = (metadata: object = {}) =>
    t.client.create(Endpoints, {
      metadata: {
        ...ref,
        labels: { team: 'x' },
        annotations: { note: 'y', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
        ...metadata,
      },
      subsets: [
        {
          addresses: [{ ip: '192.0.2.1' }, { ip: '2001:db8::1' }],
          notReadyAddresses: [{ ip: '192.0.2.2', hostname: 'h' }],
          ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
        },
      ],
    } as never as Endpoints & KubeObject);

  test('mirrors hand-made Endpoints of a Service without selector, and follows them', async () => {
    await make();
    await t.settle();
    expect(await slices()).toEqual([]);
    await service({ selector: undefined });
    const [v4, v6] = [...(await slices())].sort((x, y) => (x.addressType < y.addressType ? -1 : 1));
    expect(v4).toMatchObject({
      metadata: {
        annotations: { note: 'y' },
        labels: {
          team: 'x',
          'kubernetes.io/service-name': 'web',
          'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
        },
        ownerReferences: [{ kind: 'Endpoints', name: 'web' }],
      },
      ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
      endpoints: [
        { addresses: ['192.0.2.1'], conditions: { ready: true } },
        { addresses: ['192.0.2.2'], conditions: { ready: false }, hostname: 'h' },
      ],
    });
    expect(v6).toMatchObject({ addressType: 'IPv6', endpoints: [{ addresses: ['2001:db8::1'] }] });
    writes.length = 0;
    await t.client.patch(Endpoints, ref, 'merge', {
      metadata: { annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': 'z' } },
    });
    await t.settle();
    expect(writes).toEqual([]);
    await t.client.patch(Endpoints, ref, 'merge', {
      subsets: [{ addresses: [{ ip: '192.0.2.9' }], ports: [{ port: 1 }] }],
    });
    await t.settle();
    expect(await slices()).toMatchObject([
      { metadata: { name: v4!.metadata.name }, endpoints: [{ addresses: ['192.0.2.9'] }] },
    ]);
    await t.client.delete(Endpoints, ref);
    await t.settle();
    expect(await slices()).toEqual([]);
  });

  test.each<[string, object]>([
    ['skipped by label', { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } }],
    ['a leader election record', { annotations: { 'control-plane.alpha.kubernetes.io/leader': '{}' } }],
  ])('does not mirror: %s', async (_, metadata) => {
    await make(metadata);
    await service({ selector: undefined });
    expect(await slices()).toEqual([]);
  });

  test('a selector hands the Service over to the other controller', async () => {
    await make();
    await service({ selector: undefined });
    expect(await slices()).toHaveLength(2);
    await t.client.patch(Service, ref, 'merge', { spec: { selector: labels } });
    await t.settle();
    expect(await slices()).toMatchObject([{ endpoints: [] }]);
    expect(await subsets()).toBeUndefined();
  });
});
