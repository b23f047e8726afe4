// The simulated world of one round: a disk, an API server over it, and around it every component as a process of its own,
// with its own clock, its own line to the server, and its own death.

import { isReason, type StatusError } from '../../src/api/errors.ts';
import type { ApiOp, ApiResult, NoUser, UserInfo } from '../../src/api/op.ts';
import { podAddress } from '../../src/cluster/simulated-config.ts';
import { MemoryHost } from '../../src/kubelet/memory-host.ts';
import { SimulatedRuntime } from '../../src/kubelet/simulated-runtime.ts';
import { createLogger, silentLogger, type LogRecord } from '../../src/base/log.ts';
import { seededRandom, VirtualClock } from '../../src/base/virtual-clock.ts';
import { Client } from '../../src/client/client.ts';
import { createControlPlane, type ControlPlane } from '../../src/cluster/control-plane.ts';
import { LOOPBACK } from '../../src/cluster/identities.ts';
import type { MemoryStore } from '../../src/store/memory-store.ts';
import { components, CPUS, ROOT_CA, nodes, runComponent, type Machine, type Process } from './components.ts';
import { SimulatedDisk, type Disk } from './durable-store.ts';
import type { Settings } from './history.ts';
import { Link, LOST } from './link.ts';
import { EXACT, ProcessClock, type Drift } from './process-clock.ts';
import { RequestAudit } from './request-audit.ts';
import { Truth } from './truth.ts';
import { WatchAudit } from './watch-audit.ts';

/** Bugs on purpose; only tests make them. */
export interface Planted {
  readonly disk?: (disk: Disk, clock: VirtualClock) => Disk;
  readonly between?: (client: Client, component: string, userAgent: string) => Client;
}

export interface WorldOptions {
  readonly seed: number;
  readonly settings: Settings;
  /** What was prepared: a store with everything a cluster has at rest, and its time. */
  readonly store: MemoryStore;
  readonly time: number;
  readonly planted?: Planted;
  readonly log?: (record: LogRecord) => void;
}

/** Stable, and spread over 32 bits. */
function hash(...parts: readonly (string | number)[]): number {
  let h = 0x811c9dc5;
  for (const char of parts.join('/')) h = Math.imul(h ^ char.charCodeAt(0), 0x01000193);
  return h >>> 0;
}

export class World {
  readonly clock: VirtualClock;
  readonly seed: number;
  readonly settings: Settings;
  readonly truth = new Truth();
  readonly watches = new WatchAudit(this.truth);
  readonly requests = new RequestAudit(this.truth);
  readonly disk: Disk;
  readonly processes = new Map<string, Process>();
  /** How often each fault struck, each operation was done, each component wrote what. */
  readonly coverage = new Map<string, number>();
  /** Requests, by who sent them and for what, whose sender could not know whether they were carried out. */
  readonly uncertain = new Map<string, number>();
  readonly violations: string[] = [];
  /** While faults may happen: containers crash. */
  stormy = true;
  readonly user: Client;
  readonly userLink: Link;
  /** Past all lines: for what heals. */
  readonly administrator: Client;
  /** What the user's operations are still doing. */
  readonly #doing = new Set<Promise<void>>();
  readonly #options: WorldOptions;
  readonly #incarnations = new Map<string, number>();
  #addresses = 0;
  readonly #machines = new Map<string, Machine>();
  #plane: ControlPlane | undefined;
  #died!: (error: StatusError) => void;
  #death!: Promise<never>;

