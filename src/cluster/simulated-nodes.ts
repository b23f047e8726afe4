// Nodes whose containers only live in the Env's time: the real kubelet over the simulated runtime.

import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { kubeletConfig, type KubeletConfig } from '../kubelet/config.ts';
import { runKubelet } from '../kubelet/kubelet.ts';
import { MemoryHost } from '../kubelet/memory-host.ts';
import { SimulatedRuntime, type Scenario } from '../kubelet/simulated-runtime.ts';
import { nodeUser } from './identities.ts';
import { KUBERNETES_VERSION } from './kubernetes-version.ts';

/** Where the Service kube-dns would be. */
const CLUSTER_DNS = '10.96.0.10';

/** Marks a node that runs nothing. */
export const SIMULATED_LABEL = 'coracle.dev/simulated';

export interface SimulatedNodeOptions {
  readonly name: string;
  /** Tells nodes' addresses apart: pods of node n get 10.x.y.*. */
  readonly index: number;
  readonly scenario?: Scenario;
  readonly config?: Partial<KubeletConfig>;
  /** Events of pods cost a write each; a large simulation may do without. */
  readonly quiet?: boolean;
}

export interface SimulatedNode {
  readonly name: string;
  readonly runtime: SimulatedRuntime;
  readonly host: MemoryHost;
  /** Runs until the signal aborts. */
  run(context: { signal: AbortSignal }): Promise<void>;
}

/** Nothing in a simulated container reads its token. */
const noToken = async () => ({ token: 'simulated', refreshAt: Infinity });

const address = (base: number, index: number, n: number) => {
  const value = index * 256 + (n % 256);
  return `${base}.${(value >> 16) & 255}.${(value >> 8) & 255}.${value & 255}`;
};

/** The n-th address of a node's pods, both from 0 on. */
export const podAddress = (index: number, n: number) => address(10, index + 0x8000, n + 1);

export function simulatedConfig(options: Pick<SimulatedNodeOptions, 'name' | 'index' | 'config'>): KubeletConfig {
  return kubeletConfig({
    nodeName: options.name,
    nodeIPs: [address(172, options.index + 0x1000, 1)],
    manageCgroups: false,
    port: 0,
    clusterDNS: [CLUSTER_DNS],
    version: KUBERNETES_VERSION,
    ...options.config,
    labels: { [SIMULATED_LABEL]: 'true', ...options.config?.labels },
  });
}

export function simulatedNode(
  options: SimulatedNodeOptions,
  { env, clientOf }: { readonly env: Env; readonly clientOf: (user: UserInfo, userAgent: string) => Client },
): SimulatedNode {
  const { name, index, scenario, quiet } = options;
  const runtime = new SimulatedRuntime({
    env,
    podIP: (n) => address(10, index + 0x8000, n),
    ...(scenario ? { scenario } : {}),
  });
  const host = new MemoryHost({ machine: { hostname: name }, forgetful: true, prober: runtime.prober });
  const config = simulatedConfig(options);
  return {
    name,
    runtime,
    host,
    async run({ signal }) {
      const client = clientOf(nodeUser(name), 'kubelet');
      const nodeEnv = { ...env, log: env.log.child('kubelet', { node: name }) };
      const informers = createInformerFactory({ client, env: nodeEnv }, { signal });
      const deps = { client, env: nodeEnv, config, runtime, host, informers, token: noToken };
      await runKubelet(
        {
          ...deps,
          ...(quiet ? { record: () => {} } : {}),
        },
        { signal },
      );
    },
  };
}
