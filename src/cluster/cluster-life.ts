// One life of an embedded cluster: its control plane and nodes over a store, from a start to a stop. A restored or forked
// cluster is another life over a copy of the store.

import type { StatusError } from '../api/errors.ts';
import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import type { Logger } from '../base/log.ts';
import { Tracer } from '../base/trace.ts';
import { realClock } from '../base/real-env.ts';
import { seededRandom, VirtualClock, type SeededRandom } from '../base/virtual-clock.ts';
import type { Client } from '../client/client.ts';
import type { InformerFactory } from '../client/informer.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { secretSigner } from '../host/secret-signer.ts';
import { runSimulatedNodes } from '../kubelet/simulated-node.ts';
import type { ContainerBehaviour } from '../kubelet/simulated-behaviour.ts';
import { annotatedBehaviour } from '../kubelet/simulated-behaviour.ts';
import type { Authenticator } from '../server/authn/authenticator.ts';
import type { OperationHook } from '../server/pipeline.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { authentication } from './authentication.ts';
import { ChangeLog } from './change-log.ts';
import { createControlPlane, type ControlPlane } from './control-plane.ts';
import { CLUSTER_CIDR, HISTORY, NO_CERTIFICATE, type FirstMoment } from './first-moment.ts';
import { LOOPBACK, nodeUser } from './identities.ts';
import { podAddress, simulatedConfig } from './simulated-config.ts';
import type { simulatedNode, SimulatedNode } from './simulated-nodes.ts';

/** A container about to start. */
export interface SimulatedContainer {
  readonly name: string;
  readonly image: string;
  /** 0 for the first start, growing with each restart. */
  readonly attempt: number;
  readonly pod: {
    readonly namespace: string;
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
}

/** What containers do; undefined for what the pod's annotations `simulator.coracle.dev/*` say. */
export type Scenario = (container: SimulatedContainer) => ContainerBehaviour | undefined;

export interface LifeOptions {
  readonly nodes: number;
  readonly kubelet: 'simulated' | 'full';
  readonly time: 'virtual' | 'real';
  readonly seed: number;
  readonly scenario: Scenario | undefined;
  readonly controllers: string | undefined;
  readonly scheduler: boolean;
  readonly log: Logger;
  readonly freeze: boolean;
  readonly trace: boolean;
  /** For those who come by the port, once there is one. */
  readonly tokens: Map<string, UserInfo>;
  readonly observe: OperationHook | undefined;
  /** Between each client in this process and the server: for simulations that lose and delay messages. */
  readonly between: ((client: Client, user: UserInfo, userAgent: string) => Client) | undefined;
}

/** What a life leaves to the next. */
export interface Remains extends FirstMoment {
  readonly random: readonly number[];
  readonly secret: Uint8Array;
}

export class ClusterLife {
  readonly env: Env;
  readonly clock: VirtualClock | undefined;
  readonly plane: ControlPlane;
  readonly store: MemoryStore;
  readonly log: ChangeLog;
  /** Nodes with kubelets of their own. */
  nodes: readonly SimulatedNode[] = [];
  authenticator!: Authenticator;
  readonly #options: LifeOptions;
  /** Its system objects are those of the first moment: there is nothing to make. */
  readonly #new: boolean;
  readonly #random: SeededRandom;
  readonly #secret: Uint8Array;
  readonly #abort = new AbortController();
  readonly #running: Promise<unknown>[] = [];
  /** Running nodes by name, and how to stop each. */
  #pods: InformerFactory | undefined;
  readonly #nodes = new Map<string, () => Promise<void>>();

