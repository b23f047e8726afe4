// `coracle agent`: a node on its own. containerd, kubelet and service proxy of this machine, for the cluster that a
// kubeconfig leads to, with the flags of upstream's kubelet where they exist.

import { createSocket } from 'node:dgram';
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { dns1123Subdomain, labelValue, qualifiedName } from '../api/validate/names.ts';
import { sleep } from '../base/env.ts';
import { UserError, type StepSink } from '../cli/platform.ts';
import type { Client } from '../client/client.ts';
import type { ClusterAccess } from '../host/kubeconfig.ts';
import type { DnsServer } from '../host/dns-server.ts';
import type { Listener } from '../host/listener.ts';
import type { KubeletConfig } from '../kubelet/config.ts';
import { chooseNodes } from './choose-nodes.ts';
import { keepIdentity, keptIdentity } from './agent-identity.ts';
import { accessOf, withClient, type ComponentClient, type ComponentContext } from './component-client.ts';
import type { Flags } from './flags.ts';
import { writableFolder } from './folders.ts';
import { readJoinInfo } from './join-info.ts';
import { nodeCertificate, renewNodeCertificate, type NodeCertificate } from './node-certificate.ts';
import { prune } from './lifecycle.ts';
import { stopProcess } from './manager.ts';
import { startOwnDns } from './node-dns.ts';
import { claimSlot, networkOf, slotOf, type ClusterNetwork } from './networks.ts';
import { pathsOf, type ClusterPaths } from './paths.ts';
import { portFree } from './ports.ts';
import { openNodeEndpoint, realNodeName, removeRealNode, startRealNode, type RealNode } from './real-node.ts';
import { removeIfEmpty } from './user-kubeconfig.ts';
import { removeState, runningState, writeState } from './state-file.ts';
import { startTicksOf } from '../host/processes.ts';

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
const LONGEST_NAME = 40;

export async function agent(flags: Flags, context: ComponentContext): Promise<void> {
  if (flags.flag('cleanup')) return cleanUp(flags, context);
  const access = accessOf(flags);
  const nodeName = nodeNameOf(flags, access);
  const paths = agentPaths(flags, nodeName);
  const port = flags.port('port');
  const config = configOf(flags);
  if ((flags.text('tls-cert-file') === undefined) !== (flags.text('tls-private-key-file') === undefined))
    throw new UserError('--tls-cert-file and --tls-private-key-file go together: name both');
  const running = runningState(paths.stateFile);
  if (running) throw new UserError(`the agent of node ${nodeName} runs already as process ${running.pid}`);
  if (!(await portFree(port)))
    throw new UserError(`port ${port} is taken by another program: end it, or choose another with --port`);
  writableFolder(paths.data, 'name another folder with --data-dir');
  await chooseNodes('real', paths.data, logSteps(context));
  const identity = keptIdentity({ env: context.env, nodeName, dir: paths.pki }, access);
  const run = async (connection: ComponentClient) => {
    const network = await networkFor(flags, connection.client, paths, context);
    writeFileSync(clusterCidrFile(paths), network.podCidr);
    const nodeIP = flags.ipv4('node-ip') ?? (await addressTowards(access.server));
    await runAgent({ flags, connection, nodeName, nodeIP, paths, network, port, config }, context);
  };
  await withClient(flags, 'kubelet', context, run, identity);
}

interface AgentOptions {
  readonly flags: Flags;
  readonly connection: ComponentClient;
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly paths: ClusterPaths;
  readonly network: ClusterNetwork & { readonly dnsDomain: string };
  readonly port: number;
  readonly config: Partial<KubeletConfig>;
}

