// How the fields of a Service hang together: which of them its type needs, which an update keeps or drops, and which
// address families it gets. Shared by the kind, the allocators of addresses and ports, and whoever asks.

import { field } from './errors.ts';
import type { Service, ServiceSpec } from './generated/core-v1.ts';
import { isIpv6 } from './validate/ip.ts';
import type { Errors } from './validate/checks.ts';
import { sameValue } from './validate/same-value.ts';

export type IpFamily = 'IPv4' | 'IPv6';

export const needsClusterIp = ({ type }: ServiceSpec): boolean =>
  type === 'ClusterIP' || type === 'NodePort' || type === 'LoadBalancer';
export const isHeadless = ({ clusterIPs }: ServiceSpec): boolean =>
  clusterIPs?.length === 1 && clusterIPs[0] === 'None';
export const needsNodePort = (spec: ServiceSpec): boolean =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
export const needsHealthCheckPort = (spec: ServiceSpec): boolean =>
  spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
export const isExternallyAccessible = (spec: ServiceSpec): boolean =>
  spec.type === 'LoadBalancer' ||
  spec.type === 'NodePort' ||
  (spec.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0);

/** Keeps `clusterIP` and `clusterIPs` in step when a client knows only one of them. Idempotent. */
export function normalizeClusterIps(draft: Service, old: Service | undefined): void {
  const { spec } = draft;
  if (!old) {
    if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
    return;
  }
  const before = old.spec;
  const sameList = sameValue(spec.clusterIPs, before.clusterIPs);
  if ((spec.clusterIP ?? '') !== (before.clusterIP ?? '')) {
    if (!spec.clusterIP) {
      if (sameList) delete spec.clusterIPs;
    } else if (sameList || !spec.clusterIPs?.length) {
      spec.clusterIPs = [spec.clusterIP];
    }
  } else if (!sameList && !spec.clusterIPs?.length) {
    delete spec.clusterIP;
  }
}

/** An update that leaves out what was allocated keeps it: applying a manifest again changes nothing. */
export function keepAllocated(draft: Service, old: Service): void {
  const { spec } = draft;
  const before = old.spec;
  if (needsClusterIp(spec) && needsClusterIp(before)) {
    if (!spec.clusterIP && before.clusterIP) spec.clusterIP = before.clusterIP;
    if (!spec.clusterIPs?.length && spec.clusterIP === before.clusterIP && before.clusterIPs) {
      spec.clusterIPs = [...before.clusterIPs];
    }
    if (before.ipFamilyPolicy !== undefined) spec.ipFamilyPolicy ??= before.ipFamilyPolicy;
    if (!spec.ipFamilies?.length && before.ipFamilies && spec.ipFamilyPolicy === before.ipFamilyPolicy) {
      spec.ipFamilies = [...before.ipFamilies];
    }
  }
  if (needsNodePort(spec) && needsNodePort(before)) {
    const taken = new Set(spec.ports?.map((p) => `${p.protocol}/${p.nodePort ?? 0}`));
    const byName = new Map(before.ports?.map((p) => [p.name ?? '', p.nodePort ?? 0]));
    for (const port of spec.ports ?? []) {
      const known = byName.get(port.name ?? '') ?? 0;
      const key = `${port.protocol}/${known}`;
      if (port.nodePort || !known || taken.has(key)) continue;
      port.nodePort = known;
      taken.add(key);
    }
  }
  if (needsHealthCheckPort(spec) && needsHealthCheckPort(before) && !spec.healthCheckNodePort) {
    if (before.healthCheckNodePort) spec.healthCheckNodePort = before.healthCheckNodePort;
  }
}

