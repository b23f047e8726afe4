// What every cluster has from its first moment: the system's namespaces and priority classes, and the Service
// `kubernetes` that leads to the API server.

import type { Endpoints as EndpointsObject, Service as ServiceObject } from '../api/generated/core-v1.ts';
import type { EndpointSlice as EndpointSliceObject } from '../api/generated/discovery-v1.ts';
import type { PriorityClass as PriorityClassObject } from '../api/generated/scheduling-v1.ts';
import { Endpoints } from '../api/kinds/core/endpoints.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Service } from '../api/kinds/core/service.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import { PriorityClass, SYSTEM_PRIORITY_CLASSES } from '../api/kinds/scheduling/priority-class.ts';
import type { Draft, KubeObject } from '../api/object.ts';
import { sameJson } from '../api/same-json.ts';
import { ensureObject } from './ensure.ts';
import type { ApiServer } from './pipeline.ts';
import { addressIn, DEFAULT_CLUSTER_IPS } from './service-allocator.ts';

export const SYSTEM_NAMESPACES = ['kube-system', 'kube-public', 'kube-node-lease', 'default'] as const;

/** Makes the system's namespaces and priority classes. Rejects with a StatusError when the store cannot. */
export async function bootstrapSystem(server: ApiServer): Promise<void> {
  await Promise.all(
    SYSTEM_NAMESPACES.map((name) => ensureObject(server, Namespace, { metadata: { name } } as Draft<KubeObject>)),
  );
  await Promise.all(
    SYSTEM_PRIORITY_CLASSES.map(({ name, value, description }) =>
      ensureObject<PriorityClassObject>(server, PriorityClass, { metadata: { name }, value, description }),
    ),
  );
}

export interface ApiServerAddress {
  /** IPv4 addresses under which pods reach API servers: all of them, this one's included. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** The block of cluster IPs, the first of which is the Service's; see `ServiceRanges`. */
  readonly clusterIPs?: string | undefined;
}

const SERVICE = { name: 'kubernetes', namespace: 'default' };

/** Makes or corrects the Service `kubernetes`, its Endpoints and its EndpointSlice. */
export async function publishApiServer(server: ApiServer, address: ApiServerAddress): Promise<void> {
  const { port, clusterIPs = DEFAULT_CLUSTER_IPS } = address;
  const addresses = [...address.addresses].sort();
  const ports = [{ name: 'https', port: 443, protocol: 'TCP', targetPort: port }];
  const wantedService: Draft<ServiceObject> = {
    metadata: { ...SERVICE, labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: { type: 'ClusterIP', clusterIP: addressIn(clusterIPs, 1), ports, sessionAffinity: 'None' },
  };
  await ensureObject<ServiceObject>(server, Service, wantedService, (existing) =>
    sameJson(existing.spec.ports, ports) ? undefined : { ...existing, spec: { ...existing.spec, ports } },
  );
  const subsets = [{ addresses: addresses.map((ip) => ({ ip })), ports: [{ name: 'https', port, protocol: 'TCP' }] }];
  const wantedEndpoints: Draft<EndpointsObject> = {
    metadata: { ...SERVICE, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    subsets,
  };
  await ensureObject<EndpointsObject>(server, Endpoints, wantedEndpoints, (existing) =>
    sameJson(existing.subsets, subsets) ? undefined : { ...existing, subsets },
  );
  const endpoints = addresses.map((ip) => ({ addresses: [ip], conditions: { ready: true } }));
  const slicePorts = [{ name: 'https', port, protocol: 'TCP' }];
  const wantedSlice: Draft<EndpointSliceObject> = {
    metadata: { ...SERVICE, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: 'IPv4',
    endpoints,
    ports: slicePorts,
  };
  await ensureObject<EndpointSliceObject>(server, EndpointSlice, wantedSlice, (existing) =>
    sameJson(existing.endpoints, endpoints) && sameJson(existing.ports, slicePorts)
      ? undefined
      : { ...existing, endpoints, ports: slicePorts },
  );
}
