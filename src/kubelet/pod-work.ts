// The state of one pod on this node: everything its worker remembers between two looks. Actions fill it in, the plan
// and the status read it.

import type { Container } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { sleep } from '../base/env.ts';
import type { EventNote } from '../client/controller.ts';
import type { BackoffEntry } from './backoff.ts';
import { decodeText } from './bytes.ts';
import { podDirectory, podLogDirectory } from './config.ts';
import type { PodAddresses } from './downward.ts';
import { LABELS } from './labels.ts';
import { lastLogLines } from './log-tail.ts';
import type { NodeContext } from './node-context.ts';
import type { PodObjects } from './node-objects.ts';
import type { Block, ProbeVerdict, StopRequest } from './plan-steps.ts';
import { PodRuntime } from './pod-runtime.ts';
import { containerNamed, fieldPathOf } from './pod-spec.ts';
import { PodResizer } from './pod-resizer.ts';
import { PodTokens, type TokenSource } from './pod-tokens.ts';
import { ContainerProbes } from './probes.ts';
import { pullSecrets } from './pull-secrets.ts';
import type { ContainerStatus, EventOwner, SandboxStatus } from './runtime.ts';
import type { VolumeContext } from './volumes/plugin.ts';
import { PodVolumes } from './volumes/pod-volumes.ts';

const NOTHING: ProbeVerdict = {};
const MESSAGE_BYTES = 4096;
const FALLBACK = { lines: 80, bytes: 2048 };
/** The runtime tells of an exit a moment before it can say how it went: milliseconds between looks, and how many. */
const RECHECK = { first: 2, last: 1_000, times: 30 };

export class PodWork {
  readonly node: NodeContext;
  readonly uid: string;
  readonly wake: () => void;
  readonly runtime: PodRuntime;
  readonly blocks = new Map<string, Block>();
  readonly crashes = new Map<string, BackoffEntry>();
  readonly pulls = new Map<string, BackoffEntry>();
  readonly messages = new Map<string, string>();
  readonly volumes: PodVolumes;
  readonly objects: PodObjects;
  readonly #token: TokenSource;
  readonly #probes = new Map<string, ContainerProbes>();
  /** How many probes of a container ended how, by its name and `type result`. */
  readonly probeCounts = new Map<string, Map<string, number>>();
  /** Containers whose StopContainer is under way: its answer says that they have ended. */
  readonly stopping = new Set<string>();
  readonly #refreshing = new Map<string, { readonly exited: boolean; readonly done: Promise<void> }>();
  readonly resizer: PodResizer;
  /** As the API has it, but with the resources it holds. */
  pod: Pod;
  /** As the API has it. */
  raw: Pod;
  podIPs: readonly string[];
  volumeState: 'unknown' | 'ready' | 'released' = 'unknown';
  volumeTries = 0;
  sandboxTries = 0;
  stop: StopRequest | undefined;

  constructor(node: NodeContext, pod: Pod, wake: () => void) {
    this.node = node;
    this.runtime = new PodRuntime((wall) => node.time.of(wall));
    this.raw = pod;
    this.resizer = new PodResizer(node, pod, { note: (type, reason, message) => this.note(type, reason, message) });
    this.pod = this.resizer.take(pod);
    this.uid = pod.metadata.uid!;
    this.wake = wake;
    this.podIPs = (pod.status?.podIPs ?? []).flatMap(({ ip }) => (ip ? [ip] : []));
    const disk = this.directory;
    const memory = node.config.memoryDirectory;
    this.volumes = new PodVolumes(node.host, { disk, memory: memory ? `${memory}/${this.uid}` : disk });
    this.objects = node.objects.scope(() => this.#objectsChanged());
    const tokens = new PodTokens(node.client, node.env);
    this.#token = node.token ?? ((...wanted) => tokens.get(...wanted));
  }

  /** Takes up a newer version of the pod, or looks again at a resize that was refused. */
  observe(pod: Pod): void {
    this.raw = pod;
    this.pod = this.resizer.take(pod);
  }

  get directory(): string {
    return podDirectory(this.node.config, this.uid);
  }

  get logDirectory(): string {
    const { name, namespace } = this.pod.metadata;
    return podLogDirectory(this.node.config, { name, namespace: namespace!, uid: this.uid });
  }

  get addresses(): PodAddresses {
    const hostIPs = this.node.config.nodeIPs;
    return { hostIPs, podIPs: this.pod.spec.hostNetwork ? hostIPs : this.podIPs };
  }

  volumeContext(): VolumeContext {
    const { host, allocatable } = this.node;
    const { pod, objects, addresses } = this;
    const token = (audience: string, seconds: number) => this.#token(pod, audience, seconds);
    const image = (reference: string, pullPolicy: string | undefined) => this.#ensureImage(reference, pullPolicy);
    return { pod, host, objects, addresses, allocatable, image, token };
  }

  async #ensureImage(image: string, imagePullPolicy: string | undefined): Promise<string> {
    const { reference } = await this.node.images.ensure({
      container: { name: '', image, ...(imagePullPolicy ? { imagePullPolicy } : {}) },
      secrets: () => pullSecrets(this),
      backoffs: this.pulls,
      note: (type, reason, message) => this.note(type, reason, message),
    });
    return reference;
  }

