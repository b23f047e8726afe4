// A whole cluster in one process: what `coracle up --foreground` runs. Containers outlive it; `coracle down` takes them away.

import { mkdirSync, writeFileSync } from 'node:fs';
import { Node } from '../api/kinds/core/node.ts';
import type { NodeApi } from '../api/node-api.ts';
import type { Env } from '../base/env.ts';
import type { StepSink } from '../cli/platform.ts';
import { createInformer } from '../client/create-informer.ts';
import type { DnsServer } from '../host/dns-server.ts';
import { kubeconfigText } from '../host/kubeconfig.ts';
import type { KeyPair } from '../host/pki.ts';
import { giveAddress } from '../host/cni.ts';
import { LOOPBACK_ADDRESS, machineAddress } from './api-front.ts';
import { keepRenewed } from './certificate-renewal.ts';
import { LOOPBACK, nodeUser, PROXY } from './identities.ts';
import { dnsAnswers, startNodeDns } from './node-dns.ts';
import { contextOf } from './manager.ts';
import { claimSlot, networkOf, type ClusterNetwork } from './networks.ts';
import type { ClusterPaths } from './paths.ts';
import { openNodeEndpoint, startRealNode, type RealNode } from './real-node.ts';
import { startServer, type RunningServer } from './server.ts';
import { simulatedNode } from './simulated-nodes.ts';
import { applyDnsService, installDnsPods } from './addons.ts';
import { writeState } from './state-file.ts';
import { startTicksOf } from '../host/processes.ts';
import { refreshUserKubeconfig } from './user-kubeconfig.ts';

export const CLUSTER_DOMAIN = 'cluster.local';

export interface RunClusterOptions {
  readonly env: Env;
  readonly name: string;
  readonly paths: ClusterPaths;
  readonly port: number;
  readonly store: 'memory' | 'disk';
  readonly nodes: 'real' | 'simulated';
  readonly nodeCount: number;
  readonly wait: boolean;
}

export interface RunningCluster {
  /** Resolves when everything has ended after the signal aborted. */
  readonly ended: Promise<void>;
}

/** Resolves once the nodes are Ready and cluster DNS answers (or, without `wait`, once the API answers). */
export async function startCluster(
  options: RunClusterOptions,
  steps: StepSink,
  { signal }: { signal: AbortSignal },
): Promise<RunningCluster> {
  const { env, name, paths, nodes } = options;
  for (const dir of [paths.data, paths.logs, paths.run]) mkdirSync(dir, { recursive: true });
  const network = networkOf(claimSlot(paths));
  const timed = stepTimer(env, steps);
  const nodeIP = await nodeAddress(options, network);
  const base = { env, cluster: name, paths, network, nodeIP, clusterDomain: CLUSTER_DOMAIN };
  const realNode = nodes === 'real' ? timed('containerd', startRealNode(base)) : undefined;
  realNode?.catch(() => {});
  const startedAt = Date.now();
  const apis = new Map<string, NodeApi>();
  const server = await timed('API server', startApi(options, { network, apis, nodeIP, signal }));
  const admin = server.pki.admin();
  writeAdminKubeconfig(options, server, admin);
  const use = async (pair: KeyPair) => {
    writeAdminKubeconfig(options, server, pair);
    await refreshUserKubeconfig(env, contextOf(name), paths.adminKubeconfig);
  };
  keepRenewed({ env, what: 'admin', make: () => server.pki.admin(), use }, admin, { signal });
  const state = {
    name,
    pid: process.pid,
    startTicks: startTicksOf(process.pid) ?? '',
    dataDir: paths.data,
    port: server.listener.port,
    server: server.url,
    nodes,
    slot: network.slot,
    startedAt,
  };
  writeState(paths.stateFile, { ...state, ready: false });
  const real = await realNode;
  const kubeletRuns = Promise.withResolvers<void>();
  const onRunning = kubeletRuns.resolve;
  const dns = real && clusterDns(options, { server, network, node: real, signal });
  const running = real
    ? [runReal(real, { env, server, apis, signal, nodeIP, onRunning, onNetwork: dns!.onNetwork })]
    : runSimulated(options, env, server, signal);
  for (const part of running) part.catch((error: unknown) => env.log.error('a node ended with an error', { error }));
  const answers = dns && timed('cluster DNS answers', dns.answers);
  answers?.catch((error: unknown) => signal.aborted || env.log.error('no cluster DNS', { error }));
  if (options.wait) {
    const count = real ? 1 : options.nodeCount;
    await Promise.all([
      // A node of earlier is Ready already in the store: it is its kubelet that counts.
      timed(
        count === 1 ? 'node Ready' : 'nodes Ready',
        Promise.all([nodesReady(server, env, count, signal), real && Promise.race([kubeletRuns.promise, ...running])]),
      ),
      answers,
    ]);
  }
  writeState(paths.stateFile, { ...state, ready: true });
  const ended = Promise.all([server.ended, ...running.map((part) => part.catch(() => {}))]).then(() =>
    real?.containerd.release(),
  );
  return { ended };
}

