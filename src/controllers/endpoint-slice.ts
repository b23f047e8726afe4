// EndpointSlices of each Service with a selector: at most 100 endpoints a slice, one set of slices per address family and
// set of port numbers. Existing slices are changed as little as possible.

import type { Service } from '../api/generated/core-v1.ts';
import type { Endpoint, EndpointPort, EndpointSlice as Slice } from '../api/generated/discovery-v1.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Service as ServiceKind } from '../api/kinds/core/service.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import type { Draft, KubeObject } from '../api/object.ts';
import { defineController, NOTHING, watch, type Action, type Plan, type View } from '../client/controller.ts';
import {
  HEADLESS_LABEL,
  hostnameIn,
  isHeadless,
  podsOf,
  portsIn,
  serviceWatches,
  type EndpointPod,
} from './service-endpoints.ts';

const MAX_ENDPOINTS = 100;
const SERVICE_LABEL = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const MANAGER = 'endpointslice-controller.k8s.io';

type AddressType = 'IPv4' | 'IPv6';
const typeOf = (ip: string): AddressType => (ip.includes(':') ? 'IPv6' : 'IPv4');

interface Group {
  readonly addressType: AddressType;
  readonly ports: EndpointPort[];
  readonly endpoints: Endpoint[];
}

const serviceOf = (slice: Slice | undefined): string[] => {
  const name = slice?.metadata.labels?.[SERVICE_LABEL];
  return slice && name && slice.metadata.labels?.[MANAGED_BY] === MANAGER
    ? [`${slice.metadata.namespace}/${name}`]
    : [];
};

export const endpointSlice = defineController({
  name: 'endpointslice-controller',
  primary: ServiceKind,
  watches: [
    ...serviceWatches,
    watch({
      kind: EndpointSlice,
      keys: (slice, old) => [...new Set([...serviceOf(slice), ...serviceOf(old)])],
      indexes: { service: serviceOf },
    }),
    // A node's zone stands in its endpoints; zones do not move, so a change of nodes plans nothing.
    watch({ kind: Node, keys: 'none' }),
  ],
  grants: [
    { groups: [''], resources: ['services/finalizers'], verbs: ['update'] },
    { groups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['create', 'update', 'delete'] },
  ],
  plan(key, view): Plan {
    const service = view.of(ServiceKind).get(key);
    if (!service || service.metadata.deletionTimestamp) return NOTHING;
    const pods = podsOf(service, view);
    if (!pods) return NOTHING;
    const existing = view.of(EndpointSlice).byIndex('service', key);
    const wanted = groupsOf(service, pods, view);
    const actions = [...wanted.values()].flatMap((group) => reconcile(service, group, matching(existing, group)));
    const stale = existing.filter(
      (slice) => !wanted.has(groupKey(slice.addressType as AddressType, slice.ports ?? [])),
    );
    return { actions: [...actions, ...stale.map((slice): Action => remove(slice))] };
  },
});

const groupKey = (addressType: AddressType, ports: readonly EndpointPort[]) =>
  `${addressType} ${JSON.stringify(ports.map((p) => [p.name ?? '', p.port, p.protocol, p.appProtocol]))}`;

const matching = (slices: readonly Slice[], group: Group) =>
  slices.filter(
    (s) => groupKey(s.addressType as AddressType, s.ports ?? []) === groupKey(group.addressType, group.ports),
  );

function groupsOf(service: Service, pods: readonly EndpointPod[], view: View): Map<string, Group> {
  const groups = new Map<string, Group>();
  const groupFor = (addressType: AddressType, ports: EndpointPort[]) => {
    const key = groupKey(addressType, ports);
    let group = groups.get(key);
    if (!group) groups.set(key, (group = { addressType, ports, endpoints: [] }));
    return group;
  };
  const families = (service.spec.ipFamilies ?? ['IPv4']) as AddressType[];
  for (const p of pods) {
    const ports = portsIn(service, p.pod);
    if (ports.length === 0 && !isHeadless(service)) continue;
    for (const ip of p.ips) {
      if (families.includes(typeOf(ip))) groupFor(typeOf(ip), ports).endpoints.push(endpointOf(service, p, ip, view));
    }
  }
  // An empty slice says that the Service has no endpoints, and keeps its ports.
  if (groups.size === 0) {
    for (const family of families) groupFor(family, []);
  }
  return groups;
}

