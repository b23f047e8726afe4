// EndpointSlices of each Service with a selector: at most 100 endpoints a slice, one set of slices per address family and
// set of port numbers. https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/

import type { Service } from '../api/generated/core-v1.ts';
import type { Endpoint, EndpointHints, EndpointPort, EndpointSlice as Slice } from '../api/generated/discovery-v1.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Service as ServiceKind } from '../api/kinds/core/service.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import { defineController, NOTHING, watch, type Plan, type View } from '../client/controller.ts';
import { addressTypeOf, groupKey, packSlices, type AddressType, type Group } from './pack-slices.ts';
import {
  hostnameIn,
  labelsFrom,
  MANAGED_BY_LABEL,
  podsOf,
  portsIn,
  restAfter,
  SERVICE_LABEL,
  servicesOf,
  serviceWatches,
  type EndpointPod,
} from './service-endpoints.ts';

const MAX_ENDPOINTS = 100;
const MANAGER = 'endpointslice-controller.k8s.io';
const ZONE = 'topology.kubernetes.io/zone';
const POD_BY_NODE = 'endpointslice-node';

const serviceOf = (slice: Slice | undefined): string[] => {
  const { labels = {}, namespace } = slice?.metadata ?? {};
  return labels[SERVICE_LABEL] && labels[MANAGED_BY_LABEL] === MANAGER ? [`${namespace}/${labels[SERVICE_LABEL]}`] : [];
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
    watch({
      kind: Pod,
      keys: 'none',
      indexes: { [POD_BY_NODE]: ({ spec }) => (spec.nodeName ? [spec.nodeName] : []) },
    }),
    // A node's zone stands in its endpoints, and pods of nodes that do not exist are no endpoints.
    watch({
      kind: Node,
      keys(node, old, view) {
        if (node && old && node.metadata.labels?.[ZONE] === old.metadata.labels?.[ZONE]) return [];
        const pods = view.of(Pod).byIndex(POD_BY_NODE, (node ?? old)!.metadata.name);
        return [...new Set(pods.flatMap((pod) => servicesOf(pod, view)))];
      },
    }),
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
    const { name, namespace, uid } = service.metadata;
    const actions = packSlices(groupsOf(service, pods, view), view.of(EndpointSlice).byIndex('service', key), {
      max: MAX_ENDPOINTS,
      meta: {
        generateName: `${name}-`,
        namespace: namespace!,
        labels: labelsFrom(service, { [SERVICE_LABEL]: name, [MANAGED_BY_LABEL]: MANAGER }),
        owner: { apiVersion: 'v1', kind: 'Service', name, uid },
      },
    });
    return {
      actions,
      ...restAfter(pods.length),
      failed: (error) => [
        {
          do: 'event',
          event: {
            type: 'Warning',
            reason: 'FailedToUpdateEndpointSlices',
            message: `Error updating Endpoint Slices for Service ${namespace}/${name}: ${error.message}`,
          },
        },
      ],
    };
  },
});

function groupsOf(service: Service, pods: readonly EndpointPod[], view: View): Group[] {
  const groups = new Map<string, { addressType: AddressType; ports: readonly EndpointPort[]; endpoints: Endpoint[] }>();
  const families = (service.spec.ipFamilies ?? ['IPv4']) as AddressType[];
  for (const p of pods) {
    const node = p.pod.spec.nodeName ? view.of(Node).get(p.pod.spec.nodeName) : undefined;
    if (!node && !service.spec.publishNotReadyAddresses) continue;
    const ports = portsIn(service, p.pod);
    for (const ip of p.ips) {
      const addressType = addressTypeOf(ip);
      if (!families.includes(addressType)) continue;
      const key = groupKey(addressType, ports);
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { addressType, ports, endpoints: [] }));
      group.endpoints.push(endpointOf(service, p, ip, node?.metadata.labels?.[ZONE]));
    }
  }
  const all: Group[] = [...groups.values()];
  for (const addressType of families) {
    if (!all.some((g) => g.addressType === addressType)) all.push({ addressType, ports: [], endpoints: [] });
  }
  return all;
}

function endpointOf(service: Service, { pod, ready, terminating }: EndpointPod, ip: string, zone: string | undefined) {
  const { name, namespace, uid } = pod.metadata;
  const { nodeName } = pod.spec;
  const hostname = hostnameIn(service, pod);
  const isReady = service.spec.publishNotReadyAddresses === true || (ready && !terminating);
  const hints = isReady ? hintsOf(service, nodeName, zone) : undefined;
  return {
    addresses: [ip],
    conditions: { ready: isReady, serving: ready, terminating },
    ...(hostname ? { hostname } : {}),
    targetRef: { kind: 'Pod', namespace: namespace!, name, uid },
    ...(nodeName ? { nodeName } : {}),
    ...(zone ? { zone } : {}),
    ...(hints ? { hints } : {}),
  } satisfies Endpoint;
}

/** Whom the endpoint is meant for, when the Service wants its traffic kept near. */
function hintsOf({ spec }: Service, node: string | undefined, zone: string | undefined): EndpointHints | undefined {
  const forZones = zone ? { forZones: [{ name: zone }] } : undefined;
  switch (spec.trafficDistribution) {
    case 'PreferClose':
    case 'PreferSameZone':
      return forZones;
    case 'PreferSameNode':
      return node ? { forNodes: [{ name: node }], ...forZones } : forZones;
    default:
      return undefined;
  }
}
