import { describe, expect, test } from 'vitest';
import type { Endpoint, EndpointSlice } from '../api/generated/discovery-v1.ts';
import type { Service } from '../api/generated/core-v1.ts';
import type { KubeObject } from '../api/object.ts';
import { staticView } from '../client/static-view.ts';
import { endpointSlice } from './endpoint-slice.ts';
import { endpoints as endpointsController } from './endpoints.ts';
import { packSlices, type Group } from './pack-slices.ts';

const meta = {
  generateName: 'web-',
  namespace: 'default',
  labels: { a: 'b' },
  owner: { apiVersion: 'v1', kind: 'Service', name: 'web', uid: 'owner' },
};
const ports = [{ name: '', port: 80, protocol: 'TCP' }];
const endpoint = (n: number): Endpoint => ({ addresses: [`10.0.${n >> 8}.${n & 255}`], targetRef: { uid: `p${n}` } });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => endpoint(from + i));
const group = (endpoints: Endpoint[], more: Partial<Group> = {}): Group => ({
  addressType: 'IPv4',
  ports,
  endpoints,
  ...more,
});
const slice = (name: string, endpoints: Endpoint[], more: object = {}): EndpointSlice => ({
  metadata: {
    name,
    namespace: 'default',
    uid: name,
    resourceVersion: '1',
    creationTimestamp: '',
    labels: { a: 'b' },
    ownerReferences: [{ ...meta.owner, controller: true }],
  },
  addressType: 'IPv4',
  ports,
  endpoints,
  ...more,
});

/** What is done to which slice, and how many endpoints it then has. */
const pack = (groups: Group[], existing: EndpointSlice[], max = 4) =>
  packSlices(groups, existing, { meta, max }).map((action) => {
    if (action.do === 'delete') return `delete ${action.ref.name}`;
    if (action.do !== 'create' && action.do !== 'update') return action.do;
    const { metadata, endpoints } = action.object as EndpointSlice;
    return `${action.do} ${action.do === 'create' ? 'new' : metadata.name}:${endpoints?.length}`;
  });

describe('packSlices', () => {
  test.each<[string, Group[], EndpointSlice[], string[]]>([
    ['splits', [group(range(0, 10))], [], ['create new:4', 'create new:4', 'create new:2']],
    ['leaves what fits', [group(range(0, 6))], [slice('s1', range(0, 4)), slice('s2', range(4, 6))], []],
    [
      'fills the fullest with room',
      [group(range(0, 7))],
      [slice('s1', range(0, 1)), slice('s2', range(1, 4)), slice('s3', range(4, 6))],
      ['update s2:4'],
    ],
    [
      'fills one that changes anyhow first',
      [group(range(1, 7))],
      [slice('s1', range(0, 2)), slice('s2', range(2, 5))],
      ['update s1:3'],
    ],
    [
      'removes an emptied slice',
      [group(range(0, 4))],
      [slice('s1', range(0, 4)), slice('s2', range(4, 6))],
      ['delete s2'],
    ],
    [
      'does not merge slices',
      [group([endpoint(0), endpoint(4)])],
      [slice('s1', range(0, 4)), slice('s2', range(4, 6))],
      ['update s1:1', 'update s2:1'],
    ],
    ['keeps one empty slice', [group([], { ports: [] })], [slice('s1', [], { ports: [] })], []],
    [
      'empties in place',
      [group([], { ports: [] })],
      [slice('s1', range(0, 3)), slice('s2', range(3, 5))],
      ['update s1:0', 'delete s2'],
    ],
    [
      'reuses for other ports',
      [group(range(0, 5), { ports: [{ ...ports[0]!, port: 81 }] })],
      [slice('s1', range(0, 4))],
      ['update s1:4', 'create new:1'],
    ],
    [
      'not across families',
      [group(range(0, 1))],
      [slice('s1', [], { addressType: 'IPv6' })],
      ['create new:1', 'delete s1'],
    ],
    [
      'not from another owner',
      [group(range(0, 1))],
      [slice('s1', range(0, 1), { metadata: { ...slice('s1', []).metadata, ownerReferences: [] } })],
      ['create new:1', 'delete s1'],
    ],
    [
      'order of keys is no change',
      [group([{ targetRef: { uid: 'p1' }, addresses: ['10.0.0.1'] }])],
      [slice('s1', [endpoint(1)])],
      [],
    ],
  ])('%s', (_, groups, existing, actions) => {
    expect(pack(groups, existing)).toEqual(actions);
  });
});

