// The pod network of a node: a bridge with one address range, made by the standard CNI plugins; masquerading of what
// leaves the cluster; and host ports. Everything but the bridge is one nftables table, so that it goes in one stroke.
// https://www.cni.dev/plugins/current/main/bridge/

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPorts } from './cri/runtime.ts';
import { writeFileAtomic } from './atomic-file.ts';
import { hostPortRules, MASQUERADE, nftHostPorts, type PublishedPorts } from './host-ports.ts';
import { run, tryRun } from './run.ts';
import { claimSysctls, releaseSysctls, writeSysctl, type SysctlClaims } from './sysctls.ts';

export interface PodNetworkOptions {
  /** The bridge's name, at most 15 characters, unique on the machine. The nftables table is named after it. */
  readonly bridge: string;
  /** Where containerd looks for the configuration. */
  readonly confDir: string;
  /** Which addresses are given out. */
  readonly dataDir: string;
  readonly sysctls: SysctlClaims;
}

export interface PodRange {
  /** The addresses of this node's pods. */
  readonly podCidr: string;
  /** The addresses of all pods: traffic among them keeps its source address. Default: `podCidr`. */
  readonly clusterCidr?: string | undefined;
  /** The addresses of Services: the node sends to them by the bridge, where they become those of pods. */
  readonly serviceCidr?: string | undefined;
  /** Default: that of the way out. */
  readonly mtu?: number | undefined;
}

const SYSCTLS = { 'net.ipv4.ip_forward': '1' };
/** Without it, bridged traffic between two pods would pass by the rules that stand for a Service. */
const BRIDGE_SYSCTLS = { 'net.bridge.bridge-nf-call-iptables': '1' };

export const networkName = (bridge: string) => `coracle-${bridge}`;
export const tableName = (bridge: string) => `coracle_${bridge.replaceAll(/[^A-Za-z0-9]/g, '_')}`;

export function cniConfig({ bridge, dataDir }: Pick<PodNetworkOptions, 'bridge' | 'dataDir'>, range: PodRange) {
  return {
    cniVersion: '0.4.0',
    name: networkName(bridge),
    plugins: [
      {
        type: 'bridge',
        bridge,
        isDefaultGateway: true,
        forceAddress: true,
        // A pod reaches itself through its own Service.
        hairpinMode: true,
        ipMasq: false,
        ...(range.mtu === undefined ? {} : { mtu: range.mtu }),
        ipam: { type: 'host-local', dataDir, ranges: [[{ subnet: range.podCidr }]] },
      },
    ],
  };
}

/** The whole table; given again it replaces the one before. */
export function networkTable(bridge: string, range: PodRange): string {
  const table = tableName(bridge);
  const { podCidr, clusterCidr = podCidr } = range;
  return `table ip ${table} {}
delete table ip ${table}
table ip ${table} {
${hostPortRules(podCidr)}
  chain postrouting {
    type nat hook postrouting priority 99; policy accept;
    ct status dnat ct mark and ${MASQUERADE} == ${MASQUERADE} counter masquerade
    ip saddr ${podCidr} ip daddr != { ${clusterCidr}, 224.0.0.0/4 } counter masquerade fully-random
  }
}
`;
}

export interface PodNetwork extends HostPorts {
  /** Makes the network ready; containerd sees the configuration at once. Idempotent, also with other addresses. */
  setRange(range: PodRange): Promise<void>;
}

class Network implements PodNetwork {
  private readonly options: PodNetworkOptions;
  private readonly ports: PublishedPorts;
  private range: PodRange | undefined;

  constructor(options: PodNetworkOptions) {
    this.options = options;
    this.ports = nftHostPorts(tableName(options.bridge), options.dataDir);
  }

  async setRange(range: PodRange): Promise<void> {
    const { bridge, confDir, dataDir, sysctls } = this.options;
    if (JSON.stringify(range) === JSON.stringify(this.range)) return;
    await claimSysctls(sysctls, SYSCTLS);
    await claimSysctls(sysctls, BRIDGE_SYSCTLS);
    await ensureBridge(bridge);
    await addressBridge(bridge, range);
    await mkdir(dataDir, { recursive: true });
    await this.ports.replaceTable(networkTable(bridge, range));
    await acceptForwarding(bridge);
    await mkdir(confDir, { recursive: true });
    const file = join(confDir, `10-${bridge}.conflist`);
    writeFileAtomic(file, JSON.stringify(cniConfig(this.options, range)), { mode: 0o644 });
    this.range = range;
  }

  open: HostPorts['open'] = (sandboxId, ports, ips) => this.ports.open(sandboxId, ports, ips);
  close: HostPorts['close'] = (sandboxId) => this.ports.close(sandboxId);
}

