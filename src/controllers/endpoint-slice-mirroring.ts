// EndpointSlices of Endpoints that somebody else maintains: those of Services without a selector. One slice per subset and
// address family, at most 1,000 addresses of each subset.
// https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#endpointslice-mirroring

import type { EndpointAddress, EndpointSubset, Endpoints as EndpointsObject } from '../api/generated/core-v1.ts';
import type { Endpoint, EndpointSlice as Slice } from '../api/generated/discovery-v1.ts';
import { Endpoints } from '../api/kinds/core/endpoints.ts';
import { Service } from '../api/kinds/core/service.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import { defineController, NOTHING, watch, type Action, type Plan } from '../client/controller.ts';
import { addressTypeOf, groupKey, packSlices, type AddressType, type Group } from './pack-slices.ts';
import { MANAGED_BY_LABEL, SERVICE_LABEL } from './service-endpoints.ts';

const MAX_ADDRESSES = 1000;
const MANAGER = 'endpointslicemirroring-controller.k8s.io';
const SKIP = 'endpointslice.kubernetes.io/skip-mirror';
const NOT_MIRRORED = [
  'endpoints.kubernetes.io/last-change-trigger-time',
  'kubectl.kubernetes.io/last-applied-configuration',
];
const LEADER = 'control-plane.alpha.kubernetes.io/leader';

const endpointsOf = (slice: Slice | undefined): string[] => {
  const { labels = {}, namespace } = slice?.metadata ?? {};
  return labels[SERVICE_LABEL] && labels[MANAGED_BY_LABEL] === MANAGER ? [`${namespace}/${labels[SERVICE_LABEL]}`] : [];
};

const mirrored = ({ metadata }: EndpointsObject) =>
  metadata.labels?.[SKIP] !== 'true' &&
  metadata.annotations?.[LEADER] === undefined &&
  metadata.deletionTimestamp === undefined;

export const endpointSliceMirroring = defineController({
  name: 'endpointslicemirroring-controller',
  primary: Endpoints,
  watches: [
    watch({ kind: Endpoints, keys: 'self' }),
    watch({ kind: Service, keys: 'self' }),
    watch({
      kind: EndpointSlice,
      keys: (slice, old) => [...new Set([...endpointsOf(slice), ...endpointsOf(old)])],
      indexes: { 'mirror-of': endpointsOf },
    }),
  ],
  grants: [
    { groups: [''], resources: ['services/finalizers', 'endpoints/finalizers'], verbs: ['update'] },
    { groups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['create', 'update', 'delete'] },
  ],
  plan(key, view): Plan {
    const existing = view.of(EndpointSlice).byIndex('mirror-of', key);
    const source = view.of(Endpoints).get(key);
    const service = view.of(Service).get(key);
    const wanted = source && service && !service.spec.selector && mirrored(source) ? source : undefined;
    if (!wanted) return existing.length ? { actions: existing.map(remove) } : NOTHING;
    const { name, namespace, uid, labels = {}, annotations = {} } = wanted.metadata;
    const { groups, skipped } = groupsOf(wanted.subsets ?? []);
    const actions = packSlices(groups, existing, {
      max: MAX_ADDRESSES,
      meta: {
        generateName: `${name}-`,
        namespace: namespace!,
        labels: { ...labels, [SERVICE_LABEL]: name, [MANAGED_BY_LABEL]: MANAGER },
        annotations: Object.fromEntries(Object.entries(annotations).filter(([k]) => !NOT_MIRRORED.includes(k))),
        owner: { apiVersion: 'v1', kind: 'Endpoints', name, uid },
      },
    });
    // Told when something is written, not at every look.
    return { actions: skipped && actions.length ? [...actions, tooMany(skipped)] : actions };
  },
});

function groupsOf(subsets: readonly EndpointSubset[]): { groups: Group[]; skipped: number } {
  const groups = new Map<string, { addressType: AddressType; ports: Group['ports']; endpoints: Endpoint[] }>();
  let skipped = 0;
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const all = [
      ...addresses.map((address) => endpointOf(address, true)),
      ...notReadyAddresses.map((address) => endpointOf(address, false)),
    ];
    skipped += Math.max(0, all.length - MAX_ADDRESSES);
    for (const endpoint of all.slice(0, MAX_ADDRESSES)) {
      const addressType = addressTypeOf(endpoint.addresses[0]!);
      const key = groupKey(addressType, ports);
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { addressType, ports: ports.map(portOf), endpoints: [] }));
      group.endpoints.push(endpoint);
    }
  }
  return { groups: [...groups.values()], skipped };
}

const portOf = ({ name = '', protocol = 'TCP', ...rest }: NonNullable<EndpointSubset['ports']>[number]) => ({
  name,
  protocol,
  ...rest,
});

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(targetRef ? { targetRef } : {}),
    ...(nodeName ? { nodeName } : {}),
  };
}

function tooMany(skipped: number): Action {
  const message = `A max of ${MAX_ADDRESSES} addresses can be mirrored to EndpointSlices per Endpoints subset. ${skipped} addresses were skipped`;
  return { do: 'event', event: { type: 'Warning', reason: 'TooManyAddressesToMirror', message } };
}

function remove({ metadata: { namespace, name, uid } }: Slice): Action {
  const options = { preconditions: { uid } };
  return { do: 'delete', kind: EndpointSlice, ref: { namespace, name }, options, ignore: ['NotFound', 'Conflict'] };
}