  note(type: EventNote['type'], reason: string, message: string, container?: string): void {
    const where = container === undefined ? {} : { fieldPath: fieldPathOf(this.pod, container) };
    this.node.record(this.pod, { type, reason, message, ...where });
  }

  readonly verdict = (id: string): ProbeVerdict => this.#probes.get(id)?.verdict() ?? NOTHING;

  /** Some container has probes. */
  get probed(): boolean {
    return this.#probes.size > 0;
  }

  /** Where a container's termination message is written, on the node. */
  messageFile(name: string, attempt: number): string {
    return `${this.directory}/containers/${name}/${attempt}`;
  }

  /** Takes in a container that runs: its events are ours, its probes begin. */
  adopt(container: ContainerStatus, register: EventOwner): void {
    this.node.register(container.id, register);
    this.runtime.put(container);
    this.#syncProbes(container);
  }

  /**
   * Takes in a listing that was begun at `began` (milliseconds since the epoch). What is younger than the listing, or
   * has ended since, is left as it is known.
   */
  async reconcile(
    sandboxes: readonly SandboxStatus[],
    containers: readonly ContainerStatus[],
    began: number,
    owner: EventOwner,
  ): Promise<void> {
    const gone = this.runtime.all().filter((c) => c.createdAt < began && !containers.some((l) => l.id === c.id));
    for (const { id } of gone) this.forget(id);
    for (const { id, createdAt } of this.runtime.sandboxes) {
      if (createdAt < began && !sandboxes.some((s) => s.id === id)) this.runtime.removeSandbox(id);
    }
    for (const sandbox of sandboxes) {
      this.node.register(sandbox.id, owner);
      const known = this.runtime.sandboxes.find((s) => s.id === sandbox.id);
      if (known?.state !== 'notready') this.runtime.putSandbox(sandbox);
    }
    const ips = this.runtime.sandbox?.ips ?? [];
    if (ips.length > 0) this.podIPs = ips;
    for (const container of containers) {
      this.node.register(container.id, owner);
      const known = this.runtime.find(container.id);
      if (known?.state !== container.state && known?.state !== 'exited') await this.take(container);
    }
  }

  readonly #listeners = new Set<() => void>();

  /** Calls back when a container's state is known anew. Returns the unsubscribe function. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Asks the runtime about a container and takes the answer in. */
  refresh(id: string, exited = false): Promise<void> {
    const running = this.#refreshing.get(id);
    if (running && (running.exited || !exited)) return running.done;
    // The answer under way may have been given before the container ended: it is asked for again.
    const first = running
      ? running.done.catch(() => {}).then(() => this.#refresh(id, exited))
      : this.#refresh(id, exited);
    const done = first.finally(() => {
      if (this.#refreshing.get(id)?.done === done) this.#refreshing.delete(id);
    });
    this.#refreshing.set(id, { exited, done });
    return done;
  }

  async #refresh(id: string, exited: boolean): Promise<void> {
    const { runtime } = this.node;
    const over = ({ state }: ContainerStatus) => state !== 'running' && state !== 'created';
    const status = await this.#look(() => runtime.containerStatus(id), exited ? over : undefined);
    if (!status) this.forget(id);
    else await this.take(status);
  }

  /** Asks the runtime about a sandbox that has ended, or soon will have as far as it knows. */
  async refreshSandbox(id: string): Promise<void> {
    const { runtime } = this.node;
    const status = await this.#look(
      () => runtime.sandboxStatus(id),
      ({ state }) => state === 'notready',
    );
    if (status) this.runtime.putSandbox(status);
    else this.runtime.removeSandbox(id);
  }