function endpointOf(service: Service, { pod, ready, terminating }: EndpointPod, ip: string, view: View): Endpoint {
  const { name, namespace, uid } = pod.metadata;
  const { nodeName } = pod.spec;
  const zone = nodeName ? view.of(Node).get(nodeName)?.metadata.labels?.['topology.kubernetes.io/zone'] : undefined;
  const hostname = hostnameIn(service, pod);
  return {
    addresses: [ip],
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (ready && !terminating),
      serving: ready,
      terminating,
    },
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    targetRef: { kind: 'Pod', namespace: namespace!, name, uid },
    ...(zone ? { zone } : {}),
  };
}

const idOf = (e: Endpoint) => `${e.targetRef?.uid ?? ''} ${e.addresses[0]}`;

function reconcile(service: Service, group: Group, slices: readonly Slice[]): Action[] {
  const left = new Map(group.endpoints.map((e) => [idOf(e), e]));
  const kept = slices.map((slice) => {
    const endpoints = (slice.endpoints ?? []).flatMap((old) => {
      const now = left.get(idOf(old));
      left.delete(idOf(old));
      return now ? [now] : [];
    });
    return { slice, endpoints };
  });
  const fresh = [...left.values()];
  // The fullest slice with room first, so that slices fill up instead of multiplying.
  const byFill = [...kept].sort((a, b) => b.endpoints.length - a.endpoints.length);
  for (const target of byFill)
    target.endpoints.push(...fresh.splice(0, Math.max(0, MAX_ENDPOINTS - target.endpoints.length)));
  const actions: Action[] = [];
  kept.forEach(({ slice, endpoints }, i) => {
    const last = kept.length === 1 || (i === 0 && kept.every((k) => k.endpoints.length === 0));
    if (endpoints.length === 0 && !(last && group.endpoints.length === 0)) return void actions.push(remove(slice));
    const next = { ...slice, metadata: { ...slice.metadata, labels: labelsOf(service) }, endpoints };
    if (!sameSlice(slice, next))
      actions.push({ do: 'update', kind: EndpointSlice, object: next as unknown as KubeObject, ignore: ['NotFound'] });
  });
  const pages = Array.from({ length: Math.ceil(fresh.length / MAX_ENDPOINTS) }, (_, i) =>
    fresh.slice(i * MAX_ENDPOINTS, (i + 1) * MAX_ENDPOINTS),
  );
  if (kept.length === 0 && pages.length === 0) pages.push([]);
  for (const page of pages) actions.push({ do: 'create', kind: EndpointSlice, object: newSlice(service, group, page) });
  return actions;
}

const sameSlice = (a: Slice, b: Slice) =>
  JSON.stringify([a.metadata.labels, a.endpoints ?? []]) === JSON.stringify([b.metadata.labels, b.endpoints ?? []]);

function labelsOf(service: Service): Record<string, string> {
  const { labels = {}, name } = service.metadata;
  const { [HEADLESS_LABEL]: _, ...own } = labels;
  return {
    ...own,
    ...(isHeadless(service) ? { [HEADLESS_LABEL]: '' } : {}),
    [MANAGED_BY]: MANAGER,
    [SERVICE_LABEL]: name,
  };
}

function newSlice(service: Service, group: Group, endpoints: Endpoint[]): Draft<KubeObject> {
  const { name, namespace, uid } = service.metadata;
  const slice: Draft<Slice> = {
    metadata: {
      generateName: `${name}-`,
      namespace: namespace!,
      labels: labelsOf(service),
      ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name, uid, controller: true, blockOwnerDeletion: true }],
    },
    addressType: group.addressType,
    endpoints,
    ports: group.ports,
  };
  return slice as Draft<KubeObject>;
}

function remove(slice: Slice): Action {
  const { namespace, name, uid } = slice.metadata;
  return {
    do: 'delete',
    kind: EndpointSlice,
    ref: { namespace, name },
    options: { preconditions: { uid } },
    ignore: ['NotFound', 'Conflict'],
  };
}
