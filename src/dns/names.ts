// The names of a cluster and what they mean: pure answers out of a view of Services and EndpointSlices.
// https://github.com/kubernetes/dns/blob/master/docs/specification.md

import type { Service } from '../api/generated/core-v1.ts';
import type { Endpoint, EndpointSlice } from '../api/generated/discovery-v1.ts';
import { parseIp } from '../api/validate/ip.ts';

export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly name: string; readonly data: string }
  | { readonly type: 'CNAME' | 'PTR'; readonly name: string; readonly data: string }
  | { readonly type: 'TXT'; readonly name: string; readonly data: string }
  | {
      readonly type: 'SRV';
      readonly name: string;
      readonly data: {
        readonly priority: number;
        readonly weight: number;
        readonly port: number;
        readonly target: string;
      };
    };

export interface DnsAnswer {
  /** `outside`: not a name of the cluster, ask somebody else. */
  readonly status: 'found' | 'empty' | 'nxdomain' | 'outside';
  readonly answers: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

export interface DnsView {
  service(namespace: string, name: string): Service | undefined;
  slices(namespace: string, service: string): readonly EndpointSlice[];
  hasNamespace(namespace: string): boolean;
  /** Services with this cluster IP. */
  servicesByIp(ip: string): readonly Service[];
  /** EndpointSlices with this address. */
  slicesByIp(ip: string): readonly EndpointSlice[];
}

const OUTSIDE: DnsAnswer = { status: 'outside', answers: [], additionals: [] };
const NXDOMAIN: DnsAnswer = { status: 'nxdomain', answers: [], additionals: [] };
const EMPTY: DnsAnswer = { status: 'empty', answers: [], additionals: [] };
const SCHEMA_VERSION = '1.1.0';

const isV6 = (ip: string) => ip.includes(':');
const found = (answers: readonly DnsRecord[], additionals: readonly DnsRecord[] = []): DnsAnswer =>
  answers.length ? { status: 'found', answers, additionals } : EMPTY;

/** The records of `ips` that a question of this type is about. */
function addresses(name: string, type: string, ips: readonly string[]): DnsRecord[] {
  return ips.flatMap((ip): DnsRecord[] => {
    const own = isV6(ip) ? 'AAAA' : 'A';
    return type === own || type === 'ANY' ? [{ type: own, name, data: ip }] : [];
  });
}

/** `domain` e.g. `cluster.local`; names and types are compared without case. */
export function answer(
  question: { readonly name: string; readonly type: string },
  domain: string,
  view: DnsView,
): DnsAnswer {
  const name = question.name.toLowerCase().replace(/\.$/, '');
  if (name.endsWith('.in-addr.arpa') || name.endsWith('.ip6.arpa')) return reverse(name, question.type, domain, view);
  if (name === domain) return EMPTY;
  if (!name.endsWith(`.${domain}`)) return OUTSIDE;
  const labels = name.slice(0, -domain.length - 1).split('.');
  const kind = labels.pop();
  if (kind === 'dns-version' && labels.length === 0) {
    return question.type === 'TXT' ? found([{ type: 'TXT', name, data: SCHEMA_VERSION }]) : EMPTY;
  }
  if (kind === 'svc') return serviceName(name, question.type, labels, domain, view);
  return kind === 'pod' ? podName(name, question.type, labels, view) : NXDOMAIN;
}

/** `1-2-3-4.<namespace>.pod`. */
function podName(name: string, type: string, labels: readonly string[], view: DnsView): DnsAnswer {
  const namespace = labels.at(-1);
  if (namespace === undefined) return EMPTY;
  if (!view.hasNamespace(namespace) || labels.length > 2) return NXDOMAIN;
  if (labels.length === 1) return EMPTY;
  const text = labels[0]!;
  const v4 = text.replaceAll('-', '.');
  const v6 = text.replaceAll('-', ':');
  const ip = [v4, v6].find((one) => parseIp(one) !== undefined);
  return ip === undefined ? NXDOMAIN : found(addresses(name, type, [ip]));
}

interface Place {
  readonly ip: string;
  readonly hostname: string;
  readonly slice: EndpointSlice;
}

/** Endpoints get a name of their own: the hostname they ask for, or their address with dashes. */
const endpointName = (endpoint: Endpoint, ip: string) => endpoint.hostname ?? ip.replaceAll(/[.:]/g, '-');

function placesOf(service: Service, view: DnsView): Place[] {
  const { name, namespace } = service.metadata;
  return view.slices(namespace!, name).flatMap((slice) =>
    (slice.endpoints ?? []).flatMap((endpoint) => {
      if (endpoint.conditions?.ready === false) return [];
      return endpoint.addresses.map((ip) => ({ ip, hostname: endpointName(endpoint, ip), slice }));
    }),
  );
}

/** `[_port._proto.|endpoint.]<service>.<namespace>.svc`. */
function serviceName(name: string, type: string, labels: readonly string[], domain: string, view: DnsView): DnsAnswer {
  const namespace = labels.at(-1);
  if (namespace === undefined) return EMPTY;
  const serviceLabel = labels.at(-2);
  if (serviceLabel === undefined) return view.hasNamespace(namespace) ? EMPTY : NXDOMAIN;
  const service = view.service(namespace, serviceLabel);
  if (!service) return NXDOMAIN;
  const rest = labels.slice(0, -2);
  if (service.spec.type === 'ExternalName') {
    if (rest.length) return NXDOMAIN;
    return {
      status: 'found',
      answers: [{ type: 'CNAME', name, data: service.spec.externalName ?? '' }],
      additionals: [],
    };
  }
  const base = `${serviceLabel}.${namespace}.svc.${domain}`;
  const headless = service.spec.clusterIP === 'None';
  if (headless && placesOf(service, view).length === 0) return NXDOMAIN;
  if (rest.length === 0)
    return headless
      ? headlessName(name, type, base, placesOf(service, view))
      : clusterIpName(name, type, base, service);
  if (rest.length === 1 && headless) {
    const places = placesOf(service, view).filter((p) => p.hostname === rest[0]);
    return places.length
      ? found(
          addresses(
            name,
            type,
            places.map((p) => p.ip),
          ),
        )
      : NXDOMAIN;
  }
  const [port, protocol] = rest;
  if (rest.length !== 2 || !port?.startsWith('_') || !protocol?.startsWith('_')) return NXDOMAIN;
  return portName(name, type, base, service, { port: port.slice(1), protocol: protocol.slice(1) }, view);
}

const ipsOf = (service: Service) => service.spec.clusterIPs ?? (service.spec.clusterIP ? [service.spec.clusterIP] : []);

const srv = (name: string, port: number, target: string, weight: number): DnsRecord => ({
  type: 'SRV',
  name,
  data: { priority: 0, weight, port, target },
});

function clusterIpName(name: string, type: string, base: string, service: Service): DnsAnswer {
  if (type !== 'SRV') return found(addresses(name, type, ipsOf(service)));
  const ports = service.spec.ports ?? [];
  const weight = Math.floor(100 / Math.max(1, ports.length));
  const records = ports.map((p) => srv(name, p.port, base, weight));
  return found(records, addresses(base, 'ANY', ipsOf(service)));
}

function headlessName(name: string, type: string, base: string, places: readonly Place[]): DnsAnswer {
  if (type !== 'SRV') return found(addresses(name, type, [...new Set(places.map((p) => p.ip))]));
  return placeServices(name, base, places, () => true);
}

function placeServices(
  name: string,
  base: string,
  places: readonly Place[],
  wanted: (port: { name?: string; protocol?: string }) => boolean,
): DnsAnswer {
  const hits = places.flatMap((place) =>
    (place.slice.ports ?? []).filter(wanted).map((port) => ({ place, port: port.port ?? 0 })),
  );
  const weight = Math.floor(100 / Math.max(1, hits.length));
  return found(
    hits.map(({ place, port }) => srv(name, port, `${place.hostname}.${base}`, weight)),
    hits.flatMap(({ place }) => addresses(`${place.hostname}.${base}`, 'ANY', [place.ip])),
  );
}

function portName(
  name: string,
  type: string,
  base: string,
  service: Service,
  asked: { port: string; protocol: string },
  view: DnsView,
): DnsAnswer {
  const wanted = (p: { name?: string; protocol?: string }) =>
    (p.name ?? '') === asked.port && (p.protocol ?? 'TCP').toLowerCase() === asked.protocol;
  const ports = (service.spec.ports ?? []).filter(wanted);
  if (ports.length === 0) return NXDOMAIN;
  if (service.spec.clusterIP === 'None') {
    const places = placesOf(service, view);
    return type === 'SRV'
      ? placeServices(name, base, places, wanted)
      : found(
          addresses(
            name,
            type,
            places.map((p) => p.ip),
          ),
        );
  }
  if (type !== 'SRV') return found(addresses(name, type, ipsOf(service)));
  return found(
    ports.map((p) => srv(name, p.port, base, 100)),
    addresses(base, 'ANY', ipsOf(service)),
  );
}

const V6_ZONE = '.ip6.arpa';

function addressOfReverse(name: string): string | undefined {
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  if (v4) return v4.slice(1).reverse().join('.');
  if (!name.endsWith(V6_ZONE)) return undefined;
  const nibbles = name.slice(0, -V6_ZONE.length).split('.').reverse();
  if (nibbles.length !== 32 || !nibbles.every((n) => /^[0-9a-f]$/.test(n))) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) =>
    nibbles
      .slice(4 * i, 4 * i + 4)
      .join('')
      .replace(/^0+(?=.)/, ''),
  );
  return compressed(groups);
}

