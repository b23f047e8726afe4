// The processes around the API server: what each runs, and as whom.

import type { AnyKind } from '../../src/api/kind.ts';
import { Deployment } from '../../src/api/kinds/apps/deployment.ts';
import { ConfigMap } from '../../src/api/kinds/core/config-map.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import type { KubeObject } from '../../src/api/object.ts';
import type { Informer, InformerOptions } from '../../src/client/informer.ts';
import { builtinKinds } from '../../src/api/kinds/index.ts';
import type { Env } from '../../src/base/env.ts';
import { createInformerFactory } from '../../src/client/create-informer.ts';
import { runLeaderElection } from '../../src/client/leader-election.ts';
import { CONTROLLER_MANAGER, LOOPBACK, nodeUser, SCHEDULER } from '../../src/cluster/identities.ts';
import { runControllerManager } from '../../src/cluster/run-controllers.ts';
import { podAddress, simulatedConfig } from '../../src/cluster/simulated-config.ts';
import { controllersOf } from '../../src/controllers/index.ts';
import { runKubelet } from '../../src/kubelet/kubelet.ts';
import type { MemoryHost } from '../../src/kubelet/memory-host.ts';
import type { SimulatedRuntime } from '../../src/kubelet/simulated-runtime.ts';
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
  /** Whole kubelets over what runs on their machines, which outlives them; else records of pods. */
  readonly machine: Machine | undefined;
  /** What an observer sees. */
  views?: readonly SeenView[];
}

/** Of one node: its containers and files. */
export interface Machine {
  readonly runtime: SimulatedRuntime;
  readonly host: MemoryHost;
}

/** A part of the objects of a kind, as an informer has it. */
export interface SeenView {
  readonly kind: AnyKind;
  readonly filter: InformerOptions;
  readonly informer: Informer<KubeObject>;
}

export const nodes = ['node-1', 'node-2', 'node-3'] as const;
export const components: readonly string[] = ['manager-1', 'manager-2', 'scheduler', ...nodes, 'observer'];
/** Of each node. */
export const CPUS = 4;
/** What pods mount; nothing here speaks TLS. */
export const ROOT_CA = 'none\n';

/** Runs until the process is killed. */
export async function runComponent(process: Process): Promise<void> {
  const { name } = process;
  if (name === 'scheduler') return scheduler(process);
  if (name === 'observer') return observer(process);
  if (name.startsWith('manager')) return manager(process, process.managers > 1);
  return kubelet(process, nodes.indexOf(name as (typeof nodes)[number]));
}

async function manager({ name, env, link, signal }: Process, elected: boolean): Promise<void> {
  // Controllers remember things: a new process knows nothing of the last one.
  const definitions = controllersOf({ kinds: builtinKinds, clusterCidr: '10.244.0.0/16', rootCa: ROOT_CA });
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

const VIEWS: readonly (readonly [AnyKind, InformerOptions])[] = [
  [Pod, { labelSelector: 'app=app-0' }],
  [Pod, { labelSelector: 'app!=app-0', namespace: 'default' }],
  [Pod, { fieldSelector: 'spec.nodeName=node-1' }],
  [ConfigMap, { namespace: 'default' }],
  [Deployment, {}],
];

/** A client that only looks, through selectors of all sorts. */
async function observer(process: Process): Promise<void> {
  const { env, link, signal } = process;
  const client = link.client({ name: 'observer', groups: ['system:masters'] }, 'observer');
  const informers = createInformerFactory({ client, env }, { signal });
  process.views = VIEWS.map(([kind, filter]) => ({
    kind,
    filter,
    informer: informers.informer(kind, filter) as Informer<KubeObject>,
  }));
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function kubelet(process: Process, index: number): Promise<void> {
  const { name, env, link, signal, behaviour, nextAddress, machine } = process;
  if (machine) {
    const client = link.client(nodeUser(name), 'kubelet');
    const informers = createInformerFactory({ client, env }, { signal });
    const token = async () => ({ token: 'simulated', refreshAt: Infinity });
    const config = simulatedConfig({ name, index });
    return runKubelet({ client, env, config, ...machine, informers, token }, { signal });
  }
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