/** What the old type had and the new one cannot have goes, if the client did not touch it (else validation tells). */
export function dropFieldsOfOldType(draft: Service, old: Service): void {
  const { spec } = draft;
  const before = old.spec;
  const same = (...keys: (keyof ServiceSpec)[]) => keys.every((key) => sameValue(spec[key], before[key]));
  if (needsClusterIp(before) && !needsClusterIp(spec)) {
    if (same('clusterIP', 'clusterIPs')) {
      delete spec.clusterIP;
      delete spec.clusterIPs;
    }
    if (same('ipFamilies')) delete spec.ipFamilies;
    if (same('ipFamilyPolicy')) delete spec.ipFamilyPolicy;
  }
  const portsOf = (s: ServiceSpec) =>
    s.ports
      ?.map((p) => p.nodePort ?? 0)
      .filter(Boolean)
      .sort();
  if (needsNodePort(before) && !needsNodePort(spec) && sameValue(portsOf(spec), portsOf(before))) {
    for (const port of spec.ports ?? []) delete port.nodePort;
  }
  if (needsHealthCheckPort(before) && !needsHealthCheckPort(spec) && same('healthCheckNodePort')) {
    delete spec.healthCheckNodePort;
  }
  if (before.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    if (same('allocateLoadBalancerNodePorts')) delete spec.allocateLoadBalancerNodePorts;
    if (same('loadBalancerClass')) delete spec.loadBalancerClass;
  }
  if (isExternallyAccessible(before) && !isExternallyAccessible(spec) && same('externalTrafficPolicy')) {
    delete spec.externalTrafficPolicy;
  }
}

/**
 * Fills in `ipFamilyPolicy` and `ipFamilies` for a cluster that has these families, the first being its own. On update
 * `keepAllocated` comes first.
 */
export function initIpFamilies(draft: Service, cluster: readonly IpFamily[]): Errors {
  const { spec } = draft;
  if (!needsClusterIp(spec)) return [];
  const own: IpFamily = cluster[0] ?? 'IPv4';
  const other: IpFamily = own === 'IPv4' ? 'IPv6' : 'IPv4';
  const headless = isHeadless(spec);
  // Without selector somebody else provides the endpoints, of whatever family.
  if (headless && !spec.selector) {
    spec.ipFamilyPolicy ??= spec.ipFamilies?.length === 1 ? 'SingleStack' : 'RequireDualStack';
    spec.ipFamilies = completed(spec, own, other, spec.ipFamilyPolicy !== 'SingleStack');
    return [];
  }
  const dual = cluster.length > 1;
  const wanted = spec.ipFamilies?.length ?? 0;
  const addresses = headless ? 0 : (spec.clusterIPs?.length ?? 0);
  if (spec.ipFamilyPolicy === undefined) {
    spec.ipFamilyPolicy = wanted > 1 || addresses > 1 ? 'RequireDualStack' : 'SingleStack';
  }
  const out: Errors = [];
  if (spec.ipFamilyPolicy === 'RequireDualStack' && !dual) {
    const text = 'this cluster is not configured for dual-stack services';
    out.push(field.invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, text));
  }
  if (spec.ipFamilyPolicy === 'SingleStack' && (wanted > 1 || addresses > 1)) {
    const text = "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified";
    out.push(field.invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, text));
  }
  spec.ipFamilies?.forEach((family, i) => {
    if (!cluster.includes(family as IpFamily)) {
      out.push(field.invalid(`spec.ipFamilies[${i}]`, family, 'not configured on this cluster'));
    }
  });
  if (out.length === 0) spec.ipFamilies = completed(spec, own, other, spec.ipFamilyPolicy !== 'SingleStack' && dual);
  return out;
}

/** The families asked for, or those of the addresses asked for, or the cluster's. */
function completed(spec: ServiceSpec, own: IpFamily, other: IpFamily, both: boolean): string[] {
  const fromIps = spec.clusterIPs?.filter((ip) => ip !== 'None').map((ip) => (isIpv6(ip) ? 'IPv6' : 'IPv4')) ?? [];
  const families: string[] = spec.ipFamilies?.length ? [...spec.ipFamilies] : fromIps.length ? fromIps : [own];
  if (both && families.length === 1) families.push(families[0] === own ? other : own);
  return families;
}
