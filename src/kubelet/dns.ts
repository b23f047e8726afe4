// A pod's resolver configuration. https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/

import type { Pod } from '../api/kinds/core/pod.ts';

export interface DnsSettings {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

const MAX_SERVERS = 3;
const MAX_SEARCHES = 32;

/** `warn` receives the reason and message of an event when the pod cannot have what it asks for. */
export function podDns(
  pod: Pod,
  cluster: { readonly servers: readonly string[]; readonly domain: string },
  host: DnsSettings,
  warn: (reason: string, message: string) => void,
): DnsSettings {
  const base = baseSettings(pod, cluster, host, warn);
  const own = pod.spec.dnsConfig;
  const servers = unique([...base.servers, ...(own?.nameservers ?? [])]);
  const searches = unique([...base.searches, ...(own?.searches ?? [])]);
  const options = mergeOptions(base.options, own?.options ?? []);
  if (servers.length > MAX_SERVERS) {
    const applied = servers.slice(0, MAX_SERVERS).join(' ');
    const text = 'Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is:';
    warn('DNSConfigForming', `${text} ${applied}`);
  }
  if (searches.length > MAX_SEARCHES) {
    const applied = searches.slice(0, MAX_SEARCHES).join(' ');
    const text = 'Search Line limits were exceeded, some search paths have been omitted, the applied search line is:';
    warn('DNSConfigForming', `${text} ${applied}`);
  }
  return { servers: servers.slice(0, MAX_SERVERS), searches: searches.slice(0, MAX_SEARCHES), options };
}

function baseSettings(
  pod: Pod,
  cluster: { readonly servers: readonly string[]; readonly domain: string },
  host: DnsSettings,
  warn: (reason: string, message: string) => void,
): DnsSettings {
  const { dnsPolicy = 'ClusterFirst', hostNetwork } = pod.spec;
  if (dnsPolicy === 'None') return { servers: [], searches: [], options: [] };
  const wantsCluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork);
  if (!wantsCluster) return host;
  if (cluster.servers.length === 0) {
    const text = 'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy.';
    warn('MissingClusterDNS', `${text} Falling back to "Default" policy.`);
    return host;
  }
  const { namespace } = pod.metadata;
  const { domain } = cluster;
  return {
    servers: cluster.servers,
    searches: [`${namespace}.svc.${domain}`, `svc.${domain}`, domain, ...host.searches],
    options: ['ndots:5'],
  };
}

const unique = (list: readonly string[]) => [...new Set(list)];

/** Options of the pod replace those of the same name. */
function mergeOptions(base: readonly string[], own: readonly { name?: string; value?: string }[]): string[] {
  const merged = new Map<string, string>();
  for (const option of base) merged.set(option.split(':')[0]!, option);
  for (const { name = '', value } of own) merged.set(name, value === undefined ? name : `${name}:${value}`);
  return [...merged.values()];
}