async function runAgent(options: AgentOptions, { env, signal }: ComponentContext): Promise<void> {
  const { flags, connection, nodeName, nodeIP, paths, network, port, config } = options;
  const { client, access } = connection;
  const node = await startRealNode({
    env,
    cluster: clusterNameOf(nodeName),
    paths,
    network,
    nodeIP,
    clusterDomain: network.dnsDomain,
    config: { ...config, nodeName },
  });
  const state = { name: nodeName, pid: process.pid, startTicks: startTicksOf(process.pid) ?? '', dataDir: paths.data };
  const where = { port, server: access.server, nodes: 'real', slot: network.slot, startedAt: Date.now() } as const;
  writeState(paths.stateFile, { ...state, ...where, ready: true });
  env.log.info('the node runs', { node: nodeName, address: nodeIP, server: access.server });
  const ended = new AbortController();
  const over = AbortSignal.any([signal, ended.signal]);
  let endpoint: Promise<Listener | undefined> = Promise.resolve(undefined);
  const onRunning = () => {
    endpoint = serve(options, node, { env, signal: over });
    void keepIdentity({ env, nodeName, dir: paths.pki }, connection, { signal: over });
    endpoint.catch((error: unknown) => !over.aborted && env.log.error('the node has no endpoint', { error }));
  };
  let dns: Promise<DnsServer> | undefined;
  const onNetwork = (address: string) => {
    // Told below when it never answered.
    void dns?.then(
      (before) => before.close().catch((error: unknown) => env.log.warn('cannot close cluster DNS', { error })),
      () => undefined,
    );
    dns = startOwnDns({ env, client, nodeName, address, domain: network.dnsDomain }, { signal: over });
    dns.catch((error: unknown) => over.aborted || env.log.error('the node does not answer for cluster DNS', { error }));
  };
  const proxy = flags.flag('disable-kube-proxy') ? undefined : client;
  try {
    await node.run({ kubelet: client, proxy, port, onRunning, onNetwork }, { signal });
  } finally {
    ended.abort(new Error('the agent ends'));
    await endpoint.then((listener) => listener?.close(1000)).catch(() => {});
    node.containerd.release();
    removeState(paths.stateFile);
  }
}

/** Opens the node's endpoint with a certificate from flags or, once the cluster has signed one, with that. */
async function serve(options: AgentOptions, node: RealNode, context: ComponentContext): Promise<Listener> {
  const { flags, connection, nodeName, nodeIP, paths, port } = options;
  const { env } = context;
  const { client, access } = connection;
  const given = flags.file('tls-cert-file');
  const ca = access.ca ?? '';
  const wanted = { env, client, use: 'serving' as const, nodeName, names: [nodeName, nodeIP], dir: paths.pki, ca };
  const certificate: NodeCertificate = given
    ? { cert: given, key: flags.file('tls-private-key-file')! }
    : await nodeCertificate(wanted, context);
  const host = flags.ipv4('address');
  const clientCa = flags.file('client-ca-file') ?? ca;
  const listener = await openNodeEndpoint({ env, node, client, host, port, ...certificate, clientCa });
  if (!given) {
    const use = ({ cert, key }: NodeCertificate) => listener.setCertificate(cert, key);
    renewNodeCertificate(wanted, certificate, use, context).catch((error: unknown) => {
      if (!context.signal.aborted) env.log.error("the node's serving certificate is not renewed any more", { error });
    });
  }
  return listener;
}

/** As its certificate says; else as told; else as the machine is called. */
function nodeNameOf(flags: Flags, access: ClusterAccess): string {
  const told = flags.text('hostname-override');
  const own = access.cert && /^CN=system:node:(.*)$/m.exec(new X509Certificate(access.cert).subject)?.[1];
  if (own && told && own !== told)
    throw flags.refuse(
      'hostname-override',
      `the kubeconfig is for node ${own}: leave the flag out, or get one for ${told}`,
    );
  const name = told ?? own ?? realNodeName();
  const [fault] = dns1123Subdomain(name);
  if (fault) throw new UserError(`${name} can be no node's name: ${fault}`);
  return name;
}

/** No cluster's name has a dot. Short enough for the paths of sockets. */
function clusterNameOf(nodeName: string): string {
  if (nodeName.length <= LONGEST_NAME) return `node.${nodeName}`;
  return `node.${createHash('sha256').update(nodeName).digest('hex').slice(0, 16)}`;
}

const agentPaths = (flags: Flags, nodeName: string): ClusterPaths =>
  pathsOf({ name: clusterNameOf(nodeName), dataDir: flags.text('data-dir') });

