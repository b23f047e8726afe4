// A container runtime in which nothing runs: containers live in the Env's time, as a scenario says. For tests and for
// simulated nodes; deterministic, and light enough for thousands of pods.

import { sleep, type Env, type Timer } from '../base/env.ts';
import { encodeText } from './bytes.ts';
import {
  RuntimeError,
  type ContainerConfig,
  type ContainerRuntime,
  type ContainerStatus,
  type Image,
  type ResourceUsage,
  type RuntimeEvent,
  type SandboxConfig,
  type SandboxStatus,
} from './runtime.ts';
import type { HostProber, ProbeOutcome } from './host.ts';
import { annotatedBehaviour, type ContainerBehaviour } from './simulated-behaviour.ts';

/** What a container will do; asked for each instance. */
export type Scenario = (container: ContainerConfig, sandbox: SandboxConfig) => ContainerBehaviour;

export interface SimulatedRuntimeOptions {
  readonly env: Env;
  /** By pod annotations unless told: see simulated-behaviour.ts. */
  readonly scenario?: Scenario;
  /** The n-th pod address, from 1 on. */
  readonly podIP?: (n: number) => string;
  /** Milliseconds. */
  readonly sandboxDelay?: number;
  /** Images that are there without a pull; all when absent. */
  readonly images?: readonly string[];
  readonly pullDelay?: number;
  /** Throws to make a pull fail. */
  readonly pull?: (reference: string) => void;
}

interface Sandbox {
  status: SandboxStatus;
  readonly config: SandboxConfig;
}

interface Instance {
  status: ContainerStatus;
  readonly behaviour: ContainerBehaviour;
  timer?: Timer;
  /** By the monotonic clock. */
  started?: number;
  readonly waiters: (() => void)[];
}

const REFUSED: ProbeOutcome = { result: 'failure', output: 'connection refused' };
const answers = ({ behaviour }: Instance, since: number) => since >= (behaviour.readyAfter ?? 0);

export class SimulatedRuntime implements ContainerRuntime {
  readonly #options: SimulatedRuntimeOptions;
  readonly #env: Env;
  readonly #scenario: Scenario;
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #containers = new Map<string, Instance>();
  readonly #sinks = new Set<(event: RuntimeEvent) => void>();
  readonly #pulled = new Set<string>();
  #ids = 0;
  #addresses = 0;
  /** Every call that changes something, in order, for tests. */
  readonly calls: string[] = [];
  readonly #record: boolean;
  /** While set, every call fails with it. */
  down: RuntimeError | undefined;

  constructor(options: SimulatedRuntimeOptions & { readonly record?: boolean }) {
    this.#options = options;
    this.#env = options.env;
    this.#scenario = options.scenario ?? annotatedBehaviour;
    this.#record = options.record ?? false;
  }

  async info() {
    this.#check('info');
    return { name: 'simulated', version: '1.0.0', ready: true, networkReady: true, message: '' };
  }