const object = (kind: string, name: string, rest: object, apiVersion = 'v1'): KubeObject => ({
  apiVersion,
  kind,
  metadata: {
    name,
    namespace: 'default',
    uid: `u-${name}`,
    resourceVersion: '1',
    creationTimestamp: '',
    ...(rest as { metadata?: object }).metadata,
  },
  ...Object.fromEntries(Object.entries(rest).filter(([k]) => k !== 'metadata')),
});
const webPod = (i: number, ready = true, node = 'n1') =>
  object('Pod', `p${i}`, {
    metadata: { labels: { app: 'web' } },
    spec: { nodeName: node, containers: [] },
    status: {
      podIPs: [{ ip: `10.1.${i >> 8}.${i & 255}` }],
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  });
const web = (spec: Partial<Service['spec']> = {}) =>
  object('Service', 'web', {
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }], clusterIP: '10.96.0.1', ...spec },
  });
const node = (name: string, zone: string) =>
  object('Node', name, {
    metadata: { namespace: undefined, labels: { 'topology.kubernetes.io/zone': zone } },
    spec: {},
  });

test.each<[string | undefined, unknown]>([
  [undefined, undefined],
  ['PreferClose', { forZones: [{ name: 'a' }] }],
  ['PreferSameZone', { forZones: [{ name: 'a' }] }],
  ['PreferSameNode', { forNodes: [{ name: 'n1' }], forZones: [{ name: 'a' }] }],
])('traffic distribution %s', (trafficDistribution, hints) => {
  const objects = [
    web(trafficDistribution ? { trafficDistribution } : {}),
    webPod(1),
    webPod(2, false),
    node('n1', 'a'),
  ];
  const [action] = endpointSlice.plan!('default/web', staticView(endpointSlice, objects), 0).actions;
  const endpoints = (action as unknown as { object: EndpointSlice }).object.endpoints;
  expect(endpoints?.map((e) => e.hints)).toEqual([hints, undefined]);
});

test('each family has its slices; Endpoints speak the first', () => {
  const pod = webPod(1);
  const both = {
    ...pod,
    status: { ...(pod as { status?: object }).status, podIPs: [{ ip: '10.1.0.1' }, { ip: 'fd00::1' }] },
  };
  const objects = [web({ ipFamilies: ['IPv6', 'IPv4'] }), both, webPod(2)];
  const made = endpointSlice.plan!('default/web', staticView(endpointSlice, [...objects, node('n1', 'a')]), 0).actions;
  const slices = made.map((action) => (action as unknown as { object: EndpointSlice }).object);
  expect(slices.map((s) => [s.addressType, s.endpoints?.map((e) => e.addresses[0])])).toEqual([
    ['IPv4', ['10.1.0.1', '10.1.0.2']],
    ['IPv6', ['fd00::1']],
  ]);
  const [action] = endpointsController.plan!('default/web', staticView(endpointsController, objects), 0).actions;
  expect(action).toMatchObject({ object: { subsets: [{ addresses: [{ ip: 'fd00::1' }] }] } });
});

test('Endpoints list at most 1,000 addresses, ready ones first, each subset its share', () => {
  const pods = Array.from({ length: 1500 }, (_, i) => webPod(i, i % 3 !== 0));
  const plan = () =>
    endpointsController.plan!('default/web', staticView(endpointsController, [web(), ...pods]), 0).actions;
  const [action] = plan() as unknown as [
    { object: { subsets: { addresses?: []; notReadyAddresses?: [] }[]; metadata: object } },
  ];
  expect(action.object.metadata).toMatchObject({
    annotations: { 'endpoints.kubernetes.io/over-capacity': 'truncated' },
  });
  expect(action.object.subsets.map((s) => [s.addresses?.length, s.notReadyAddresses?.length])).toEqual([
    [1000, undefined],
  ]);
});