  /** Asks once, or until the answer fits; what does not come true in half a minute is given back as it is. */
  async #look<T>(ask: () => Promise<T | undefined>, fits?: (answer: T) => boolean): Promise<T | undefined> {
    const { env, signal } = this.node;
    let { first: ms, times } = RECHECK;
    for (;;) {
      const answer = await ask();
      if (answer === undefined || !fits || fits(answer) || --times === 0) return answer;
      await sleep(env, ms, { signal });
      ms = Math.min(ms * 2, RECHECK.last);
    }
  }

  /** Takes in what the runtime says of a container, with its last words if it is over. */
  async take(status: ContainerStatus): Promise<void> {
    if (status.state === 'exited' && !this.messages.has(status.id)) {
      this.messages.set(status.id, await this.#lastWords(status));
    }
    this.runtime.put(status);
    this.#syncProbes(status);
    for (const listener of this.#listeners) listener();
  }

  forget(id: string): void {
    this.node.unregister(id);
    this.runtime.remove(id);
    this.messages.delete(id);
    this.resizer.ended(id);
    this.#probes.get(id)?.stop();
    this.#probes.delete(id);
    for (const listener of this.#listeners) listener();
  }

  stopJudging(): void {
    for (const probes of this.#probes.values()) probes.stopJudging();
  }

  release(): void {
    for (const probes of this.#probes.values()) probes.stop();
    this.#probes.clear();
    this.objects.release();
  }

  #syncProbes(status: ContainerStatus): void {
    const known = this.#probes.get(status.id);
    if (status.state === 'running') this.resizer.began(status.id, status.name);
    else this.resizer.ended(status.id);
    if (status.state !== 'running') {
      known?.stop();
      if (known) this.#probes.delete(status.id);
      return;
    }
    const target = containerNamed(this.pod, status.name);
    if (known || !target || (target.kind !== 'app' && target.kind !== 'sidecar')) return;
    const container = target.container as Container;
    if (!ContainerProbes.needed(container)) return;
    const { env, runtime, host, config } = this.node;
    const reported = [...(this.pod.status?.containerStatuses ?? []), ...(this.pod.status?.initContainerStatuses ?? [])];
    const probes = new ContainerProbes({
      before: reported.find(({ containerID, state }) => state?.running && containerID?.endsWith(`://${status.id}`)),
      env,
      runtime,
      prober: host.prober,
      container,
      id: status.id,
      startedAt: status.startedAt,
      podIP: () => this.addresses.podIPs[0] ?? '',
      changed: this.wake,
      counted: (type, result) => {
        let results = this.probeCounts.get(container.name);
        if (!results) this.probeCounts.set(container.name, (results = new Map()));
        const key = `${type} ${result}`;
        results.set(key, (results.get(key) ?? 0) + 1);
      },
      note: (type, reason, message) => this.note(type, reason, message, container.name),
      userAgent: `kube-probe/${config.version.replace(/^v/, '').split('.').slice(0, 2).join('.')}`,
    });
    this.#probes.set(status.id, probes);
    if (this.stop) probes.stopJudging();
  }

  /** The termination message, or the end of the log where the policy says so. */
  async #lastWords(status: ContainerStatus): Promise<string> {
    const { files } = this.node.host;
    const file = this.messageFile(status.name, status.attempt);
    const written = (await files.size(file)) ? await files.read(file, MESSAGE_BYTES, 'end') : undefined;
    if (written?.length) return decodeText(written);
    const policy = status.annotations[LABELS.messagePolicy];
    if (policy !== 'FallbackToLogsOnError' || status.exitCode === 0) return '';
    const path = status.logPath.startsWith('/') ? status.logPath : `${this.logDirectory}/${status.logPath}`;
    const tail = await files.read(path, FALLBACK.bytes * 4, 'end');
    return tail ? lastLogLines(decodeText(tail), FALLBACK) : '';
  }

  #objectsChanged(): void {
    this.configurationChanged();
    this.wake();
  }

  /** What some step has missed may be there now, and the content of volumes is stale. */
  configurationChanged(): void {
    this.blocks.delete('volumes');
    for (const [key, block] of this.blocks) if (block.reason === 'CreateContainerConfigError') this.blocks.delete(key);
    this.volumesStale = true;
  }

  /** Live volumes are to be made anew. */
  volumesStale = false;
  /** Not before this time (of the node's `time`) after a failure; 0: no failure. */
  refreshAfter = 0;
}
