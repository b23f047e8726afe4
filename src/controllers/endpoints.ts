// The Endpoints object of each Service with a selector: all its addresses in one object, for clients that do not know
// EndpointSlices. Pods that are going are left out; at most 1,000 addresses are listed.

import type { EndpointAddress, EndpointPort, EndpointSubset, Service } from '../api/generated/core-v1.ts';
import { Endpoints } from '../api/kinds/core/endpoints.ts';
import { Service as ServiceKind } from '../api/kinds/core/service.ts';
import { refOfKey, type KubeObject } from '../api/object.ts';
import { defineController, NOTHING, watch, type Plan } from '../client/controller.ts';
import {
  HEADLESS_LABEL,
  hostnameIn,
  isHeadless,
  podsOf,
  portsIn,
  serviceWatches,
  type EndpointPod,
} from './service-endpoints.ts';

const MAX_ADDRESSES = 1000;
const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity';
const MANAGED_BY = 'endpoints.kubernetes.io/managed-by';
const SKIP_MIRROR = 'endpointslice.kubernetes.io/skip-mirror';

export const endpoints = defineController({
  name: 'endpoint-controller',
  primary: ServiceKind,
  watches: [...serviceWatches, watch({ kind: Endpoints, keys: 'self' })],
  grants: [{ groups: [''], resources: ['endpoints'], verbs: ['create', 'update', 'delete'] }],
  plan(key, view): Plan {
    const service = view.of(ServiceKind).get(key);
    const existing = view.of(Endpoints).get(key);
    if (!service) {
      const ours = existing?.metadata.labels?.[MANAGED_BY] === 'endpoint-controller';
      if (!existing || !ours) return NOTHING;
      const options = { preconditions: { uid: existing.metadata.uid } };
      return {
        actions: [{ do: 'delete', kind: Endpoints, ref: refOfKey(key), options, ignore: ['NotFound', 'Conflict'] }],
      };
    }
    const pods = service.metadata.deletionTimestamp ? undefined : podsOf(service, view);
    if (!pods) return NOTHING;
    const wanted = endpointsOf(service, pods, existing);
    if (!existing) return { actions: [{ do: 'create', kind: Endpoints, object: wanted as KubeObject }] };
    const same =
      JSON.stringify(existing.subsets ?? []) === JSON.stringify(wanted.subsets ?? []) &&
      JSON.stringify(sorted(existing.metadata.labels)) === JSON.stringify(sorted(wanted.metadata.labels)) &&
      existing.metadata.annotations?.[OVER_CAPACITY] === wanted.metadata.annotations?.[OVER_CAPACITY];
    return same ? NOTHING : { actions: [{ do: 'update', kind: Endpoints, object: wanted }] };
  },
});

const sorted = (map: Record<string, string> = {}) => Object.entries(map).sort();

function endpointsOf(service: Service, pods: readonly EndpointPod[], existing: Endpoints | undefined): Endpoints {
  const shown = pods.filter((p) => !p.terminating);
  const over = shown.length > MAX_ADDRESSES;
  const { labels = {}, name, namespace } = service.metadata;
  const { [HEADLESS_LABEL]: _, ...own } = labels;
  const { [OVER_CAPACITY]: __, ...annotations } = existing?.metadata.annotations ?? {};
  const metadata = {
    ...(existing?.metadata ?? { name, namespace: namespace! }),
    labels: {
      ...own,
      ...(isHeadless(service) ? { [HEADLESS_LABEL]: '' } : {}),
      [MANAGED_BY]: 'endpoint-controller',
      ...skip(service),
    },
    ...(over || Object.keys(annotations).length
      ? { annotations: { ...annotations, ...(over ? { [OVER_CAPACITY]: 'truncated' } : {}) } }
      : {}),
  };
  const subsets = subsetsOf(service, shown.slice(0, MAX_ADDRESSES));
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: metadata as Endpoints['metadata'],
    ...(subsets.length ? { subsets } : {}),
  };
}

/** A Service label that would hide its EndpointSlices must not reach the Endpoints under the mirror's own name. */
const skip = (service: Service) => {
  const value = service.metadata.labels?.[SKIP_MIRROR];
  return value === undefined ? {} : { [SKIP_MIRROR]: value };
};

/** Addresses grouped by the ports they have, in a stable order. */
function subsetsOf(service: Service, pods: readonly EndpointPod[]): EndpointSubset[] {
  const groups = new Map<string, { ports: EndpointPort[]; ready: EndpointAddress[]; notReady: EndpointAddress[] }>();
  for (const { pod, ips, ready } of pods) {
    const ports = portsIn(service, pod).map(({ name: portName, ...rest }) => ({
      ...(portName ? { name: portName } : {}),
      ...rest,
    }));
    if (ports.length === 0 && !isHeadless(service)) continue;
    const key = JSON.stringify(ports);
    let group = groups.get(key);
    if (!group) groups.set(key, (group = { ports, ready: [], notReady: [] }));
    const hostname = hostnameIn(service, pod);
    const { nodeName } = pod.spec;
    const { name, namespace, uid } = pod.metadata;
    const address: EndpointAddress = {
      ip: ips[0]!,
      ...(hostname ? { hostname } : {}),
      ...(nodeName ? { nodeName } : {}),
      targetRef: { kind: 'Pod', namespace: namespace!, name, uid },
    };
    (ready || service.spec.publishNotReadyAddresses ? group.ready : group.notReady).push(address);
  }
  const byIp = (a: EndpointAddress, b: EndpointAddress) => (a.ip < b.ip ? -1 : 1);
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { ports, ready, notReady }]) => ({
      ...(ready.length ? { addresses: ready.sort(byIp) } : {}),
      ...(notReady.length ? { notReadyAddresses: notReady.sort(byIp) } : {}),
      ...(ports.length ? { ports } : {}),
    }));
}
