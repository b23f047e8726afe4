// `coracle/testing`: a whole cluster inside a test. The control plane is the real one over a store in memory, containers
// are simulated, and time stands still until the test moves it. No root, no port, no disk, nothing left behind.

import { StatusError } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import { keyOf, type KubeObject, type ObjectRef } from '../api/object.ts';
import type { Transport, UserInfo } from '../api/op.ts';
import type { ChangeLife } from '../base/change-life.ts';
import type { Env } from '../base/env.ts';
import { silentLogger, type Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { realClock } from '../base/real-env.ts';
import { Client } from '../client/client.ts';
import { lifeOf } from '../server/traces-handler.ts';
import { prefixOf } from '../server/caches.ts';
import type { OperationHook } from '../server/pipeline.ts';
import type { Change } from './change-log.ts';
import { ClusterLife, nodeName, type LifeOptions, type Remains, type Scenario } from './cluster-life.ts';
import { parseDuration } from './duration.ts';
import type { EmbeddedPort } from './embedded-port.ts';
import { firstMoment, type FirstMoment } from './first-moment.ts';
import { LastingClock } from './lasting-clock.ts';
import { LOOPBACK } from './identities.ts';
import type { SimulatedNode } from './simulated-nodes.ts';

export type { Author, Change } from './change-log.ts';
export type { Scenario, SimulatedContainer } from './cluster-life.ts';
export type { ContainerBehaviour } from '../kubelet/simulated-behaviour.ts';

export interface TestClusterOptions {
  /** Simulated nodes `node-1`, `node-2`, ...; 1 unless told. */
  readonly nodes?: number;
  /**
   * `simulated` (the default): the kubelet's plan and status over containers that are records; light enough for
   * thousands of nodes. `full`: a whole kubelet per node over a simulated runtime, with volumes, probes and events.
   */
  readonly kubelet?: 'simulated' | 'full';
  /** `virtual` (the default): time moves by `advance` and `settle` only. `real`: the machine's clock. */
  readonly time?: 'virtual' | 'real';
  /** The same seed gives the same history. That of the environment's CORACLE_SEED when absent, else a random one. */
  readonly seed?: number;
  /** What containers do; by pod annotations `simulator.coracle.dev/*` where it does not say. */
  readonly scenario?: Scenario;
  /** Which controllers run, as upstream's --controllers; `*` unless told. */
  readonly controllers?: string;
  readonly scheduler?: boolean;
  readonly log?: Logger;
  /** Freezes objects that were read, so that code changing them fails; on unless told. */
  readonly freeze?: boolean;
  /** Remembers what components did, for `trace`; on unless told. */
  readonly trace?: boolean;
  /** Told of every operation that has ended, whoever asked, from the start of the components on. */
  readonly observe?: OperationHook;
  /** Wraps each component's client: for simulations that lose, delay and repeat messages. */
  readonly between?: (client: Client, user: UserInfo, userAgent: string) => Client;
}

/** A moment of a cluster: its objects, revisions, history, time and random state. See `TestCluster.fork`. */
export class Snapshot {
  /** @internal */
  readonly remains: Remains;
  /** @internal */
  constructor(remains: Remains) {
    this.remains = remains;
  }
}

/** The objects of a cluster as they were at some time. */
export interface PastView {
  get<T extends KubeObject>(kind: AnyKind, ref: ObjectRef): T | undefined;
  list<T extends KubeObject>(kind: AnyKind, namespace?: string): readonly T[];
}

/** The most virtual time `settle` lets pass: a cluster that is never quiet is a finding, not a hang. */
const SETTLE_LIMIT = 60 * 60_000;
/** In real time, settled is what has been still for so long, in milliseconds. */
const STILL = 100;

export class TestCluster implements AsyncDisposable {
  /** As an administrator (system:masters). */
  readonly client: Client;
  readonly seed: number;
  /** The cluster's time and randomness, for what a test runs beside it. It stays good when the cluster is restored. */
  readonly env: Env;
  readonly #options: LifeOptions;
  #life: ClusterLife;
  readonly #clock: LastingClock;
  #restoring: Promise<void> | undefined;
  #port: EmbeddedPort | undefined;
  #settling: Promise<void> | undefined;

  private constructor(options: LifeOptions, before?: FirstMoment | Remains) {
    this.#options = options;
    this.seed = options.seed;
    this.#life = new ClusterLife(options, before);
    this.#clock = new LastingClock(this.#life.env.clock);
    const random = {
      next: () => this.#life.env.random.next(),
      bytes: (n: number) => this.#life.env.random.bytes(n),
    };
    this.env = { ...this.#life.env, clock: this.#clock, random };
    this.client = this.clientFor(LOOPBACK, 'test');
  }

  /** A running cluster whose nodes are Ready. */
  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const time = options.time ?? 'virtual';
    const life: LifeOptions = {
      nodes: options.nodes ?? 1,
      kubelet: options.kubelet ?? 'simulated',
      time,
      seed: options.seed ?? seedOfEnvironment() ?? Math.floor(Math.random() * 2 ** 32),
      scenario: options.scenario,
      controllers: options.controllers,
      scheduler: options.scheduler ?? true,
      log: options.log ?? silentLogger,
      freeze: options.freeze ?? true,
      trace: options.trace ?? true,
      tokens: new Map(),
      observe: options.observe,
      between: options.between,
    };
    return new TestCluster(life, time === 'virtual' ? await firstMoment() : undefined).#begin();
  }

  /**
   * Runs `body` with a cluster that is stopped afterwards. What `body` throws tells the seed, so that the run can be
   * repeated: `CORACLE_SEED=<seed>`, or the option.
   */
  static async use<T>(options: TestClusterOptions, body: (cluster: TestCluster) => Promise<T>): Promise<T> {
    const cluster = await TestCluster.start(options);
    try {
      return await body(cluster);
    } catch (error) {
      throw withSeed(error, cluster.seed);
    } finally {
      await cluster.stop();
    }
  }

  async #begin(): Promise<this> {
    await this.#life.begin();
    await this.settle();
    return this;
  }

  /** Time stays where it was: what was under way goes on when the test lets it. */
  async #resume(): Promise<this> {
    await this.#life.begin();
    await this.#life.clock?.advance(0);
    return this;
  }

  /** What components count; `metrics.text()` is what `/metrics` of a cluster with a port says. */
  get metrics(): Metrics {
    return this.#life.plane.metrics;
  }

  /** The nodes; those with kubelets of their own (`kubelet: 'full'`) with what runs on them. */
  get nodes(): readonly ({ readonly name: string } & Partial<SimulatedNode>)[] {
    const { nodes } = this.#life;
    return nodes.length ? nodes : Array.from({ length: this.#options.nodes }, (_, i) => ({ name: nodeName(i) }));
  }

  /** Starts a stopped node again: its containers are as they were. */
  startNode(name: string): void {
    this.#life.startNode(name);
  }

  /** Silences a node, as when its machine is cut off: its containers go on, its lease does not. */
  async stopNode(name: string): Promise<void> {
    await this.#life.stopNode(name);
  }

  /** A client of any identity: RBAC applies as on a real cluster. It stays good when the cluster is restored. */
  clientFor(user: UserInfo, userAgent = 'test'): Client {
    const send: Transport = (op, options) => this.#life.plane.server.transport(user, userAgent)(op, options);
    const transport: Transport = (op, options) =>
      this.#restoring ? this.#restoring.then(() => send(op, options)) : send(op, options);
    return new Client(transport, userAgent);
  }

  /** Lets time pass: `'10m'`, `'1h30m'`, or milliseconds. In real time it waits. */
  async advance(duration: string | number): Promise<void> {
    const ms = typeof duration === 'number' ? duration : parseDuration(duration);
    const { clock } = this.#life;
    if (clock) await clock.advance(ms);
    else await new Promise<void>((resolve) => realClock.setTimer(ms, resolve));
  }

  /** Puts the wall clock of all machines forward (or back, when negative); no time passes. Not in real time. */
  jumpClock(duration: string | number): void {
    const { clock } = this.#life;
    if (!clock) throw new Error('the clock of this machine is not for setting');
    const back = typeof duration === 'string' && duration.startsWith('-');
    const ms = typeof duration === 'number' ? duration : parseDuration(back ? duration.slice(1) : duration);
    clock.jump(back ? -ms : ms);
  }

  /**
   * Runs until nothing is left to do: every queue is empty and no timer but background ones (leases, periodic reports,
   * distant deadlines) is set. Rejects, naming the seed, when that does not happen within an hour of virtual time.
   * In real time it waits until nothing has been written for a while.
   */
  async settle(): Promise<void> {
    const { clock, store } = this.#life;
    if (!clock) {
      for (let seen = -1; seen !== store.revision;) {
        seen = store.revision;
        await this.advance(STILL);
      }
      return;
    }
    const limit = clock.now() + SETTLE_LIMIT;
    await clock.advance(0);
    for (let next = clock.nextForeground(); next !== undefined; next = clock.nextForeground()) {
      if (next > limit) throw new Error(`the cluster is still busy after an hour of its time (seed ${this.seed})`);
      await clock.advanceTo(next);
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

  /** Every change since the start (or after a revision) with its time and author, in order. */
  history(after = 0): readonly Change[] {
    return this.#life.log.changes(after);
  }

  /**
   * The life of an object's last change: the write and all that followed from it in every component, in the cluster's time.
   * Undefined when nothing of it is remembered (the last 8,192 steps are).
   */
  trace(kind: AnyKind, { namespace = '', name }: ObjectRef): ChangeLife | undefined {
    const { tracer } = this.#life.env;
    if (!tracer) throw new Error('this cluster was started with trace: false');
    return lifeOf(tracer, { resource: kind.resource, namespace, name }).life;
  }

  /** The objects as they were at a time, in milliseconds since the epoch. */
  at(time: number): PastView {
    const all = <T>(kind: AnyKind) => this.#life.log.at(prefixOf(kind), time) as T[];
    return {
      get: <T extends KubeObject>(kind: AnyKind, ref: ObjectRef) =>
        all<T>(kind).find((o) => keyOf(o) === (ref.namespace ? `${ref.namespace}/${ref.name}` : ref.name)),
      list: <T extends KubeObject>(kind: AnyKind, namespace?: string) =>
        all<T>(kind).filter((o) => namespace === undefined || o.metadata.namespace === namespace),
    };
  }

  /**
   * Keeps this moment: objects, revisions, history, time, random state. What only lives in components is not kept, as it
   * is not in a real cluster: queues, back-offs and probe counts begin anew, containers that run go on running.
   */
  snapshot(): Snapshot {
    return new Snapshot(this.#life.remains());
  }

  /** Another cluster that goes on from this moment (or a snapshot's); the two know nothing of each other. */
  async fork(from: Snapshot = this.snapshot()): Promise<TestCluster> {
    return new TestCluster(this.#options, from.remains).#resume();
  }

  /**
   * Takes this cluster back to a snapshot: its components are restarted, its clients and `env` stay good, its port closes.
   * Watches end with an ERROR event of code 410, as on a server whose history is gone: informers list anew.
   */
  async restore({ remains }: Snapshot): Promise<void> {
    this.#restoring = this.#goBack(remains).finally(() => (this.#restoring = undefined));
    await this.#restoring;
  }

  async #goBack(remains: Remains): Promise<void> {
    await this.#closePort();
    await this.#life.end(new StatusError('Expired', 'the cluster has been taken back to an earlier moment'));
    this.#life = new ClusterLife(this.#options, remains);
    this.#clock.follow(this.#life.env.clock);
    await this.#resume();
  }

  /** Opens a port on loopback for kubectl and others; after each request of theirs the cluster settles by itself. */
  async listen({ port = 0 }: { readonly port?: number } = {}): Promise<string> {
    if (!this.#port) {
      // Only those who listen pay for TLS, HTTP and OpenAPI.
      const { openPort } = await import('./embedded-port.ts');
      const { env, plane, authenticator } = this.#life;
      const token = this.#token();
      const served = () => this.#settleSoon();
      this.#port = await openPort({ env, server: plane.server, authenticator, token, port, served });
    }
    return this.#port.url;
  }

  /** The administrator's kubeconfig, as YAML. `listen` comes first. */
  kubeconfig(): string {
    if (!this.#port) throw new Error('the cluster has no port: call listen() first');
    return this.#port.kubeconfig;
  }

  /** The administrator's, made for the first port: Web Crypto takes its time to load. Forks share it. */
  #token(): string {
    const { tokens } = this.#options;
    if (tokens.size === 0) tokens.set(crypto.randomUUID(), LOOPBACK);
    return tokens.keys().next().value!;
  }

  #settleSoon(): void {
    this.#settling ??= this.settle()
      .catch((error: unknown) => this.env.log.warn('not settled', { error }))
      .finally(() => (this.#settling = undefined));
  }

  async #closePort(): Promise<void> {
    const port = this.#port;
    this.#port = undefined;
    await port?.close();
    await this.#settling;
  }

  async stop(): Promise<void> {
    await this.#closePort();
    await this.#life.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function seedOfEnvironment(): number | undefined {
  const text = process.env['CORACLE_SEED'];
  if (!text) return undefined;
  const seed = Number(text);
  if (!Number.isInteger(seed) || seed < 0) throw new Error(`CORACLE_SEED=${text} is no seed: it is a whole number`);
  return seed;
}

/** The very error, since runners look into assertion errors; its stack holds the message a second time. */
function withSeed(error: unknown, seed: number): unknown {
  if (!(error instanceof Error)) return error;
  const { message, stack } = error;
  error.message = `${message}\n(test cluster with seed ${seed}: CORACLE_SEED=${seed} repeats it)`;
  if (stack) error.stack = stack.replace(message, () => error.message);
  return error;
}
