// Services and EndpointSlices to rules: pure, one Service at a time.
// https://kubernetes.io/docs/reference/networking/virtual-ips/

import type { Service, ServicePort } from '../api/generated/core-v1.ts';
import type { Endpoint, EndpointSlice } from '../api/generated/discovery-v1.ts';
import type { Backend, Frontend, Protocol, Rule } from './rule-set.ts';

/** Where the rules are for. */
export interface ProxyNode {
  readonly name: string;
  /** `topology.kubernetes.io/zone` of the node, if known. */
  readonly zone?: string | undefined;
}

interface Candidate extends Backend {
  readonly ready: boolean;
  /** Still answers while it is going: used when nothing ready is left. */
  readonly serving: boolean;
  readonly local: boolean;
  /** Whether the endpoint is meant for this node, for this zone; undefined when it does not say. */
  readonly forNode: boolean | undefined;
  readonly forZone: boolean | undefined;
}

const isV4 = (ip: string) => !ip.includes(':');

/** Other proxies (service.kubernetes.io/service-proxy-name) look after labelled Services. */
function concerns(service: Service): boolean {
  const { type, clusterIP } = service.spec;
  if (service.metadata.labels?.['service.kubernetes.io/service-proxy-name'] !== undefined) return false;
  return type !== 'ExternalName' && clusterIP !== undefined && clusterIP !== '' && clusterIP !== 'None';
}

function candidatesFor(port: ServicePort, slices: readonly EndpointSlice[], here: ProxyNode): Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue;
    const target = slice.ports?.find(
      (p) => (p.name ?? '') === (port.name ?? '') && (p.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
    );
    if (!target?.port) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const ip = endpoint.addresses[0];
      if (ip && isV4(ip)) found.set(`${ip}:${target.port}`, { ip, port: target.port, ...stateOf(endpoint, here) });
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, candidate]) => candidate);
}

function stateOf({ conditions = {}, nodeName, hints }: Endpoint, here: ProxyNode) {
  const ready = conditions.ready ?? true;
  const serving = conditions.serving ?? ready;
  return {
    ready,
    serving: serving && conditions.terminating === true,
    local: nodeName === here.name,
    forNode: hints?.forNodes?.some((n) => n.name === here.name),
    forZone: hints?.forZones?.some((z) => z.name === here.zone),
  };
}

/** The ready ones; when there are none, those that still serve while they go. */
function usable(candidates: readonly Candidate[]): Candidate[] {
  const ready = candidates.filter((c) => c.ready);
  return ready.length ? ready : candidates.filter((c) => c.serving);
}

/** Those meant for this node, else for this zone, where every endpoint says for whom it is; else all. */
function near(candidates: readonly Candidate[]): readonly Candidate[] {
  const ready = candidates.filter((c) => c.ready);
  for (const hint of ['forNode', 'forZone'] as const) {
    const meant = ready.every((c) => c[hint] !== undefined) ? ready.filter((c) => c[hint]) : [];
    if (meant.length) return meant;
  }
  return candidates;
}

/** Who may come in by the load balancer, as far as they are of IPv4; everybody, as upstream has it, when none is. */
function sourcesOf({ spec }: Service): readonly string[] | undefined {
  const ranges = spec.loadBalancerSourceRanges?.map((range) => range.trim()).filter(isV4);
  return ranges?.length ? ranges.toSorted() : undefined;
}

const bare = (candidates: readonly Candidate[]): Backend[] => candidates.map(({ ip, port }) => ({ ip, port }));

/** The rules of one Service on one node. */
export function planService(service: Service, slices: readonly EndpointSlice[], node: ProxyNode): Rule[] {
  if (!concerns(service)) return [];
  const { spec } = service;
  const affinitySeconds =
    spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : 0;
  return (spec.ports ?? []).flatMap((port) => {
    const protocol = (port.protocol ?? 'TCP').toLowerCase() as Protocol;
    const candidates = candidatesFor(port, slices, node);
    const everywhere = usable(near(candidates));
    const here = usable(candidates.filter((c) => c.local));
    const rule = (frontend: Frontend, local: boolean, external: boolean, sources?: readonly string[]): Rule => ({
      frontend,
      backends: bare(local ? here : everywhere),
      drop: local && here.length === 0 && everywhere.length > 0,
      affinitySeconds,
      keepSource: external && local,
      ...(sources ? { sources } : {}),
    });
    const internal = spec.internalTrafficPolicy === 'Local';
    const external = spec.externalTrafficPolicy === 'Local';
    const vips = (spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP!]).filter(isV4);
    const balanced = service.status?.loadBalancer?.ingress ?? [];
    const balancers = balanced.flatMap((i) => (i.ip && isV4(i.ip) && i.ipMode !== 'Proxy' ? [i.ip] : []));
    return [
      ...vips.map((ip) => rule({ ip, protocol, port: port.port }, internal, false)),
      ...(spec.externalIPs ?? []).filter(isV4).map((ip) => rule({ ip, protocol, port: port.port }, external, true)),
      ...balancers.map((ip) => rule({ ip, protocol, port: port.port }, external, true, sourcesOf(service))),
      ...(port.nodePort ? [rule({ protocol, port: port.nodePort }, external, true)] : []),
    ];
  });
}

/** `wanted` in the slots they had before where they stay, so that clients with affinity keep their backend. */
export function keepSlots(wanted: readonly Backend[], before: readonly Backend[]): Backend[] {
  const id = (b: Backend) => `${b.ip}:${b.port}`;
  const left = new Map(wanted.map((b) => [id(b), b]));
  const slots: (Backend | undefined)[] = before.slice(0, wanted.length).map((b) => {
    const still = left.get(id(b));
    left.delete(id(b));
    return still;
  });
  const fresh = [...left.values()];
  return Array.from({ length: wanted.length }, (_, i) => slots[i] ?? fresh.shift()!);
}
