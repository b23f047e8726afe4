// A node with real containers: containerd, the pod network, the kubelet and the service proxy of this machine.

import { hostname } from 'node:os';
import { join } from 'node:path';
import { StatusError } from '../api/errors.ts';
import type { NodeApi } from '../api/node-api.ts';
import { Node } from '../api/kinds/core/node.ts';
import { sleep, type Env } from '../base/env.ts';
import { Metrics } from '../base/metrics.ts';
import type { Client } from '../client/client.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { gatewayOf, podNetwork, type PodNetwork } from '../host/cni.ts';
import { startContainerd, type NodeContainerd } from '../host/containerd/start.ts';
import { HealthPorts } from '../host/health-ports.ts';
import { kubeletHost, prepareMemoryDirectory } from '../host/kubelet-host.ts';
import type { LeftoverOptions } from '../host/leftovers.ts';
import { KernelRoutes } from '../host/kernel-routes.ts';
import type { Listener } from '../host/listener.ts';
import { NftablesSink } from '../host/nftables.ts';
import { nodeAccess } from '../host/node-access.ts';
import { serveNodeApi, type NodePage, type NodePages } from '../host/node-api-server.ts';
import { processMetrics } from '../host/process-metrics.ts';
import { headerInflater } from '../host/spdy-headers.ts';
import { tearDownNode, type NodeParts } from '../host/node-teardown.ts';
import { kubeletConfig, type KubeletConfig } from '../kubelet/config.ts';
import { runKubelet, type KubeletPods } from '../kubelet/kubelet.ts';
import { KubeletMetrics } from '../kubelet/kubelet-metrics.ts';
import { createNodeApi } from '../kubelet/node-api.ts';
import { resourceMetrics, type ResourceSources } from '../kubelet/resource-metrics.ts';
import { runPodRoutes } from '../proxy/pod-routes.ts';
import { runProxy } from '../proxy/proxy.ts';
import { streamHandler } from '../server/streams/handler.ts';
import { KUBERNETES_VERSION } from './kubernetes-version.ts';
import type { ClusterNetwork } from './networks.ts';
import { sysctlClaims, type ClusterPaths } from './paths.ts';

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface RealNodeOptions {
  readonly env: Env;
  /** The cluster's name. */
  readonly cluster: string;
  readonly paths: ClusterPaths;
  readonly network: ClusterNetwork;
  readonly nodeIP: string;
  readonly clusterDomain: string;
  readonly config?: Partial<KubeletConfig>;
}

export const realNodeName = () =>
  hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, '-')
    .replace(/^[.-]+|[.-]+$/g, '') || 'node';

const servicesTable = (network: ClusterNetwork) => `coracle_${network.bridge}_services`;

/** What a node has on the machine, running or not. */
export function nodeParts(cluster: string, paths: ClusterPaths, network: ClusterNetwork): NodeParts & LeftoverOptions {
  return {
    dataDir: paths.containerd,
    runDir: paths.run,
    logFile: join(paths.logs, 'containerd.log'),
    cgroupRoot: `/coracle-${cluster}`,
    network: {
      bridge: network.bridge,
      confDir: join(paths.run, 'cni'),
      dataDir: join(paths.run, 'pod-network'),
      sysctls: { dir: sysctlClaims(), owner: cluster },
    },
    sharedFolders: [paths.kubelet],
    tables: [`ip ${servicesTable(network)}`],
  };
}

function servicesSink(env: Env, network: ClusterNetwork): NftablesSink {
  const log = env.log.child('proxy');
  return new NftablesSink({
    warn: (message) => log.warn(message),
    table: servicesTable(network),
    podCidr: network.podCidr,
    serviceCidr: network.serviceCidr,
  });
}

/** Takes everything of the node off the machine, whatever is left of it. */
export async function removeRealNode(
  env: Env,
  cluster: string,
  paths: ClusterPaths,
  network: ClusterNetwork,
): Promise<void> {
  await servicesSink(env, network).remove();
  await new KernelRoutes(network.podCidr).clear();
  await tearDownNode({ env, ...nodeParts(cluster, paths, network) });
}