/** `answers` resolves once its Deployment is applied and the Service's address answers; it does not wait for the pod. */
function clusterDns(
  { env, paths }: RunClusterOptions,
  parts: {
    readonly server: RunningServer;
    readonly network: ClusterNetwork;
    readonly node: RealNode;
    readonly signal: AbortSignal;
  },
): { readonly answers: Promise<void>; onNetwork(address: string): void } {
  const { server, network, node, signal } = parts;
  const { promise: serving, resolve, reject } = Promise.withResolvers<void>();
  const client = server.plane.clientOf(LOOPBACK, 'coracle-addons');
  const domain = CLUSTER_DOMAIN;
  const installed = applyDnsService(client, network.dnsIp).then(() =>
    installDnsPods({ env, client, domain, containerd: node.containerd, paths, nodeName: node.name }),
  );
  let before: Promise<DnsServer> | undefined;
  return {
    answers: Promise.all([installed, serving]).then(() => dnsAnswers(env, network.dnsIp, domain, { signal })),
    onNetwork(address) {
      // Told below when it never answered.
      void before?.then(
        (server) => server.close().catch((error: unknown) => env.log.warn('cannot close cluster DNS', { error })),
        () => undefined,
      );
      before = startNodeDns({ env, client, nodeName: node.name, address, domain }, { signal });
      before.then(
        () => resolve(),
        (error: unknown) => {
          if (!signal.aborted) env.log.error('the node does not answer for cluster DNS', { error });
          reject(error);
        },
      );
    },
  };
}

/** A machine with nothing but loopback gets an address of its own: pods could reach nobody at 127.0.0.1. */
async function nodeAddress({ nodes }: RunClusterOptions, { bridge, loneAddress }: ClusterNetwork): Promise<string> {
  const address = machineAddress();
  if (nodes === 'simulated' || address !== LOOPBACK_ADDRESS) return address;
  await giveAddress(bridge, loneAddress);
  return loneAddress;
}

interface ApiContext {
  readonly network: ClusterNetwork;
  readonly apis: ReadonlyMap<string, NodeApi>;
  readonly nodeIP: string;
  readonly signal: AbortSignal;
}

function startApi(options: RunClusterOptions, { network, apis, nodeIP, signal }: ApiContext): Promise<RunningServer> {
  const { env, paths, store, port } = options;
  return startServer(
    {
      env,
      dataDir: paths.data,
      store,
      advertiseAddress: nodeIP,
      bindAddress: '0.0.0.0',
      port,
      serviceCidr: network.serviceCidr,
      clusterCidr: network.podCidr,
      clusterDomain: CLUSTER_DOMAIN,
      clusterDns: network.dnsIp,
      localNode: (nodeName) => apis.get(nodeName),
    },
    { signal },
  );
}

function writeAdminKubeconfig(
  { name, paths }: RunClusterOptions,
  { url, pki }: RunningServer,
  { cert, key }: KeyPair,
): void {
  const text = kubeconfigText({ name: contextOf(name), server: url, ca: pki.ca, cert, key });
  writeFileSync(paths.adminKubeconfig, text, { mode: 0o600 });
}

function stepTimer(env: Env, steps: StepSink) {
  return async <T>(name: string, work: Promise<T>): Promise<T> => {
    const began = env.clock.monotonic();
    const result = await work;
    steps({ name, seconds: (env.clock.monotonic() - began) / 1000 });
    return result;
  };
}

interface NodeContext {
  readonly env: Env;
  readonly server: RunningServer;
  readonly apis: Map<string, NodeApi>;
  readonly signal: AbortSignal;
  readonly nodeIP: string;
  readonly onRunning: () => void;
  readonly onNetwork: (address: string) => void;
}

const KUBELET_PORT = 10_250;

/** The server of this process calls the node directly; the endpoint is for everybody else. */
async function runReal(node: RealNode, context: NodeContext): Promise<void> {
  const { env, server, apis, signal, nodeIP, onRunning, onNetwork } = context;
  const { plane, pki } = server;
  apis.set(node.name, node.api);
  const kubelet = plane.clientOf(nodeUser(node.name), 'kubelet');
  const make = () => pki.kubeletServing(node.name, [node.name, nodeIP]);
  const serving = make();
  const { cert, key } = serving;
  const open = (port: number) => openNodeEndpoint({ env, node, client: kubelet, port, cert, key, clientCa: pki.ca });
  // Another node of this machine has the port: then this one has any other.
  const endpoint = await open(KUBELET_PORT).catch(() => open(0));
  const use = (pair: KeyPair) => endpoint.setCertificate(pair.cert, pair.key);
  keepRenewed({ env, what: 'kubelet', make, use }, serving, { signal });
  try {
    await node.run(
      { kubelet, proxy: plane.clientOf(PROXY, 'kube-proxy'), port: endpoint.port, onRunning, onNetwork },
      { signal },
    );
  } finally {
    await endpoint.close(1000);
  }
}

function runSimulated(
  options: RunClusterOptions,
  env: Env,
  { plane }: RunningServer,
  signal: AbortSignal,
): Promise<void>[] {
  return Array.from({ length: options.nodeCount }, (_, index) => {
    const node = simulatedNode(
      { name: `simulated-${index + 1}`, index },
      { env, clientOf: (user, agent) => plane.clientOf(user, agent) },
    );
    return node.run({ signal });
  });
}

/** Resolves once `count` nodes are Ready. */
async function nodesReady({ plane }: RunningServer, env: Env, count: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const stop = new AbortController();
  const informer = createInformer(
    Node,
    { client: plane.clientOf(LOOPBACK, 'coracle'), env },
    { signal: AbortSignal.any([signal, stop.signal]) },
  );
  informer.synced.catch(() => {});
  try {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      informer.on(() => {
        const ready = informer
          .list()
          .filter((n) => n.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'));
        if (ready.length >= count) resolve();
      });
      if (count === 0) resolve();
    });
  } finally {
    stop.abort(new Error('done'));
  }
}
