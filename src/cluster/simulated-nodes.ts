// Nodes whose containers only live in the Env's time: the real kubelet over the simulated runtime.

import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import type { KubeletConfig } from '../kubelet/config.ts';
import { runKubelet } from '../kubelet/kubelet.ts';
import { MemoryHost } from '../kubelet/memory-host.ts';
import { SimulatedRuntime, type Scenario } from '../kubelet/simulated-runtime.ts';
import { nodeUser } from './identities.ts';
import { addressOf, simulatedConfig } from './simulated-config.ts';

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

export function simulatedNode(
  options: SimulatedNodeOptions,
  { env, clientOf }: { readonly env: Env; readonly clientOf: (user: UserInfo, userAgent: string) => Client },
): SimulatedNode {
  const { name, index, scenario, quiet } = options;
  const runtime = new SimulatedRuntime({
    env,
    podIP: (n) => addressOf(10, index + 0x8000, n),
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
