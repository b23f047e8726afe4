// A node with real containers: containerd, the pod network, the kubelet and the service proxy of this machine.

import { hostname } from 'node:os';
import { join } from 'node:path';
import type { NodeApi } from '../api/node-api.ts';
import { Node } from '../api/kinds/core/node.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { podNetwork } from '../host/cni.ts';
import { startContainerd, type NodeContainerd } from '../host/containerd/start.ts';
import { kubeletHost, prepareMemoryDirectory } from '../host/kubelet-host.ts';
import type { LeftoverOptions } from '../host/leftovers.ts';
import { NftablesSink } from '../host/nftables.ts';
import { tearDownNode, type NodeParts } from '../host/node-teardown.ts';
import { kubeletConfig, type KubeletConfig } from '../kubelet/config.ts';
import { runKubelet, type KubeletPods } from '../kubelet/kubelet.ts';
import { createNodeApi } from '../kubelet/node-api.ts';
import { runProxy } from '../proxy/proxy.ts';
import { KUBERNETES_VERSION } from './kubernetes-version.ts';
import type { ClusterNetwork } from './networks.ts';
import { runRoot, type ClusterPaths } from './paths.ts';

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
      sysctls: { dir: join(runRoot(), 'sysctls'), owner: cluster },
    },
    sharedFolders: [paths.kubelet],
    tables: [`ip ${servicesTable(network)}`],
  };
}

function servicesSink(network: ClusterNetwork): NftablesSink {
  return new NftablesSink({
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
  await servicesSink(network).remove();
  await tearDownNode({ env, ...nodeParts(cluster, paths, network) });
}

export interface RealNode {
  readonly name: string;
  readonly containerd: NodeContainerd;
  /** Undefined until the kubelet runs. */
  api(): NodeApi | undefined;
  /** Runs kubelet and proxy until the signal aborts; the containers go on. */
  run(clients: NodeClients, context: { signal: AbortSignal }): Promise<void>;
}

export interface NodeClients {
  /** As system:node:<name>. */
  readonly kubelet: Client;
  /** As system:kube-proxy. */
  readonly proxy: Client;
}

/** Resolves once containerd answers; needs no API server, so both can start at the same time. */
export async function startRealNode(options: RealNodeOptions): Promise<RealNode> {
  const { env, cluster, paths, network } = options;
  const parts = nodeParts(cluster, paths, network);
  const pods = podNetwork(parts.network);
  const memoryDirectory = join(paths.kubelet, 'memory');
  const containerd = await startContainerd({
    env: { ...env, log: env.log.child('containerd') },
    dataDir: parts.dataDir,
    runDir: parts.runDir,
    logFile: parts.logFile,
    sharedFolders: [...parts.sharedFolders],
    hostPorts: pods,
  });
  await prepareMemoryDirectory(memoryDirectory);
  const name = options.config?.nodeName ?? realNodeName();
  const config = kubeletConfig({
    nodeIPs: [options.nodeIP],
    rootDirectory: paths.kubelet,
    memoryDirectory,
    logsDirectory: paths.podLogs,
    clusterDNS: [network.dnsIp],
    clusterDomain: options.clusterDomain,
    cgroupRoot: parts.cgroupRoot,
    version: KUBERNETES_VERSION,
    port: 0,
    ...options.config,
    nodeName: name,
  });
  let api: NodeApi | undefined;
  let running: KubeletPods | undefined;
  return {
    name,
    containerd,
    api: () => api,
    async run({ kubelet, proxy }, { signal }) {
      const kubeletEnv = { ...env, log: env.log.child('kubelet') };
      const informers = createInformerFactory({ client: kubelet, env: kubeletEnv }, { signal });
      // The node's part of the pod network is given by a controller, once the node has registered.
      informers.informer(Node, { fieldSelector: `metadata.name=${name}` }).on((node) => {
        const podCidr = node?.spec.podCIDR;
        if (!podCidr) return;
        pods
          .setRange({ podCidr, clusterCidr: network.podCidr })
          .then(() => running?.checkNode())
          .catch((error: unknown) => kubeletEnv.log.error('cannot set up the pod network', { error }));
      });
      const host = kubeletHost({ rootDirectory: paths.kubelet });
      const deps = { client: kubelet, env: kubeletEnv, config, runtime: containerd.runtime, host, informers };
      const proxyInformers = createInformerFactory({ client: proxy, env }, { signal });
      const onPods = (kubeletPods: KubeletPods) => {
        running = kubeletPods;
        api = createNodeApi({ ...deps, pods: kubeletPods });
        kubeletPods.checkNode();
      };
      await Promise.all([
        runKubelet({ ...deps, onPods }, { signal }),
        runProxy({ env, informers: proxyInformers, nodeName: name, sink: servicesSink(network) }, { signal }),
      ]);
    },
  };
}