async function addBridge(bridge: string): Promise<void> {
  const { code, stderr } = await tryRun('ip', ['link', 'add', 'name', bridge, 'type', 'bridge']);
  if (code !== 0 && !stderr.includes('File exists'))
    throw new Error(`cannot make the bridge ${bridge}: ${stderr.trim()}`);
}

/** Makes the bridge before the first pod does, for rules and settings that name it. */
async function ensureBridge(bridge: string): Promise<void> {
  await addBridge(bridge);
  // Host ports answer on 127.0.0.1 as well; the setting goes with the bridge.
  await writeSysctl(`net.ipv4.conf.${bridge}.route_localnet`, '1');
}

/** The node's own address among its pods: the first of its range, where the plugin would put it with the first pod. */
export function gatewayOf(podCidr: string): string {
  const [address = '', bits] = podCidr.split('/');
  const bytes = address.split('.').map(Number);
  bytes[3]! += 1;
  if (bytes.length !== 4 || bits === undefined) throw new Error(`${podCidr} is no IPv4 block`);
  return bytes.join('.');
}

/** From now on the node talks to its pods; a way to Services is there also where the machine has no default route. */
async function addressBridge(bridge: string, { podCidr, serviceCidr }: PodRange): Promise<void> {
  const gateway = gatewayOf(podCidr);
  const address = `${gateway}/${podCidr.split('/')[1]}`;
  const shown = await run('ip', ['-4', '-o', 'address', 'show', 'dev', bridge, 'scope', 'global']);
  for (const [, old] of shown.matchAll(/ inet (\S+) /g))
    if (old !== address) await run('ip', ['address', 'delete', old!, 'dev', bridge]);
  const commands = [`address replace ${address} dev ${bridge}`, `link set ${bridge} up`];
  if (serviceCidr) commands.push(`route replace ${serviceCidr} dev ${bridge} src ${gateway}`);
  await run('ip', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** The interface that holds `giveAddress`'s; the plugin tolerates no second address on the bridge. */
export const nodeInterface = (bridge: string) => `${bridge}n`;

/** Gives a machine that has no address but loopback one of its own; it goes with the pod network. */
export async function giveAddress(bridge: string, address: string): Promise<void> {
  const name = nodeInterface(bridge);
  await addBridge(name);
  await run('ip', ['-batch', '-'], { input: `address replace ${address}/32 dev ${name}\nlink set ${name} up\n` });
}

/** Machines with Docker or a firewall drop what is forwarded unless told: let the pods' bridge pass there. */
async function acceptForwarding(bridge: string): Promise<void> {
  const chain = await forwardChain();
  if (!chain?.includes('policy drop') || chain.includes(forwardComment(bridge))) return;
  for (const direction of ['iifname', 'oifname']) {
    const rule = `insert rule ip filter FORWARD ${direction} "${bridge}" counter accept comment "${forwardComment(bridge)}"`;
    await run('nft', ['-f', '-'], { input: rule });
  }
}

const forwardComment = (bridge: string) => `coracle ${bridge}`;

async function forwardChain(): Promise<string | undefined> {
  const { code, stdout } = await tryRun('nft', ['-a', 'list', 'chain', 'ip', 'filter', 'FORWARD']);
  return code === 0 ? stdout : undefined;
}

export function podNetwork(options: PodNetworkOptions): PodNetwork {
  return new Network(options);
}

/** Takes away everything a pod network has on this machine, whatever is left of it. */
export async function removePodNetwork(options: PodNetworkOptions): Promise<void> {
  const { bridge, confDir, dataDir, sysctls } = options;
  await tryRun('nft', ['delete', 'table', 'ip', tableName(bridge)]);
  for (const line of (await forwardChain())?.split('\n') ?? []) {
    const handle = line.includes(forwardComment(bridge)) ? / # handle (\d+)$/.exec(line)?.[1] : undefined;
    if (handle) await run('nft', ['delete', 'rule', 'ip', 'filter', 'FORWARD', 'handle', handle]);
  }
  // The kernel takes its time to remove the interfaces of network namespaces that are gone.
  const ports = await tryRun('ip', ['-o', 'link', 'show', 'master', bridge]);
  for (const [, port] of ports.stdout.matchAll(/^\d+: ([^:@]+)/gm)) await tryRun('ip', ['link', 'delete', port!]);
  await tryRun('ip', ['link', 'delete', bridge]);
  await tryRun('ip', ['link', 'delete', nodeInterface(bridge)]);
  await rm(confDir, { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
  await releaseSysctls(sysctls);
}