  /** Over what another life left, the first moment of all clusters, or (absent) nothing. */
  constructor(options: LifeOptions, before?: FirstMoment | Remains) {
    const remains = before && 'random' in before ? before : undefined;
    this.#options = options;
    this.#new = before !== undefined && remains === undefined;
    this.clock = options.time === 'real' ? undefined : new VirtualClock(before?.time);
    this.#random = seededRandom(options.seed, remains?.random);
    const clock = this.clock ?? realClock;
    const random = this.#random;
    const tracer = options.trace ? { tracer: new Tracer({ clock, random }) } : {};
    this.env = { clock, random, log: options.log, ...tracer };
    this.#secret = remains?.secret ?? this.#random.bytes(32);
    this.store = before?.store.fork() ?? new MemoryStore({ historyLimit: HISTORY });
    this.log = new ChangeLog(() => this.env.clock.now(), before?.log);
    this.log.follow(this.store);
    this.plane = createControlPlane({
      env: this.env,
      store: this.store,
      clusterCidr: CLUSTER_CIDR,
      handlers: (caches) => {
        const { authenticator, handlers } = authentication(caches, {
          env: this.env,
          signer: secretSigner(this.#secret),
          tokens: options.tokens,
        });
        this.authenticator = authenticator;
        return handlers;
      },
      rootCa: NO_CERTIFICATE,
      freeze: options.freeze,
      observe: (op, outcome) => {
        this.log.observe(op, outcome);
        options.observe?.(op, outcome);
      },
      ...(options.between ? { between: options.between } : {}),
      ...(options.controllers ? { selectControllers: options.controllers } : {}),
    });
  }

  async begin(): Promise<void> {
    const context = { signal: this.#abort.signal };
    if (this.#options.kubelet === 'full') this.nodes = await this.#fullNodes();
    // As any API server that starts, one that goes on from a moment makes what is missing of the system's objects.
    await (this.#new ? this.plane.resume() : this.plane.bootstrap());
    const { nodes, kubelet, scheduler } = this.#options;
    this.#watch(this.plane.runControllers(context));
    if (scheduler) this.#watch(this.plane.runScheduler(context));
    const indexes = Array.from({ length: nodes }, (_, index) => index);
    if (kubelet === 'full') for (const index of indexes) this.startNode(nodeName(index));
    else this.#startLight(indexes);
  }

  #watch<T>(running: Promise<T>): Promise<T> {
    this.#running.push(running);
    running.catch((error: unknown) => this.env.log.error('component ended', { error }));
    return running;
  }

  /** Starts a stopped node again: its containers are as they were. */
  startNode(name: string): void {
    const index = Number(name.replace(/^node-/, '')) - 1;
    if (nodeName(index) !== name || index >= this.#options.nodes) throw new Error(`there is no node ${name}`);
    if (this.#nodes.has(name)) throw new Error(`node ${name} is running`);
    if (this.#options.kubelet !== 'full') return this.#startLight([index]);
    const stop = new AbortController();
    const running = this.#watch(this.nodes[index]!.run({ signal: AbortSignal.any([stop.signal, this.#abort.signal]) }));
    this.#nodes.set(name, async () => {
      stop.abort(new Error(`node ${name} stopped`));
      await running.catch(() => {});
    });
  }

  /** Silences a node, as when its machine is cut off: its containers go on, its lease does not. */
  async stopNode(name: string): Promise<void> {
    const stop = this.#nodes.get(name);
    if (!stop) throw new Error(`node ${name} is not running`);
    this.#nodes.delete(name);
    await stop();
  }

  /** An error is what watchers who are not of this cluster are told. */
  async end(error?: StatusError): Promise<void> {
    this.#abort.abort(new Error('the cluster stopped'));
    await Promise.allSettled(this.#running);
    this.plane.close(error);
  }

  /** A copy that later changes do not touch. */
  remains(): Remains {
    return {
      store: this.store.fork(),
      log: new ChangeLog(() => 0, this.log),
      time: this.env.clock.now(),
      random: this.#random.state(),
      secret: this.#secret,
    };
  }

  #startLight(indexes: readonly number[]): void {
    if (indexes.length === 0) return;
    const { scenario } = this.#options;
    const context = { signal: this.#abort.signal };
    this.#pods ??= createInformerFactory(
      { client: this.plane.clientOf(LOOPBACK, 'simulator'), env: this.env },
      context,
    );
    const nodes = indexes.map((index) => {
      const config = simulatedConfig({ name: nodeName(index), index });
      const stop = new AbortController();
      const { nodeName: name } = config;
      this.#nodes.set(name, async () => stop.abort(new Error(`node ${name} stopped`)));
      return { config, client: this.plane.clientOf(nodeUser(name), 'kubelet'), signal: stop.signal };
    });
    const running = runSimulatedNodes(
      {
        env: this.env,
        informers: this.#pods,
        nodes,
        podIP: (node, n) => podAddress(indexes[node]!, n),
        ...(scenario
          ? {
              behaviour: (pod, container, attempt) => {
                const { namespace = '', name, labels = {}, annotations = {} } = pod.metadata;
                const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
                const image = all.find((c) => c.name === container)?.image ?? '';
                const own = scenario({
                  name: container,
                  image,
                  attempt,
                  pod: { namespace, name, labels, annotations },
                });
                return own ?? annotatedBehaviour({ name: container }, { annotations });
              },
            }
          : {}),
      },
      context,
    );
    this.#watch(running);
  }

  /** Only those who ask for whole kubelets load their code. */
  async #fullNodes(): Promise<readonly SimulatedNode[]> {
    const { simulatedNode } = await import('./simulated-nodes.ts');
    return Array.from({ length: this.#options.nodes }, (_, index) => this.#fullNode(simulatedNode, index));
  }

  #fullNode(make: typeof simulatedNode, index: number): SimulatedNode {
    const { scenario } = this.#options;
    return make(
      {
        name: nodeName(index),
        index,
        ...(scenario
          ? {
              scenario: (config, sandbox) => {
                const { pod, labels, annotations } = sandbox;
                const { name, image, attempt } = config;
                const of = { namespace: pod.namespace, name: pod.name, labels, annotations };
                return scenario({ name, image, attempt, pod: of }) ?? annotatedBehaviour(config, sandbox);
              },
            }
          : {}),
      },
      { env: this.env, clientOf: (user, agent) => this.plane.clientOf(user, agent) },
    );
  }
}

/** By its index, from 0 on. */
export const nodeName = (index: number) => `node-${index + 1}`;