  constructor(options: WorldOptions) {
    const { seed, settings, store, time, planted } = options;
    this.#options = options;
    this.seed = seed;
    this.settings = settings;
    this.clock = new VirtualClock(time);
    const disk = new SimulatedDisk(store, this.clock, settings.sync);
    this.disk = planted?.disk?.(disk, this.clock) ?? disk;
    this.userLink = this.link('user', new ProcessClock(this.clock));
    this.administrator = new Client((op, { signal } = {}) => this.#execute(op, LOOPBACK, signal), 'administrator');
    this.user = this.userLink.client({ name: 'user', groups: ['system:masters', 'system:authenticated'] }, 'user');
  }

  async begin(): Promise<void> {
    await this.truth.follow(this.disk.durable);
    await this.startServer();
    for (const name of this.componentNames()) this.start(name);
    await this.clock.advance(0);
  }

  componentNames(): readonly string[] {
    return components.filter((name) => name !== 'manager-2' || this.settings.managers === 2);
  }

  count(what: string, n = 1): void {
    this.coverage.set(what, (this.coverage.get(what) ?? 0) + n);
  }

  random(name: string, ...more: (string | number)[]) {
    return seededRandom(hash(this.seed, name, ...more));
  }

  link(name: string, process: ProcessClock): Link {
    const { jitter, bookmarks } = this.settings;
    const { planted } = this.#options;
    const link = new Link({
      name,
      clock: this.clock,
      process,
      random: this.random(name, 'line', this.#incarnations.get(name) ?? 0),
      jitter,
      bookmarks,
      execute: (op, user, signal) => this.#execute(op, user, signal),
      struck: (fault) => this.count(`fault ${fault}`),
      uncertain: (op, userAgent) => {
        const key = `${userAgent} ${op.verb} ${op.resource}`;
        this.uncertain.set(key, (this.uncertain.get(key) ?? 0) + 1);
      },
    });
    const between = planted?.between;
    if (!between) return link;
    const client = link.client.bind(link);
    link.client = (user, userAgent) => between(client(user, userAgent), name, userAgent);
    return link;
  }

  /** Starts a component that is not running. */
  start(name: string): void {
    if (this.processes.has(name)) return;
    const incarnation = (this.#incarnations.get(name) ?? 0) + 1;
    this.#incarnations.set(name, incarnation);
    const clock = new ProcessClock(this.clock, this.#drift(name));
    const link = this.link(name, clock);
    const log = createLogger({
      sink: (record) => this.#heard(name, record),
      level: this.#options.log ? 'debug' : 'error',
    });
    const env = { clock, random: this.random(name, incarnation), log };
    const abort = new AbortController();
    const process: Process = {
      name,
      env,
      clock,
      link,
      signal: abort.signal,
      managers: this.settings.managers,
      behaviour: (pod, container, attempt) => this.#behaviour(pod.metadata.uid ?? '', container, attempt),
      nextAddress: () => this.#addresses++,
      machine: this.settings.whole ? this.#machine(name) : undefined,
    };
    this.processes.set(name, process);
    runComponent(process).catch((error: unknown) => {
      if (this.processes.get(name) !== process) return;
      // A component that ends is started again, as by its supervisor.
      this.count(`ended ${name}`);
      if ((error as Error).name !== 'LeadershipLost') this.violations.push(`${name} ended: ${String(error)}`);
      this.kill(name);
      this.clock.setTimer(1000, () => this.start(name));
    });
    process.kill = () => {
      link.kill();
      clock.kill();
      abort.abort(new Error('killed'));
    };
  }

  /** As by SIGKILL: no farewell, no lease let go. */
  kill(name: string): void {
    const process = this.processes.get(name);
    this.processes.delete(name);
    process?.kill?.();
  }

  get serving(): boolean {
    return this.#plane !== undefined;
  }

  async startServer(): Promise<void> {
    if (this.#plane) return;
    const incarnation = (this.#incarnations.get('server') ?? 0) + 1;
    this.#incarnations.set('server', incarnation);
    const log = createLogger({
      sink: (record) => this.#heard('server', record),
      level: this.#options.log ? 'debug' : 'error',
    });
    const clock = new ProcessClock(this.clock, this.#drift('server'));
    this.#death = new Promise<never>((_, reject) => (this.#died = reject));
    this.#death.catch(() => {});
    const env = { clock, random: this.random('server', incarnation), log };
    const plane = createControlPlane({ env, store: this.disk.open(), clusterCidr: '10.244.0.0/16', rootCa: ROOT_CA });
    this.#plane = plane;
    await plane.bootstrap();
  }

  /** `kept`: how many of the writes it was just making had reached the disk. */
  async killServer(kept: number): Promise<void> {
    const plane = this.#plane;
    if (!plane) return;
    this.#plane = undefined;
    this.disk.crash(kept);
    this.#died(LOST());
    plane.close();
    this.violations.push(...(await this.truth.compare(this.disk.durable)));
  }

  /** Operations of the user, or faults, are under way. */
  get busy(): boolean {
    return this.#doing.size > 0;
  }

  /** Runs an operation of the user beside everything else; that it is refused is everyday life. */
  do(name: string, work: () => Promise<unknown>): void {
    const doing = work().then(
      () => this.count(`operation ${name}`),
      (error: unknown) => {
        if (!isReason(error, ...EVERYDAY)) this.violations.push(`${name}: ${String(error)}`);
        this.count(`operation ${name} refused`);
      },
    );
    this.#doing.add(doing);
    void doing.finally(() => this.#doing.delete(doing));
  }

  end(): void {
    for (const name of this.processes.keys()) this.kill(name);
    this.truth.stop();
    this.#plane?.close();
  }

  /** What has been found wrong so far. */
  found(): string[] {
    const all = [this.truth.violations, this.violations, this.watches.violations, this.requests.violations].flat();
    return all.slice(0, 10);
  }

  async #execute(op: NoUser<ApiOp>, user: UserInfo, signal: AbortSignal | undefined): Promise<ApiResult> {
    const plane = this.#plane;
    if (!plane) throw LOST();
    const execution = this.requests.begin(op);
    let result: ApiResult;
    try {
      result = await Promise.race([plane.server.transport(user)(op, signal ? { signal } : undefined), this.#death]);
    } catch (error) {
      if (this.#plane === plane) this.requests.refused(execution, error as StatusError);
      if (this.#plane === plane && isReason(error, 'InternalError'))
        this.violations.push(`${op.verb} ${op.resource} by ${op.userAgent}: ${String(error)}`);
      throw error;
    }
    if (op.verb !== 'get' && op.verb !== 'list' && op.verb !== 'watch')
      this.count(`${op.userAgent} ${op.verb} ${op.resource}${op.subresource ? `/${op.subresource}` : ''}`);
    if (result.type === 'watch') return { ...result, stream: this.watches.audited(op, result.stream) };
    this.requests.answered(execution, result);
    return result;
  }

  /** A node's machine outlives its kubelet; its clock is right. */
  #machine(name: string): Machine | undefined {
    const index = nodes.indexOf(name as (typeof nodes)[number]);
    if (index < 0) return undefined;
    let machine = this.#machines.get(name);
    if (!machine) {
      const env = { clock: this.clock, random: this.random(name, 'machine'), log: silentLogger };
      const runtime = new SimulatedRuntime({
        env,
        podIP: () => podAddress(index, this.#addresses++),
        scenario: (config, { pod }) => this.#behaviour(pod.uid, config.name, config.attempt),
      });
      machine = { runtime, host: new MemoryHost({ machine: { hostname: name, cpus: CPUS }, forgetful: true }) };
      this.#machines.set(name, machine);
    }
    return machine;
  }

  #heard(name: string, record: LogRecord): void {
    this.#options.log?.({ ...record, component: `${name}/${record.component}` });
    if (record.level === 'error' && record.message !== 'leadership lost')
      this.violations.push(`${name} reports: ${record.message} ${String(record.fields['error'] ?? '')}`);
  }

  #drift(name: string): Drift {
    const { drift } = this.settings;
    if (drift === 0) return EXACT;
    const random = this.random(name, 'drift');
    const offset = Math.round((random.next() - 0.5) * 120_000);
    return { offset, rate: 1 + ((random.next() - 0.5) * 2 * drift) / 1000 };
  }

  #behaviour(uid: string, container: string, attempt: number) {
    const { flaky } = this.settings;
    if (!this.stormy || flaky === 0) return {};
    const random = this.random('container', uid, container, attempt);
    if (random.next() * 100 >= flaky) return {};
    return random.next() < 0.5
      ? { exitAfter: Math.ceil(random.next() * 10_000), exitCode: 1 }
      : { startDelay: Math.ceil(random.next() * 3000), readyAfter: Math.ceil(random.next() * 5000), stopAfter: 2000 };
  }
}

/** Refusals that clients of a cluster in trouble have to live with. */
const EVERYDAY = [
  'AlreadyExists',
  'NotFound',
  'Conflict',
  'Invalid',
  'Forbidden',
  'Expired',
  'Timeout',
  'ServiceUnavailable',
  'RequestEntityTooLarge',
  'BadRequest',
] as const;