  async runSandbox(config: SandboxConfig): Promise<string> {
    this.#check('runSandbox', config.pod.name);
    const id = this.#id();
    await this.#delay(this.#options.sandboxDelay ?? 0);
    const { pod, attempt, labels, annotations, security } = config;
    const ips = security.network === 'node' ? [] : [this.#address()];
    const createdAt = this.#env.clock.now();
    const status = { id, pod, attempt, state: 'ready' as const, createdAt, ips, labels, annotations };
    this.#sandboxes.set(id, { status, config });
    return id;
  }

  async stopSandbox(id: string): Promise<void> {
    this.#check('stopSandbox', id);
    const sandbox = this.#sandboxes.get(id);
    if (!sandbox) return;
    for (const c of this.#containers.values()) if (c.status.sandboxId === id) this.#exit(c, 137, 'Error');
    sandbox.status = { ...sandbox.status, state: 'notready', ips: [] };
  }

  async removeSandbox(id: string): Promise<void> {
    await this.stopSandbox(id);
    this.#sandboxes.delete(id);
    for (const [key, c] of this.#containers) if (c.status.sandboxId === id) this.#containers.delete(key);
  }

  async listSandboxes(): Promise<SandboxStatus[]> {
    this.#check('listSandboxes');
    return [...this.#sandboxes.values()].map((s) => s.status);
  }

  async sandboxStatus(id: string): Promise<SandboxStatus | undefined> {
    this.#check('sandboxStatus');
    return this.#sandboxes.get(id)?.status;
  }

  async createContainer(sandboxId: string, config: ContainerConfig, sandbox: SandboxConfig): Promise<string> {
    this.#check('createContainer', `${config.name}#${config.attempt}`);
    if (this.#sandboxes.get(sandboxId)?.status.state !== 'ready') {
      throw new RuntimeError('NOT_FOUND', `failed to find sandbox id ${JSON.stringify(sandboxId)}: not found`);
    }
    const behaviour = this.#scenario(config, sandbox);
    if (behaviour.createError) throw new RuntimeError('UNKNOWN', behaviour.createError);
    const id = this.#id();
    const { name, attempt, image, logPath, labels, annotations } = config;
    const status: ContainerStatus = {
      id,
      sandboxId,
      name,
      attempt,
      state: 'created',
      createdAt: this.#env.clock.now(),
      startedAt: 0,
      finishedAt: 0,
      exitCode: 0,
      reason: '',
      message: '',
      image,
      imageId: `sha256:${image}`,
      logPath,
      labels,
      annotations,
    };
    this.#containers.set(id, { status, behaviour, waiters: [] });
    return id;
  }

  async startContainer(id: string): Promise<void> {
    this.#check('startContainer', id);
    const container = this.#find(id);
    const { behaviour } = container;
    await this.#delay(behaviour.startDelay ?? 0);
    if (container.status.state === 'exited') throw new RuntimeError('CANCELLED', container.status.message);
    const now = this.#env.clock.now();
    if (behaviour.startError) {
      container.status = { ...container.status, startedAt: now };
      this.#exit(container, 128, 'StartError', behaviour.startError);
      throw new RuntimeError('UNKNOWN', behaviour.startError);
    }
    container.status = { ...container.status, state: 'running', startedAt: now };
    container.started = this.#env.clock.monotonic();
    if (behaviour.exitAfter === undefined) return;
    const code = behaviour.exitCode ?? 0;
    container.timer = this.#env.clock.setTimer(behaviour.exitAfter, () =>
      this.#exit(container, code, behaviour.exitReason ?? (code === 0 ? 'Completed' : 'Error')),
    );
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    this.#check('stopContainer', `${id} ${graceSeconds}s`);
    const container = this.#containers.get(id);
    if (container?.status.state !== 'running') return;
    const { stopAfter = 0, stopCode = 0 } = container.behaviour;
    const killed = stopAfter > graceSeconds * 1000;
    const timer = this.#env.clock.setTimer(killed ? graceSeconds * 1000 : stopAfter, () =>
      this.#exit(container, killed ? 137 : stopCode, killed || stopCode !== 0 ? 'Error' : 'Completed'),
    );
    await new Promise<void>((resolve) => container.waiters.push(resolve));
    timer.cancel();
  }

  async removeContainer(id: string): Promise<void> {
    this.#check('removeContainer', id);
    const container = this.#containers.get(id);
    if (container) this.#exit(container, 137, 'Error');
    this.#containers.delete(id);
  }

  async listContainers(): Promise<ContainerStatus[]> {
    this.#check('listContainers');
    return [...this.#containers.values()].map((c) => c.status);
  }

  async containerStatus(id: string): Promise<ContainerStatus | undefined> {
    this.#check('containerStatus');
    return this.#containers.get(id)?.status;
  }

  async updateResources(id: string): Promise<void> {
    this.#check('updateResources', id);
  }

  async reopenLog(id: string): Promise<void> {
    this.#check('reopenLog', id);
  }

  /** Of what listens at a pod's address: nobody knows which container has which port, so all of them must be ready. */
  readonly prober: HostProber = {
    http: async ({ host }) => this.#probe(host),
    tcp: async (host) => this.#probe(host),
    grpc: async (host) => this.#probe(host),
  };

  #probe(host: string): ProbeOutcome {
    const now = this.#env.clock.monotonic();
    for (const container of this.#containers.values()) {
      const { state, sandboxId } = container.status;
      if (state !== 'running' || !this.#sandboxes.get(sandboxId)?.status.ips.includes(host)) continue;
      if (!answers(container, now - (container.started ?? 0))) return REFUSED;
    }
    return { result: 'success' };
  }

  async execSync(id: string, command: readonly string[], timeoutSeconds: number) {
    this.#check('execSync', command.join(' '));
    const container = this.#find(id);
    const since = this.#env.clock.monotonic() - (container.started ?? 0);
    const outcome = container.behaviour.exec?.(command, since) ?? {};
    const { exitCode = answers(container, since) ? 0 : 1, output = '', delay = 0 } = outcome;
    const over = timeoutSeconds > 0 && delay > timeoutSeconds * 1000;
    await this.#delay(over ? timeoutSeconds * 1000 : delay);
    if (over) throw new RuntimeError('DEADLINE_EXCEEDED', `timeout ${timeoutSeconds}s exceeded`);
    return { exitCode, stdout: encodeText(output), stderr: new Uint8Array() };
  }

  async exec(): Promise<number> {
    throw new RuntimeError('UNIMPLEMENTED', 'simulated containers run no commands');
  }

  async attach(): Promise<void> {
    throw new RuntimeError('UNIMPLEMENTED', 'simulated containers have no streams');
  }

  async portForward(): Promise<void> {
    throw new RuntimeError('UNIMPLEMENTED', 'simulated pods listen on no ports');
  }

  async imageStatus(reference: string): Promise<Image | undefined> {
    this.#check('imageStatus');
    const { images } = this.#options;
    if (images && !images.includes(reference) && !this.#pulled.has(reference)) return undefined;
    return { id: `sha256:${reference}`, tags: [reference], digests: [], size: 1000, uid: undefined, username: '' };
  }

  async listImages(): Promise<Image[]> {
    this.#check('listImages');
    const all = await Promise.all([...(this.#options.images ?? []), ...this.#pulled].map((i) => this.imageStatus(i)));
    return all.flatMap((i) => i ?? []);
  }

  async pullImage(reference: string): Promise<string> {
    this.#check('pullImage', reference);
    await this.#delay(this.#options.pullDelay ?? 0);
    this.#options.pull?.(reference);
    this.#pulled.add(reference);
    return `sha256:${reference}`;
  }

  async removeImage(reference: string): Promise<void> {
    this.#check('removeImage', reference);
    this.#pulled.delete(reference);
  }

  async usage(): Promise<ResourceUsage[]> {
    return [];
  }

  events(sink: (event: RuntimeEvent) => void, { signal }: { signal: AbortSignal }): Promise<void> {
    this.#sinks.add(sink);
    // As a real one does: nobody knows what happened before.
    sink({ type: 'lost', containerId: '' });
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        this.#sinks.delete(sink);
        resolve();
      });
    });
  }

  /** Ends a container from outside, as a crash or an OOM kill would. */
  crash(id: string, exitCode = 1, reason = 'Error'): void {
    this.#exit(this.#find(id), exitCode, reason);
  }

  /** Ends a start under way, as a runtime does when whoever had asked for it goes away. */
  interrupt(id: string): void {
    const container = this.#find(id);
    this.#exit(container, 128, 'StartError', 'failed to create containerd task: context canceled');
    container.status = { ...container.status, interrupted: true };
  }

  /** Takes a sandbox down from outside; its containers run on, as when its pause process is killed. */
  killSandbox(id: string): void {
    const sandbox = this.#sandboxes.get(id);
    if (!sandbox) return;
    sandbox.status = { ...sandbox.status, state: 'notready' };
    this.#emit('exited', id);
  }

  /** Tells the listeners that events may have been missed. */
  lose(): void {
    this.#emit('lost', '');
  }

  #exit(container: Instance, exitCode: number, reason: string, message = ''): void {
    if (container.status.state === 'exited') return;
    container.timer?.cancel();
    const finishedAt = this.#env.clock.now();
    container.status = { ...container.status, state: 'exited', finishedAt, exitCode, reason, message };
    this.#emit('exited', container.status.id);
    for (const waiter of container.waiters.splice(0)) waiter();
  }

  #emit(type: RuntimeEvent['type'], containerId: string): void {
    for (const sink of this.#sinks) sink({ type, containerId });
  }

  #find(id: string): Instance {
    const container = this.#containers.get(id);
    if (!container) throw new RuntimeError('NOT_FOUND', `container ${JSON.stringify(id)} not found`);
    return container;
  }

  #check(call: string, detail = ''): void {
    if (this.down) throw this.down;
    if (this.#record) this.calls.push(detail ? `${call} ${detail}` : call);
  }

  #delay(ms: number): Promise<void> {
    return ms > 0 ? sleep(this.#env, ms) : Promise.resolve();
  }

  #id(): string {
    return (++this.#ids).toString(16).padStart(12, '0');
  }

  #address(): string {
    const n = ++this.#addresses;
    if (this.#options.podIP) return this.#options.podIP(n);
    return `10.${64 + ((n >> 16) & 63)}.${(n >> 8) & 255}.${n & 255}`;
  }
}
