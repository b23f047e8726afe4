// A pod's host name and its /etc/hosts.

import type { Pod } from '../api/kinds/core/pod.ts';

const MAX_LABEL = 63;
const MAX_FQDN = 64;

export interface PodHostname {
  readonly hostname: string;
  /** `<subdomain>.<namespace>.svc.<cluster domain>`, or empty. */
  readonly domain: string;
}

export function podHostname(pod: Pod, clusterDomain: string): PodHostname {
  const { hostname, hostnameOverride, subdomain } = pod.spec;
  if (hostnameOverride) return { hostname: hostnameOverride, domain: '' };
  const domain = subdomain ? `${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}` : '';
  const whole = hostname || pod.metadata.name;
  const fitting = whole.length > MAX_LABEL ? whole.slice(0, MAX_LABEL).replace(/[-.]+$/, '') : whole;
  return { hostname: fitting, domain };
}

/** What `hostname` prints in the pod. Throws with upstream's text when the full name is too long. */
export function nodeName(pod: Pod, { hostname, domain }: PodHostname): string {
  if (!pod.spec.setHostnameAsFQDN || !domain) return hostname;
  const full = `${hostname}.${domain}`;
  if (full.length > MAX_FQDN) {
    const limit = `(${MAX_FQDN} characters is the max, ${full.length} characters requested)`;
    throw new Error(`Failed to construct FQDN from Pod hostname and cluster domain, FQDN ${full} is too long ${limit}`);
  }
  return full;
}

/** `hostFile`: the node's own file, for pods on the host network. */
export function hostsFile(
  pod: Pod,
  name: PodHostname,
  podIPs: readonly string[],
  hostFile: string | undefined,
): string {
  const { hostAliases = [] } = pod.spec;
  let text: string;
  if (hostFile !== undefined) {
    text = `# Kubernetes-managed hosts file (host network).\n${hostFile}`;
  } else {
    text =
      '# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' +
      'fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n';
    for (const ip of podIPs) {
      text += name.domain ? `${ip}\t${name.hostname}.${name.domain}\t${name.hostname}\n` : `${ip}\t${name.hostname}\n`;
    }
  }
  if (hostAliases.length === 0) return text;
  text += '\n# Entries added by HostAliases.\n';
  for (const { ip, hostnames = [] } of hostAliases) text += `${ip}\t${hostnames.join('\t')}\n`;
  return text;
}
