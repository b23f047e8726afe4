// Service: core/v1.

import type { Service as ServiceObject, ServicePort } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import {
  dropFieldsOfOldType,
  isExternallyAccessible,
  isHeadless,
  keepAllocated,
  needsClusterIp,
  normalizeClusterIps,
} from '../../service-fields.ts';
import type { Errors } from '../../validate/checks.ts';
import { validateBalancerStatus, validateService, validateServiceUpdate } from '../../validate/service.ts';
import { AGE, ageOf, labelsText, NAME, NONE, SELECTOR, text, UNKNOWN } from '../columns.ts';

export type Service = ServiceObject;

export const Service = defineKind<ServiceObject>({
  group: '',
  version: 'v1',
  kind: 'Service',
  plural: 'services',
  namespaced: true,
  names: 'label',
  shortNames: ['svc'],
  categories: ['all'],
  createOnUpdate: true,

  default(service) {
    const { spec } = service;
    spec.sessionAffinity ||= 'None';
    if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
    if (spec.sessionAffinity === 'ClientIP' && spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined) {
      spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: 10_800 } };
    }
    spec.type ||= 'ClusterIP';
    for (const port of spec.ports ?? []) {
      port.protocol ||= 'TCP';
      port.targetPort ||= port.port;
    }
    if (isExternallyAccessible(spec)) spec.externalTrafficPolicy ||= 'Cluster';
    if (needsClusterIp(spec)) spec.internalTrafficPolicy ??= 'Cluster';
    if (spec.type !== 'LoadBalancer') return;
    spec.allocateLoadBalancerNodePorts ??= true;
    for (const entry of service.status?.loadBalancer?.ingress ?? []) if (entry.ip) entry.ipMode ??= 'VIP';
  },
  prepareForCreate(service) {
    service.status = { loadBalancer: {} };
    normalizeClusterIps(service, undefined);
  },
  prepareForUpdate(service, old) {
    normalizeClusterIps(service, old);
    keepAllocated(service, old);
    dropFieldsOfOldType(service, old);
  },

  validate: validateService,
  validateUpdate: validateServiceUpdate,
  warnings,
  status: {
    validateUpdate(service) {
      const out: Errors = [];
      const path = 'status.loadBalancer';
      validateBalancerStatus(service.status?.loadBalancer, service.spec.type === 'LoadBalancer', path, out);
      return out;
    },
  },

  subresources: { proxy: { verbs: ['create', 'delete', 'get', 'patch', 'update'], kind: 'ServiceProxyOptions' } },
  selectableFields: {
    'spec.clusterIP': ({ spec }) => spec.clusterIP ?? '',
    'spec.type': ({ spec }) => spec.type ?? '',
  },
  columns: [
    NAME,
    text('Type', 'How the service is reached.'),
    text('Cluster-IP', 'The address inside the cluster.'),
    text('External-IP', 'Addresses from outside.'),
    text('Port(s)', 'The ports of the service.'),
    AGE,
    SELECTOR,
  ],
  row(service, now) {
    const { spec } = service;
    return [
      service.metadata.name,
      spec.type ?? '',
      spec.clusterIPs?.[0] ?? spec.clusterIP ?? NONE,
      externalIps(service),
      spec.ports?.map(portText).join(',') || NONE,
      ageOf(service, now),
      labelsText(spec.selector),
    ];
  },
});

const portText = (p: ServicePort) => (p.nodePort ? `${p.port}:${p.nodePort}/${p.protocol}` : `${p.port}/${p.protocol}`);

function externalIps({ spec, status }: ServiceObject): string {
  const own = spec.externalIPs ?? [];
  switch (spec.type) {
    case 'ClusterIP':
    case 'NodePort':
      return own.join(',') || NONE;
    case 'LoadBalancer': {
      const entries = status?.loadBalancer?.ingress?.map((e) => e.ip || e.hostname || '').filter(Boolean) ?? [];
      return [...[...new Set(entries)].sort(), ...own].join(',') || '<pending>';
    }
    case 'ExternalName':
      return spec.externalName ?? '';
    default:
      return UNKNOWN;
  }
}

const TOPOLOGY_HINTS = 'service.kubernetes.io/topology-aware-hints';

function warnings(service: ServiceObject): string[] {
  const { spec } = service;
  const out: string[] = [];
  if (service.metadata.annotations?.[TOPOLOGY_HINTS] !== undefined) {
    out.push(`metadata.annotations[${TOPOLOGY_HINTS}]: please use service.kubernetes.io/topology-mode instead`);
  }
  if (spec.type === 'ExternalName' && spec.externalIPs?.length) {
    out.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  }
  if (spec.type !== 'ExternalName' && spec.externalName) {
    out.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  }
  if (isHeadless(spec)) {
    if (spec.loadBalancerIP) out.push('spec.loadBalancerIP is ignored for headless services');
    if (spec.externalIPs?.length) out.push('spec.externalIPs is ignored for headless services');
    if (spec.sessionAffinity !== 'None') out.push('spec.SessionAffinity is ignored for headless services');
  }
  return out;
}
