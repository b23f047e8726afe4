// Container ports on the node's own addresses: two maps of the pod network's nftables table, one for any address of the
// node and one for a certain one. What is published is also written down, for the table is replaced when Coracle restarts.
// https://wiki.nftables.org/wiki-nftables/index.php/Maps

import { mkdirSync, readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { dirname, join } from 'node:path';
import type { PortMapping } from '../kubelet/runtime.ts';
import { writeFileAtomic } from './atomic-file.ts';
import type { HostPorts } from './cri/runtime.ts';
import { run, tryRun } from './run.ts';

/** Marks connections that need the node's address as their source. */
export const MASQUERADE = '0x2000';

/** The part of the table that is about host ports. */
export function hostPortRules(podCidr: string): string {
  const near = `ip saddr { ${podCidr}, 127.0.0.0/8 } ct mark set ct mark or ${MASQUERADE}`;
  const any = 'meta l4proto . th dport';
  const one = 'ip daddr . meta l4proto . th dport';
  return `  set any_keys { type inet_proto . inet_service; }
  set one_keys { type ipv4_addr . inet_proto . inet_service; }
  map any_ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map one_ports { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
  chain host_ports {
    ${one} @one_keys ${near}
    ${any} @any_keys ${near}
    dnat ip addr . port to ${one} map @one_ports
    dnat ip addr . port to ${any} map @any_ports
  }
  chain prerouting {
    type nat hook prerouting priority -101; policy accept;
    fib daddr type local jump host_ports
  }
  chain output {
    type nat hook output priority -101; policy accept;
    fib daddr type local jump host_ports
  }`;
}

/** One port in the table's words. */
export interface PublishedPort {
  readonly kind: 'any' | 'one';
  readonly key: string;
  readonly target: string;
  readonly protocol: string;
  readonly port: number;
}
type Published = Readonly<Record<string, readonly PublishedPort[]>>;

/** What to publish for a sandbox; mappings of other address families and SCTP without a pod address are left out. */
export function publishedPorts(ports: readonly PortMapping[], ips: readonly string[]): PublishedPort[] {
  const ip = ips.find(isIPv4);
  if (ip === undefined) return [];
  return ports.flatMap(({ protocol: name, hostIP, hostPort: port, containerPort }): PublishedPort[] => {
    const protocol = name.toLowerCase();
    const target = `${ip} . ${containerPort}`;
    const key = `${protocol} . ${port}`;
    if (hostIP === '' || hostIP === '0.0.0.0') return [{ kind: 'any', key, target, protocol, port }];
    return isIPv4(hostIP) ? [{ kind: 'one', key: `${hostIP} . ${key}`, target, protocol, port }] : [];
  });
}

/** The commands that publish ports (`add`) or withdraw them (`delete`). */
export function elementCommands(table: string, verb: 'add' | 'delete', ports: readonly PublishedPort[]): string {
  return ports
    .map(({ kind, key, target }) => {
      const at = (object: string) => `${verb} element ip ${table} ${kind}_${object}`;
      return `${at('keys')} { ${key} }\n${at('ports')} { ${key} : ${target} }\n`;
    })
    .join('');
}

export interface PublishedPorts extends HostPorts {
  /** Puts a new table in place that starts with everything published so far. */
  replaceTable(script: string): Promise<void>;
}

export function nftHostPorts(table: string, dataDir: string): PublishedPorts {
  const file = join(dataDir, 'host-ports.json');
  let published: Record<string, readonly PublishedPort[]> = {};
  try {
    published = JSON.parse(readFileSync(file, 'utf8')) as Published;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const remember = () => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileAtomic(file, JSON.stringify(published), { mode: 0o600 });
  };
  const nft = (input: string) => run('nft', ['-f', '-'], { input });
  const others = (sandboxId: string) => Object.entries(published).filter(([id]) => id !== sandboxId);

  const withdraw = async (sandboxId: string) => {
    const ports = published[sandboxId];
    if (!ports) return;
    published = Object.fromEntries(others(sandboxId));
    remember();
    const kept = new Set(Object.values(published).flatMap((more) => more.map((port) => port.key)));
    const gone = ports.filter((port) => !kept.has(port.key));
    // Another pod may have taken the port over meanwhile, or the table may be gone: then nothing is left to withdraw.
    for (const port of gone) await tryRun('nft', ['-f', '-'], { input: elementCommands(table, 'delete', [port]) });
    await forgetFlows(gone);
  };

  return {
    async open(sandboxId, mappings, ips) {
      const ports = publishedPorts(mappings, ips);
      if (ports.length === 0) return;
      const taken = new Map(others(sandboxId).flatMap(([, more]) => more.map((port) => [port.key, port])));
      const before = ports.flatMap((port) => taken.get(port.key) ?? []);
      await nft(elementCommands(table, 'delete', before) + elementCommands(table, 'add', ports));
      published = { ...published, [sandboxId]: ports };
      remember();
      await forgetFlows(ports);
    },
    close: withdraw,
    async replaceTable(script) {
      await nft(script + elementCommands(table, 'add', Object.values(published).flat()));
    },
  };
}

/** UDP has no connections: what flowed before would flow on to where it went. */
async function forgetFlows(ports: readonly PublishedPort[]): Promise<void> {
  for (const { protocol, port } of ports) {
    if (protocol === 'udp') await tryRun('conntrack', ['-D', '-p', 'udp', '--dport', String(port)]);
  }
}
