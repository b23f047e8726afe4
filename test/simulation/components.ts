// The processes around the API server: what each runs, and as whom.

import { builtinKinds } from '../../src/api/kinds/index.ts';
import type { Env } from '../../src/base/env.ts';
import { createInformerFactory } from '../../src/client/create-informer.ts';
import { runLeaderElection } from '../../src/client/leader-election.ts';
import { CONTROLLER_MANAGER, LOOPBACK, nodeUser, SCHEDULER } from '../../src/cluster/identities.ts';
import { runControllerManager } from '../../src/cluster/run-controllers.ts';
import { podAddress, simulatedConfig } from '../../src/cluster/simulated-config.ts';
import { controllersOf } from '../../src/controllers/index.ts';
import { runSimulatedNodes } from '../../src/kubelet/simulated-node.ts';
import type { PodBehaviour } from '../../src/kubelet/simulated-pod.ts';
import { runScheduler } from '../../src/scheduler/scheduler.ts';
import type { Link } from './link.ts';
import type { ProcessClock } from './process-clock.ts';

export interface Process {
  readonly name: string;
  readonly env: Env;
  readonly clock: ProcessClock;
  readonly link: Link;
  readonly signal: AbortSignal;
  readonly behaviour: PodBehaviour;
  /** Controller managers that stand for election. */
  readonly managers: number;
  /** A number for the next address of a pod on this node: no two have the same, whichever process gave them. */
  readonly nextAddress: () => number;
  kill?: () => void;
}

export const nodes = ['node-1', 'node-2', 'node-3'] as const;
export const components: readonly string[] = ['manager-1', 'manager-2', 'scheduler', ...nodes];
/** Of each node. */
export const CPUS = 4;

/** Runs until the process is killed. */
export async function runComponent(process: Process): Promise<void> {
  const { name } = process;
  if (name === 'scheduler') return scheduler(process);
  if (name.startsWith('manager')) return manager(process, process.managers > 1);
  return kubelet(process, nodes.indexOf(name as (typeof nodes)[number]));
}

async function manager({ name, env, link, signal }: Process, elected: boolean): Promise<void> {
  // Controllers remember things: a new process knows nothing of the last one.
  const definitions = controllersOf({ kinds: builtinKinds, clusterCidr: '10.244.0.0/16' });
  const run = (context: { signal: AbortSignal }) =>
    runControllerManager({ env, definitions, clientOf: (user, agent) => link.client(user, agent) }, context);
  if (!elected) return run({ signal });
  const client = link.client(CONTROLLER_MANAGER, 'kube-controller-manager');
  const lease = { namespace: 'kube-system', name: 'kube-controller-manager' };
  await runLeaderElection({ client, env, identity: name, ...lease, signal }, run);
}

async function scheduler({ env, link, signal }: Process): Promise<void> {
  const client = link.client(SCHEDULER, 'kube-scheduler');
  await runScheduler({ client, env, informers: createInformerFactory({ client, env }, { signal }) }, { signal });
}

async function kubelet({ name, env, link, signal, behaviour, nextAddress }: Process, index: number): Promise<void> {
  // One watch of all pods serves the simulated nodes of a process; a kubelet's own rights cover only its pods.
  const informers = createInformerFactory({ client: link.client(LOOPBACK, 'simulator'), env }, { signal });
  const node = {
    config: simulatedConfig({ name, index }),
    client: link.client(nodeUser(name), 'kubelet'),
    machine: { cpus: CPUS },
  };
  await runSimulatedNodes(
    { env, informers, nodes: [node], behaviour, podIP: () => podAddress(index, nextAddress()) },
    { signal },
  );
}