/** The text form of RFC 5952: the first of the longest runs of zeros, of two at least, is left out. */
function compressed(groups: readonly string[]): string {
  let [start, length] = [0, 1];
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (groups[end] === '0') end++;
    if (end - i > length) [start, length] = [i, end - i];
  }
  if (length < 2) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}

function reverse(name: string, type: string, domain: string, view: DnsView): DnsAnswer {
  const ip = addressOfReverse(name);
  if (ip === undefined) return OUTSIDE;
  const services = view.servicesByIp(ip).map((s) => `${s.metadata.name}.${s.metadata.namespace}.svc.${domain}`);
  const endpoints = view.slicesByIp(ip).flatMap((slice) => {
    const service = slice.metadata.labels?.['kubernetes.io/service-name'];
    const endpoint = slice.endpoints?.find((e) => e.addresses.includes(ip));
    if (!service || !endpoint) return [];
    const headless = view.service(slice.metadata.namespace!, service)?.spec.clusterIP === 'None';
    return headless || endpoint.hostname
      ? [`${endpointName(endpoint, ip)}.${service}.${slice.metadata.namespace}.svc.${domain}`]
      : [];
  });
  const targets = [...services, ...endpoints];
  if (targets.length === 0) return OUTSIDE;
  return type === 'PTR' ? found(targets.map((data) => ({ type: 'PTR', name, data }))) : EMPTY;
}