export interface RealNode {
  readonly name: string;
  readonly containerd: NodeContainerd;
  /** Fails with ServiceUnavailable until the kubelet runs. */
  readonly api: NodeApi;
  /** What its endpoint tells besides, by path. */
  readonly pages: NodePages;
  /** Runs kubelet, proxy and routes until the signal aborts; the containers go on. */
  run(options: RunNodeOptions, context: { signal: AbortSignal }): Promise<void>;
}

export interface RunNodeOptions {
  /** As system:node:<name>. */
  readonly kubelet: Client;
  /** As system:kube-proxy; without it somebody else runs the service proxy. */
  readonly proxy: Client | undefined;
  /** The port of the node's own endpoint, for others to know. */
  readonly port: number;
  /** Called once the node is registered and looks after its pods. */
  readonly onRunning?: () => void;
  /** Called when the pod network is there, and again when it has changed, with the node's address among its pods. */
  readonly onNetwork?: (address: string) => void;
}

/** Resolves once containerd answers; needs no API server, so both can start at the same time. */
export async function startRealNode(options: RealNodeOptions): Promise<RealNode> {
  const { env, cluster, paths, network } = options;
  const parts = nodeParts(cluster, paths, network);
  const pods = podNetwork(parts.network);
  const containerd = await startContainerd({
    env: { ...env, log: env.log.child('containerd') },
    dataDir: parts.dataDir,
    runDir: parts.runDir,
    logFile: parts.logFile,
    sharedFolders: [...parts.sharedFolders],
    hostPorts: pods,
  });
  await prepareMemoryDirectory(memoryDirectory(paths));
  const name = options.config?.nodeName ?? realNodeName();
  const { api, provide } = lateNodeApi(name);
  const metrics = new Metrics();
  processMetrics(metrics);
  const resources = lateResources(name);
  return {
    name,
    containerd,
    api,
    pages: new Map<string, () => NodePage | Promise<NodePage>>([
      ['/metrics', () => ({ contentType: METRICS_TYPE, text: metrics.text() })],
      ['/metrics/resource', async () => ({ contentType: METRICS_TYPE, text: await resources.read() })],
    ]),
    run: (run, context) =>
      runNode({ options, name, containerd, pods, provide, parts, metrics, resources }, run, context),
  };
}

/** Milliseconds; then the next regular look at the node tells. */
const NETWORK_PATIENCE = 5_000;

const memoryDirectory = (paths: ClusterPaths) => join(paths.kubelet, 'memory');

/** A NodeApi that is there before the kubelet is. */
function lateNodeApi(name: string): { readonly api: NodeApi; provide(api: NodeApi): void } {
  let real: NodeApi | undefined;
  const now = (): NodeApi => {
    if (!real) throw starting(name);
    return real;
  };
  return {
    provide: (api) => void (real = api),
    api: {
      check: async (...args) => now().check?.(...args),
      logs: async (...args) => now().logs(...args),
      exec: async (...args) => now().exec(...args),
      attach: async (...args) => now().attach(...args),
      portForward: async (...args) => now().portForward(...args),
    },
  };
}

/** Who uses how much, from the moment on that the kubelet knows. */
function lateResources(name: string) {
  let sources: ResourceSources | undefined;
  return {
    provide: (all: ResourceSources) => void (sources = all),
    async read(): Promise<string> {
      if (!sources) throw starting(name);
      return resourceMetrics(sources);
    },
  };
}

const starting = (name: string) =>
  new StatusError('ServiceUnavailable', `the kubelet of node ${JSON.stringify(name)} is starting`);

interface StartedNode {
  readonly options: RealNodeOptions;
  readonly name: string;
  readonly containerd: NodeContainerd;
  readonly pods: PodNetwork;
  readonly provide: (api: NodeApi) => void;
  readonly parts: NodeParts;
  readonly metrics: Metrics;
  readonly resources: ReturnType<typeof lateResources>;
}

