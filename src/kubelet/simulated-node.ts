// Many nodes without kubelets: one watch of all pods, and per pod the kubelet's own plan and status over containers
// that exist only as records. No runtime calls, no files, one status write where a pod starts at once: the cost of a pod
// is that of its API writes. For simulations of thousands of nodes; one node in detail is `runKubelet` over the
// simulated runtime.

import { Pod } from '../api/kinds/core/pod.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import type { InformerFactory } from '../client/informer.ts';
import type { KubeletConfig } from './config.ts';
import { MemoryHost } from './memory-host.ts';
import { NodeAgent } from './node-agent.ts';
import type { Machine } from './host.ts';
import { SimulatedPod, type PodBehaviour, type SimulatedPodHome } from './simulated-pod.ts';

export interface SimulatedNodeSpec {
  readonly config: KubeletConfig;
  /** Writes as this node: its Node, its Lease, the status of its pods. */
  readonly client: Client;
  readonly machine?: Partial<Machine>;
  /** Silences this node alone when it aborts, as when its machine is cut off. */
  readonly signal?: AbortSignal;
}

export interface SimulatedNodesDependencies {
  readonly env: Env;
  readonly nodes: readonly SimulatedNodeSpec[];
  /** Of a client that may read all pods. */
  readonly informers: InformerFactory;
  /** What the containers of a pod do: by its annotations unless told. */
  readonly behaviour?: PodBehaviour;
  /** The address of the n-th pod of a node, both from 0 on. */
  readonly podIP?: (node: number, n: number) => string;
}

/** More than run on any node. */
const MAX_PODS = 256;
const INFO = { name: 'simulated', version: '1.0.0', ready: true, networkReady: true, message: '' };

/** Registers all nodes and runs what is bound to them, until the signal aborts. */
export async function runSimulatedNodes(
  deps: SimulatedNodesDependencies,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const { env, nodes, informers } = deps;
  const homes = new Map<string, SimulatedPodHome>();
  const pods = new Map<string, SimulatedPod>();
  /** Addresses that pods have, also from before a restart. */
  const taken = new Set<string>();
  const agents = nodes.map(async (node, index) => {
    const own = node.signal ? AbortSignal.any([signal, node.signal]) : signal;
    const silence = () => {
      const home = homes.get(node.config.nodeName);
      homes.delete(node.config.nodeName);
      for (const [uid, pod] of pods) {
        if (pod.home !== home) continue;
        pod.close();
        pods.delete(uid);
      }
    };
    node.signal?.addEventListener('abort', silence, { once: true });
    try {
      await startNode(deps, node, { index, homes, taken, signal: own });
    } catch (error) {
      if (!node.signal?.aborted) throw error;
    }
  });
  const changed = (pod: Pod | undefined, old: Pod | undefined) => {
    if (old?.status?.podIP) taken.delete(old.status.podIP);
    if (pod?.status?.podIP) taken.add(pod.status.podIP);
    if (old && old.metadata.uid !== pod?.metadata.uid) {
      pods.get(old.metadata.uid!)?.close();
      pods.delete(old.metadata.uid!);
    }
    const home = pod?.spec.nodeName ? homes.get(pod.spec.nodeName) : undefined;
    if (!pod || !home) return;
    const known = pods.get(pod.metadata.uid!);
    if (known) known.update(pod);
    else pods.set(pod.metadata.uid!, new SimulatedPod(home, pod));
  };
  const all = informers.informer(Pod);
  const everybody = all.synced.then(() => {
    for (const { status } of all.list()) if (status?.podIP) taken.add(status.podIP);
    return all.on(changed);
  });
  try {
    await Promise.all([...agents, everybody]);
  } catch (error) {
    if (!signal.aborted) throw error;
    env.log.debug('simulated nodes have ended');
  } finally {
    await everybody.then(
      (unsubscribe) => unsubscribe(),
      () => undefined,
    );
    for (const pod of pods.values()) pod.close();
  }
}

async function startNode(
  { env, behaviour, podIP = defaultAddress }: SimulatedNodesDependencies,
  { config, client, machine }: SimulatedNodeSpec,
  place: {
    readonly index: number;
    readonly homes: Map<string, SimulatedPodHome>;
    readonly taken: ReadonlySet<string>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { index, homes, taken, signal } = place;
  const host = new MemoryHost({ machine: { hostname: config.nodeName, ...machine } });
  let used = 0;
  homes.set(config.nodeName, {
    env,
    client,
    config,
    signal,
    ...(behaviour ? { behaviour } : {}),
    address: () => {
      // A node that has given all away begins anew with those in use.
      for (let tries = 0; ; tries++) {
        const address = podIP(index, used++);
        if (!taken.has(address) || tries === MAX_PODS) return address;
      }
    },
  });
  const agent = new NodeAgent({
    env,
    client,
    config,
    runtime: { info: async () => INFO, listImages: async () => [] },
    host,
    machine: await host.machine(),
    record: () => {},
    signal,
  });
  await agent.register();
  await agent.run();
}

/** 10.x.y.z with 256 addresses a node, beginning anew when they are used up. */
function defaultAddress(node: number, n: number): string {
  return `10.${(node >> 8) & 255}.${node & 255}.${n & 255}`;
}
