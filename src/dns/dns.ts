// Cluster DNS as a component: informers give the view, a driver carries questions and answers, others' names are forwarded.

import { Namespace } from '../api/kinds/core/namespace.ts';
import { Service } from '../api/kinds/core/service.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import type { InformerFactory } from '../client/informer.ts';
import { answer, type DnsAnswer, type DnsView } from './names.ts';

const BY_IP = 'dns-ip';
const BY_SERVICE = 'dns-service';

export interface ClusterNames {
  /** Resolves when the view is complete. */
  readonly synced: Promise<void>;
  ask(question: { readonly name: string; readonly type: string }): DnsAnswer;
}

/** `namespaces` false: who asks may not read them, and any may be there (it matters for names of pods alone). */
export function clusterNames(
  informers: InformerFactory,
  domain: string,
  { namespaces: known = true }: { readonly namespaces?: boolean } = {},
): ClusterNames {
  const services = informers.informer(Service);
  const slices = informers.informer(EndpointSlice);
  const namespaces = known ? informers.informer(Namespace) : undefined;
  services.addIndex(BY_IP, (s) => s.spec.clusterIPs ?? []);
  slices.addIndex(BY_IP, (s) => [...new Set((s.endpoints ?? []).flatMap((e) => e.addresses))]);
  slices.addIndex(BY_SERVICE, (s) => {
    const service = s.metadata.labels?.['kubernetes.io/service-name'];
    return service ? [`${s.metadata.namespace}/${service}`] : [];
  });
  const view: DnsView = {
    service: (namespace, name) => services.get(`${namespace}/${name}`),
    slices: (namespace, service) => slices.byIndex(BY_SERVICE, `${namespace}/${service}`),
    hasNamespace: (namespace) => !namespaces || namespaces.get(namespace) !== undefined,
    servicesByIp: (ip) => services.byIndex(BY_IP, ip),
    slicesByIp: (ip) => slices.byIndex(BY_IP, ip),
  };
  return {
    synced: Promise.all([services.synced, slices.synced, namespaces?.synced]).then(() => undefined),
    ask: (question) => answer(question, domain, view),
  };
}