async function runNode(node: StartedNode, run: RunNodeOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  const { options, name, containerd, pods, provide, resources } = node;
  const { env, network, paths } = options;
  const kubeletEnv = { ...env, log: env.log.child('kubelet') };
  const informers = createInformerFactory({ client: run.kubelet, env: kubeletEnv }, { signal });
  let running: KubeletPods | undefined;
  let address: string | undefined;
  // The node's part of the pod network is given by a controller, once the node has registered.
  informers.informer(Node, { fieldSelector: `metadata.name=${name}` }).on((own) => {
    const podCidr = own?.spec.podCIDR;
    if (!own) address = undefined;
    if (!podCidr) return;
    pods
      .setRange({ podCidr, clusterCidr: network.podCidr, serviceCidr: network.serviceCidr })
      .then(() => networkSeen(containerd, kubeletEnv, signal))
      .then(() => {
        running?.checkNode();
        if (address !== gatewayOf(podCidr)) run.onNetwork?.((address = gatewayOf(podCidr)));
      })
      .catch((error: unknown) => signal.aborted || kubeletEnv.log.error('cannot set up the pod network', { error }));
  });
  const config = nodeConfig(node, run.port);
  const host = kubeletHost({ rootDirectory: paths.kubelet, containerdSocket: containerd.paths.socket });
  const metrics = new KubeletMetrics(node.metrics, name);
  const runtime = metrics.counted(containerd.runtime, env.clock);
  const deps = { client: run.kubelet, env: kubeletEnv, config, runtime, host, informers, metrics };
  const onPods = (kubeletPods: KubeletPods) => {
    running = kubeletPods;
    provide(createNodeApi({ ...deps, pods: kubeletPods }));
    resources.provide({ pods: kubeletPods, runtime, host });
    kubeletPods.checkNode();
    run.onRunning?.();
  };
  const routes = new KernelRoutes(network.podCidr);
  await Promise.all([
    runKubelet({ ...deps, onPods }, { signal }),
    runPodRoutes({ env, informers, nodeName: name, sink: routes }, { signal }),
    run.proxy && runServiceProxy(node, run.proxy, { signal }),
  ]);
}

/** containerd watches for the network's configuration: a look at the node before that finds it not ready for ten seconds. */
async function networkSeen({ runtime }: NodeContainerd, env: Env, signal: AbortSignal): Promise<void> {
  const deadline = env.clock.monotonic() + NETWORK_PATIENCE;
  while (!(await runtime.info()).networkReady && env.clock.monotonic() < deadline) await sleep(env, 5, { signal });
}

function runServiceProxy({ options, name }: StartedNode, client: Client, context: { signal: AbortSignal }) {
  const { env, network } = options;
  const informers = createInformerFactory({ client, env }, context);
  const log = env.log.child('proxy');
  const health = new HealthPorts({ warn: (message) => log.warn(message) });
  return runProxy({ env, informers, nodeName: name, sink: servicesSink(env, network), health }, context);
}

function nodeConfig({ options, name, parts }: StartedNode, port: number): KubeletConfig {
  const { paths, network } = options;
  return kubeletConfig({
    nodeIPs: [options.nodeIP],
    rootDirectory: paths.kubelet,
    memoryDirectory: memoryDirectory(paths),
    logsDirectory: paths.podLogs,
    clusterDNS: [network.dnsIp],
    clusterDomain: options.clusterDomain,
    cgroupRoot: parts.cgroupRoot,
    version: KUBERNETES_VERSION,
    ...options.config,
    port,
    nodeName: name,
  });
}

export interface NodeEndpointOptions {
  readonly env: Env;
  readonly node: Pick<RealNode, 'name' | 'api' | 'pages'>;
  /** The kubelet's: asked who may do what. */
  readonly client: Client;
  readonly host?: string | undefined;
  readonly port: number;
  /** PEM, as are `key` and `clientCa`. */
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string;
}

/** Opens the node's own HTTPS endpoint, as upstream's kubelet has it on port 10250. */
export function openNodeEndpoint(options: NodeEndpointOptions): Promise<Listener> {
  const { node, client, host, port, cert, key, clientCa } = options;
  const env = { ...options.env, log: options.env.log.child('kubelet') };
  return serveNodeApi({
    env,
    node: node.api,
    pages: node.pages,
    access: nodeAccess({ env, nodeName: node.name, client }),
    streams: streamHandler({ env, inflater: headerInflater }),
    ...(host ? { host } : {}),
    port,
    cert,
    key,
    clientCa,
  });
}
