// The Endpoints object of each Service with a selector: all its addresses in one object, for clients that do not know
// EndpointSlices. Pods that are going are left out; at most 1,000 addresses are listed, ready ones first.

import type { EndpointAddress, EndpointPort, EndpointSubset, Service } from '../api/generated/core-v1.ts';
import { Endpoints } from '../api/kinds/core/endpoints.ts';
import { Service as ServiceKind } from '../api/kinds/core/service.ts';
import { refOfKey, type KubeObject } from '../api/object.ts';
import { defineController, NOTHING, watch, type Action, type Plan } from '../client/controller.ts';
import { sameValue } from './same-value.ts';
import {
  hostnameIn,
  isHeadless,
  labelsFrom,
  podsOf,
  portsIn,
  restAfter,
  serviceWatches,
  type EndpointPod,
} from './service-endpoints.ts';

const MAX_ADDRESSES = 1000;
const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity';
const MANAGED_BY = 'endpoints.kubernetes.io/managed-by';
const MANAGER = 'endpoint-controller';

export const endpoints = defineController({
  name: 'endpoint-controller',
  primary: ServiceKind,
  watches: [...serviceWatches, watch({ kind: Endpoints, keys: 'self' })],
  grants: [
    { groups: [''], resources: ['endpoints'], verbs: ['create', 'update', 'delete'] },
    { groups: [''], resources: ['endpoints/restricted'], verbs: ['create'] },
  ],
  plan(key, view): Plan {
    const service = view.of(ServiceKind).get(key);
    const existing = view.of(Endpoints).get(key);
    if (!service)
      return existing?.metadata.labels?.[MANAGED_BY] === MANAGER ? { actions: [remove(existing)] } : NOTHING;
    const pods = service.metadata.deletionTimestamp ? undefined : podsOf(service, view);
    if (!pods) return NOTHING;
    const wanted = endpointsOf(service, pods, existing);
    const rest = restAfter(pods.length);
    const { namespace, name } = service.metadata;
    if (!existing) {
      const object = wanted as KubeObject;
      return {
        actions: [{ do: 'create', kind: Endpoints, object }],
        ...rest,
        failed: failed('Create', namespace, name),
      };
    }
    const same =
      sameValue(existing.subsets, wanted.subsets) &&
      sameValue(existing.metadata.labels, wanted.metadata.labels) &&
      existing.metadata.annotations?.[OVER_CAPACITY] === wanted.metadata.annotations?.[OVER_CAPACITY];
    if (same) return { actions: [], ...rest };
    return {
      actions: [{ do: 'update', kind: Endpoints, object: wanted }],
      ...rest,
      failed: failed('Update', namespace, name),
    };
  },
});

function remove({ metadata }: Endpoints): Action {
  const ref = refOfKey(`${metadata.namespace}/${metadata.name}`);
  const options = { preconditions: { uid: metadata.uid } };
  return { do: 'delete', kind: Endpoints, ref, options, ignore: ['NotFound', 'Conflict'] };
}

const failed =
  (what: 'Create' | 'Update', namespace: string | undefined, name: string) =>
  (error: Error): Action[] => {
    const about = what === 'Create' ? `create endpoint for service` : 'update endpoint';
    const message = `Failed to ${about} ${namespace}/${name}: ${error.message}`;
    return [{ do: 'event', event: { type: 'Warning', reason: `FailedTo${what}Endpoint`, message } }];
  };

function endpointsOf(service: Service, pods: readonly EndpointPod[], existing: Endpoints | undefined): Endpoints {
  const shown = service.spec.publishNotReadyAddresses ? pods : pods.filter((p) => !p.terminating);
  const { subsets, truncated } = truncate(subsetsOf(service, shown));
  const { name, namespace } = service.metadata;
  const { [OVER_CAPACITY]: _, ...others } = existing?.metadata.annotations ?? {};
  const annotations = { ...others, ...(truncated ? { [OVER_CAPACITY]: 'truncated' } : {}) };
  const { annotations: __, ...metadata } = existing?.metadata ?? { name, namespace: namespace! };
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      ...metadata,
      labels: labelsFrom(service, { [MANAGED_BY]: MANAGER }),
      ...(Object.keys(annotations).length ? { annotations } : {}),
    } as Endpoints['metadata'],
    ...(subsets.length ? { subsets } : {}),
  };
}

interface Subset {
  readonly ports: readonly EndpointPort[];
  readonly ready: EndpointAddress[];
  readonly notReady: EndpointAddress[];
}

/** Addresses grouped by the ports they have, in a stable order. */
function subsetsOf(service: Service, pods: readonly EndpointPod[]): Subset[] {
  const groups = new Map<string, Subset>();
  const portless = isHeadless(service) && !service.spec.ports?.length;
  const ipv6 = service.spec.ipFamilies?.[0] === 'IPv6';
  for (const { pod, ips, ready } of pods) {
    const ip = ips.find((one) => one.includes(':') === ipv6);
    if (ip === undefined) continue;
    const ports = portsIn(service, pod).map(({ name, ...rest }) => ({ ...(name ? { name } : {}), ...rest }));
    if (ports.length === 0 && !portless) continue;
    const key = JSON.stringify(ports);
    let group = groups.get(key);
    if (!group) groups.set(key, (group = { ports, ready: [], notReady: [] }));
    (ready || service.spec.publishNotReadyAddresses ? group.ready : group.notReady).push(addressOf(service, pod, ip));
  }
  return [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

function addressOf(service: Service, pod: EndpointPod['pod'], ip: string): EndpointAddress {
  const hostname = hostnameIn(service, pod);
  const { nodeName } = pod.spec;
  const { name, namespace, uid } = pod.metadata;
  return {
    ip,
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    targetRef: { kind: 'Pod', namespace: namespace!, name, uid },
  };
}

/** Too many addresses: each subset keeps its share, and those not ready go first. */
function truncate(groups: readonly Subset[]): { subsets: EndpointSubset[]; truncated: boolean } {
  const sum = (of: 'ready' | 'notReady') => groups.reduce((n, group) => n + group[of].length, 0);
  const shares = (of: 'ready' | 'notReady', room: number): number[] => {
    const all = sum(of);
    let left = room;
    return groups.map((group) => {
      const share = all <= room ? group[of].length : Math.min(left, Math.ceil((group[of].length / all) * room));
      left -= share;
      return share;
    });
  };
  const ready = shares('ready', MAX_ADDRESSES);
  const notReady = shares('notReady', Math.max(0, MAX_ADDRESSES - sum('ready')));
  const byIp = (a: EndpointAddress, b: EndpointAddress) => (a.ip < b.ip ? -1 : 1);
  const subsets = groups.map((group, i): EndpointSubset => {
    const addresses = group.ready.sort(byIp).slice(0, ready[i]);
    const notReadyAddresses = group.notReady.sort(byIp).slice(0, notReady[i]);
    return {
      ...(addresses.length ? { addresses } : {}),
      ...(notReadyAddresses.length ? { notReadyAddresses } : {}),
      ...(group.ports.length ? { ports: [...group.ports] } : {}),
    };
  });
  return { subsets, truncated: sum('ready') + sum('notReady') > MAX_ADDRESSES };
}