function configOf(flags: Flags): Partial<KubeletConfig> {
  const labels = flags.pairs('node-labels');
  for (const [key, value] of Object.entries(labels)) {
    const [fault] = [...qualifiedName(key), ...labelValue(value)];
    if (fault) throw flags.refuse('node-labels', `${key}=${value}: ${fault}`);
  }
  const taints = flags.words('register-with-taints').map((word) => {
    const [, key = '', value, effect = ''] = /^([^=:]+)(?:=([^:]*))?:(.+)$/.exec(word) ?? [];
    if (qualifiedName(key).length || !EFFECTS.includes(effect))
      throw flags.refuse('register-with-taints', `write it like dedicated=db:NoSchedule, with ${EFFECTS.join(', ')}`);
    return { key, ...(value ? { value } : {}), effect };
  });
  return {
    labels,
    taints,
    maxPods: flags.count('max-pods', 1, 10_000),
    allowedUnsafeSysctls: flags.words('allowed-unsafe-sysctls'),
  };
}

/** The cluster's ranges: as told, else as the server publishes them, with a bridge of this machine's. */
async function networkFor(flags: Flags, client: Client, paths: ClusterPaths, { env, signal }: ComponentContext) {
  const asked = ['cluster-cidr', 'service-cluster-ip-range', 'cluster-dns', 'cluster-domain'];
  const info = asked.every((name) => flags.given(name)) ? {} : await published(client, { env, signal });
  const read = (name: string, known: string | undefined, usual: string) =>
    flags.given(name) ? flags.block(name).text : (known ?? usual);
  const usual = networkOf(0);
  return {
    ...networkOf(claimSlot(paths)),
    podCidr: read('cluster-cidr', info.podSubnet, usual.podCidr),
    serviceCidr: read('service-cluster-ip-range', info.serviceSubnet, usual.serviceCidr),
    dnsIp: flags.ipv4('cluster-dns') ?? info.clusterDNS ?? usual.dnsIp,
    dnsDomain: flags.text('cluster-domain') ?? info.dnsDomain ?? 'cluster.local',
  };
}

/** Waits for a server that is not there yet; one that tells nothing is not ours. */
async function published(client: Client, { env, signal }: ComponentContext) {
  for (;;) {
    try {
      return await readJoinInfo(client);
    } catch (error) {
      const { code, message } = error as Error & { code?: unknown };
      signal.throwIfAborted();
      if (code === 401) throw new UserError(`the server does not accept the node's credentials: ${message}`);
      if (code === 403 || code === 404) {
        env.log.warn('the cluster does not tell its address ranges: the flags and the usual ones count', { message });
        return {};
      }
      await sleep(env, 1000, { signal });
    }
  }
}

/** The address of this machine that the server sees. */
function addressTowards(server: string): Promise<string> {
  const { hostname, port } = new URL(server);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const probe = createSocket(isIP(host) === 6 ? 'udp6' : 'udp4');
    const fail = (error: Error) => reject(new UserError(`no way to ${server}: ${error.message}`));
    probe.once('error', fail);
    probe.connect(Number(port) || 443, host, () => {
      const { address } = probe.address();
      probe.close(() => resolve(address));
    });
  });
}

/** Remembered for the day it is cleaned up: tells this cluster's routes. */
const clusterCidrFile = (paths: ClusterPaths) => join(paths.data, 'cluster-cidr');

/** Ends the agent and takes everything of the node off the machine. */
async function cleanUp(flags: Flags, { env }: ComponentContext): Promise<void> {
  const nodeName = flags.text('kubeconfig')
    ? nodeNameOf(flags, accessOf(flags))
    : (flags.text('hostname-override') ?? realNodeName());
  const paths = agentPaths(flags, nodeName);
  const slot = slotOf(paths);
  if (slot === undefined) {
    env.log.info('there is nothing to clean up', { node: nodeName, data: paths.data });
    return;
  }
  await stopProcess(paths);
  const file = clusterCidrFile(paths);
  const podCidr = existsSync(file) ? readFileSync(file, 'utf8') : networkOf(slot).podCidr;
  await removeRealNode(env, clusterNameOf(nodeName), paths, { ...networkOf(slot), podCidr });
  for (const path of [
    paths.containerd,
    paths.kubelet,
    paths.podLogs,
    paths.pki,
    paths.logs,
    file,
    join(paths.data, 'slot'),
    paths.run,
  ])
    rmSync(path, { recursive: true, force: true });
  removeIfEmpty(paths.data);
  prune();
  env.log.info('cleaned up', { node: nodeName, data: paths.data });
}

function logSteps({ env }: ComponentContext): StepSink {
  return ({ name, seconds }) => env.log.info(name, seconds === undefined ? {} : { seconds });
}
