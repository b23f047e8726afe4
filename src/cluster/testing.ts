// `coracle/testing`: a whole cluster inside a test. The control plane and the kubelets are the real ones, the store is in
// memory, containers are simulated, and time stands still until the test moves it.

import type { AnyKind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import { silentLogger, type Logger } from '../base/log.ts';
import { realClock } from '../base/real-env.ts';
import { drainMicrotasks, seededRandom, VirtualClock } from '../base/virtual-clock.ts';
import type { Client } from '../client/client.ts';
import { MemoryStore } from '../store/memory-store.ts';
import type { Scenario } from '../kubelet/simulated-runtime.ts';
import { secretSigner } from '../host/token-signer.ts';
import type { OperationHook } from '../server/pipeline.ts';
import { authentication } from './authentication.ts';
import { createControlPlane, type ControlPlane } from './control-plane.ts';
import { LOOPBACK } from './identities.ts';
import { simulatedNode, type SimulatedNode } from './simulated-nodes.ts';
import { parseDuration } from './duration.ts';

export interface TestClusterOptions {
  /** Simulated nodes; 1 unless told. */
  readonly nodes?: number;
  /** `virtual` (the default): time moves by `advance` and `settle` only. `real`: the machine's clock. */
  readonly time?: 'virtual' | 'real';
  /** The same seed gives the same history. Taken at random, and told by `seed`, when absent. */
  readonly seed?: number;
  /** What containers do; by pod annotations `simulator.coracle.dev/*` unless told. */
  readonly scenario?: Scenario;
  /** Which controllers run, as upstream's --controllers; `*` unless told. */
  readonly controllers?: string;
  readonly scheduler?: boolean;
  readonly log?: Logger;
  /** Freezes objects that were read, so that code changing them fails; on unless told. */
  readonly freeze?: boolean;
  /** No events from nodes: for simulations of thousands. */
  readonly quiet?: boolean;
  /** Told of every operation that has ended, whoever asked. */
  readonly observe?: OperationHook;
}

/** What pods find in kube-root-ca.crt: nothing in this process speaks TLS. */
const NO_CERTIFICATE = 'an embedded cluster has no certificates\n';
/** The most virtual time `settle` lets pass: a cluster that is never quiet is a finding, not a hang. */
const SETTLE_LIMIT = 60 * 60_000;

export class TestCluster implements AsyncDisposable {
  /** As an administrator (system:masters). */
  readonly client: Client;
  readonly env: Env;
  readonly seed: number;
  readonly nodes: readonly SimulatedNode[];
  readonly #plane: ControlPlane;
  readonly #clock: VirtualClock | undefined;
  readonly #abort = new AbortController();
  readonly #running: Promise<unknown>[] = [];
  readonly #stopNode = new Map<string, () => Promise<void>>();

  private constructor(options: TestClusterOptions) {
    this.seed = options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.#clock = options.time === 'real' ? undefined : new VirtualClock();
    this.env = { clock: this.#clock ?? realClock, random: seededRandom(this.seed), log: options.log ?? silentLogger };
    this.#plane = createControlPlane({
      env: this.env,
      store: new MemoryStore(),
      clusterCidr: '10.244.0.0/16',
      handlers: (caches) =>
        authentication(caches, { env: this.env, signer: secretSigner(this.env.random.bytes(32)) }).handlers,
      rootCa: NO_CERTIFICATE,
      freeze: options.freeze ?? true,
      ...(options.controllers ? { selectControllers: options.controllers } : {}),
      ...(options.observe ? { observe: options.observe } : {}),
    });
    this.client = this.clientFor(LOOPBACK, 'test');
    this.nodes = Array.from({ length: options.nodes ?? 1 }, (_, index) =>
      simulatedNode(
        {
          name: `node-${index + 1}`,
          index,
          ...(options.scenario ? { scenario: options.scenario } : {}),
          ...(options.quiet ? { quiet: true } : {}),
        },
        { env: this.env, clientOf: (user, agent) => this.clientFor(user, agent) },
      ),
    );
  }

  /** A running cluster whose nodes are Ready. */
  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    await cluster.#begin(options);
    return cluster;
  }

  async #begin(options: TestClusterOptions): Promise<void> {
    const context = { signal: this.#abort.signal };
    await this.#plane.bootstrap();
    this.#running.push(this.#plane.runControllers(context));
    if (options.scheduler !== false) this.#running.push(this.#plane.runScheduler(context));
    for (const running of this.#running) this.#report(running);
    for (const node of this.nodes) this.startNode(node.name);
    await this.settle();
  }

  #report(running: Promise<unknown>): void {
    running.catch((error: unknown) => this.env.log.error('component ended', { error }));
  }

  /** Starts a stopped node again: its containers are as they were. */
  startNode(name: string): void {
    const node = this.nodes.find((n) => n.name === name);
    if (!node) throw new Error(`there is no node ${name}`);
    if (this.#stopNode.has(name)) throw new Error(`node ${name} is running`);
    const stop = new AbortController();
    const running = node.run({ signal: AbortSignal.any([stop.signal, this.#abort.signal]) });
    this.#running.push(running);
    this.#report(running);
    this.#stopNode.set(name, async () => {
      stop.abort(new Error(`node ${name} stopped`));
      await running.catch(() => {});
    });
  }

  /** Silences a node's kubelet, as when the machine is cut off: its containers go on, its lease does not. */
  async stopNode(name: string): Promise<void> {
    const stop = this.#stopNode.get(name);
    if (!stop) throw new Error(`node ${name} is not running`);
    this.#stopNode.delete(name);
    await stop();
  }

  /** A client of any identity: RBAC applies as on a real cluster. */
  clientFor(user: UserInfo, userAgent = 'test'): Client {
    return this.#plane.clientOf(user, userAgent);
  }

  /** Lets time pass: `'10m'`, `'1h30m'`, or milliseconds. In real time it waits. */
  async advance(duration: string | number): Promise<void> {
    const ms = typeof duration === 'number' ? duration : parseDuration(duration);
    if (this.#clock) await this.#clock.advance(ms);
    else await new Promise<void>((resolve) => realClock.setTimer(ms, resolve));
  }

  /**
   * Runs until nothing is left to do: every queue is empty and no timer but background ones (leases, periodic reports,
   * distant deadlines) is set. Rejects when that does not happen within an hour of virtual time.
   */
  async settle(): Promise<void> {
    if (!this.#clock) return drainMicrotasks();
    const limit = this.#clock.now() + SETTLE_LIMIT;
    await this.#clock.advance(0);
    for (;;) {
      const next = this.#clock.nextForeground();
      if (next === undefined) return;
      if (next > limit) throw new Error(`the cluster is still busy after an hour of its time (seed ${this.seed})`);
      await this.#clock.advanceTo(next);
    }
  }

  /** The time in the cluster, milliseconds since the epoch. */
  now(): number {
    return this.env.clock.now();
  }

  /** All objects of a kind, sorted by key. */
  async list<T extends KubeObject>(kind: AnyKind, namespace?: string): Promise<readonly T[]> {
    return (await this.client.list(kind, { namespace })).items as unknown as readonly T[];
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error('the cluster stopped'));
    await Promise.allSettled(this.#running);
    this.#plane.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
