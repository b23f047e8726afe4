// One pod of a simulated node: the kubelet's plan, carried out on records at once.

import { isReason } from '../api/errors.ts';
import type { Container } from '../api/generated/core-v1.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import type { Env, Timer } from '../base/env.ts';
import { SteadyTime } from '../base/steady-time.ts';
import type { Client } from '../client/client.ts';
import { CRASH_LOOP, nextBackoff, type BackoffEntry } from './backoff.ts';
import type { KubeletConfig } from './config.ts';
import { LABELS } from './labels.ts';
import { planPod } from './plan.ts';
import type { Block, PodAction, PodPlan, ProbeVerdict, StartAction, StopRequest, Waiting } from './plan-steps.ts';
import { PodRuntime } from './pod-runtime.ts';
import { allStatuses, containerHash, graceOf, isTerminal } from './pod-spec.ts';
import type { ContainerStatus } from './runtime.ts';
import { behaviourOf, PREFIX, type ContainerBehaviour } from './simulated-behaviour.ts';
import { podStatus } from './status.ts';
import { StatusWriter } from './status-writer.ts';

export type PodBehaviour = (pod: Pod, container: string, attempt: number) => ContainerBehaviour;

export interface SimulatedPodHome {
  readonly env: Env;
  readonly client: Client;
  readonly config: KubeletConfig;
  readonly signal: AbortSignal;
  readonly behaviour?: PodBehaviour;
  readonly address: () => string;
}

/** Milliseconds: the first crash back-off. */
const BACKGROUND_WAIT = 10_000;
const CALM: ContainerBehaviour = {};
/** Milliseconds until a container that could not be made is tried again, as the kubelet does. */
const CREATE_RETRY = 10_000;
const NO_MESSAGES = new Map<string, string>();
/** More steps than any plan takes without time passing. */
const MAX_STEPS = 1000;

function annotated(pod: Pod, container: string): ContainerBehaviour {
  const { annotations } = pod.metadata;
  for (const key in annotations) if (key.startsWith(PREFIX)) return behaviourOf(annotations, container);
  return CALM;
}

export class SimulatedPod {
  readonly #home: SimulatedPodHome;
  readonly #time: SteadyTime;
  readonly #runtime: PodRuntime;
  readonly #writer: StatusWriter;
  readonly #busy = new Map<string, Timer>();
  readonly #blocks = new Map<string, Block>();
  readonly #backoffs = new Map<string, BackoffEntry>();
  readonly #behaviours = new Map<string, ContainerBehaviour & { readonly since: number }>();
  #exits: Timer[] = [];
  #pod: Pod;
  #stop: StopRequest | undefined;
  #failed: Waiting | undefined;
  #mounted = false;
  #released = false;
  #deleting = false;
  #timer: Timer | undefined;
  #ids = 0;
  #ip: string;

  constructor(home: SimulatedPodHome, pod: Pod) {
    this.#home = home;
    this.#time = new SteadyTime(home.env.clock);
    this.#runtime = new PodRuntime((wall) => this.#time.of(wall));
    this.#pod = pod;
    this.#writer = new StatusWriter(home.client, home.env, pod, home.signal);
    this.#ip = pod.status?.podIP ?? home.address();
    this.#adopt();
    this.#look();
  }

  /** What an earlier run of the simulation has left running goes on running. */
  #adopt(): void {
    for (const { name, containerID, state, restartCount, image, imageID } of allStatuses(this.#pod.status)) {
      const since = state?.running?.startedAt;
      if (!since || !containerID) continue;
      if (!this.#runtime.sandbox) this.#createSandbox(0);
      this.#mounted = true;
      const startedAt = Date.parse(since);
      const id = containerID.slice(containerID.indexOf('://') + 3);
      this.#runtime.put({
        ...this.#record(id, name, restartCount, image),
        createdAt: startedAt,
        startedAt,
        imageId: imageID,
      });
      this.#ids++;
      const target = this.#pod.spec.containers.find((c) => c.name === name);
      if (target) this.#live(id, target, (this.#home.behaviour ?? annotated)(this.#pod, name, restartCount), startedAt);
    }
  }

  #createSandbox(attempt: number): void {
    this.#runtime.putSandbox({
      id: this.#id(),
      pod: { name: '', namespace: '', uid: '' },
      attempt,
      state: 'ready',
      createdAt: this.#home.env.clock.now(),
      ips: this.#pod.spec.hostNetwork ? [] : [this.#ip],
      labels: {},
      annotations: {},
    });
  }

  #record(id: string, name: string, attempt: number, image: string): ContainerStatus {
    const now = this.#home.env.clock.now();
    return {
      id,
      sandboxId: this.#runtime.sandbox!.id,
      name,
      attempt,
      state: 'running',
      createdAt: now,
      startedAt: now,
      finishedAt: 0,
      exitCode: 0,
      reason: '',
      message: '',
      image,
      imageId: `sha256:${image}`,
      logPath: '',
      labels: {},
      // What tells that the image in the spec is another by now.
      annotations: { [LABELS.hash]: containerHash({ name, image }) },
    };
  }

  get home(): SimulatedPodHome {
    return this.#home;
  }

  update(pod: Pod): void {
    const before = this.#pod;
    this.#pod = pod;
    this.#writer.observe(pod);
    if (!this.#writer.echoed(pod, before)) this.#look();
  }

  /** The pod is gone from the API. */
  close(): void {
    this.#writer.close();
    this.#timer?.cancel();
    for (const timer of [...this.#busy.values(), ...this.#exits]) timer.cancel();
    this.#released = true;
  }

  #look(): void {
    const { metadata, status } = this.#pod;
    if (metadata.deletionTimestamp) this.#requestStop(metadata.deletionGracePeriodSeconds ?? graceOf(this.#pod));
    this.#timer?.cancel();
    let plan = this.#plan();
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      if (!this.#stop && (plan.fail || plan.finished || isTerminal(status?.phase))) {
        this.#failed = plan.fail;
        this.#requestStop(graceOf(this.#pod));
      } else if (plan.actions.length === 0) break;
      for (const action of plan.actions) this.#do(action);
      plan = this.#plan();
    }
    this.#publish(plan);
    if (plan.wake !== undefined) this.#wakeAt(plan.wake);
    this.#released = plan.released;
    if (plan.released && metadata.deletionTimestamp) this.#delete();
  }

  #plan(): PodPlan {
    return planPod({
      pod: this.#pod,
      now: this.#time.now(),
      wall: this.#home.env.clock.now(),
      runtime: this.#runtime,
      stop: this.#stop,
      verdict: this.#verdict,
      volumes: this.#mounted ? 'ready' : 'released',
      busy: this.#busy,
      backoffs: this.#backoffs,
      blocks: this.#blocks,
    });
  }

  #requestStop(seconds: number): void {
    const graceSeconds = Math.max(1, seconds);
    if (this.#stop && this.#stop.graceSeconds <= graceSeconds) return;
    this.#stop = { graceSeconds, since: this.#time.now() };
    for (const timer of this.#busy.values()) timer.cancel();
    this.#busy.clear();
  }

  #do(action: PodAction): void {
    const runtime = this.#runtime;
    switch (action.do) {
      case 'mount':
        this.#mounted = true;
        break;
      case 'unmount':
        this.#mounted = false;
        break;
      case 'createSandbox':
        this.#createSandbox(action.attempt);
        break;
      case 'stopSandbox':
        runtime.markStopped(action.id);
        break;
      case 'removeSandbox':
        runtime.removeSandbox(action.id);
        break;
      case 'removeContainer':
        runtime.remove(action.id);
        break;
      case 'start':
        this.#start(action);
        break;
      case 'kill':
        this.#kill(action.key, action.id, action.graceSeconds);
        break;
    }
  }

  #start(action: StartAction): void {
    const { name } = action.target.container;
    if (action.after !== undefined) {
      const now = this.#time.now();
      this.#backoffs.set(name, nextBackoff(this.#backoffs.get(name), action.after, now, CRASH_LOOP));
    }
    const behaviour = (this.#home.behaviour ?? annotated)(this.#pod, name, action.attempt);
    const { startDelay = 0, createError } = behaviour;
    if (createError) {
      const until = this.#time.now() + CREATE_RETRY;
      this.#blocks.set(name, { reason: 'CreateContainerError', message: createError, until });
      return;
    }
    this.#blocks.delete(name);
    if (startDelay === 0) this.#run(action, behaviour);
    else this.#later(action.key, startDelay, () => this.#run(action, behaviour));
  }

  #run({ target, attempt }: StartAction, behaviour: ContainerBehaviour): void {
    const { name, image = '' } = target.container;
    const id = this.#id();
    this.#runtime.put(this.#record(id, name, attempt, image));
    const { startError } = behaviour;
    if (startError) return this.#exit(id, 128, 'StartError', startError);
    this.#live(id, target.container, behaviour, this.#home.env.clock.now());
  }

  /** Sets the timers of a container that runs since `startedAt`. */
  #live(
    id: string,
    { readinessProbe }: Pick<Container, 'readinessProbe'>,
    behaviour: ContainerBehaviour,
    startedAt: number,
  ): void {
    const since = this.#time.of(startedAt);
    this.#behaviours.set(id, { ...behaviour, since });
    const { clock } = this.#home.env;
    const { exitAfter, readyAfter } = behaviour;
    const lived = this.#time.now() - since;
    if (exitAfter !== undefined) {
      const exit = () => {
        this.#exit(id, behaviour.exitCode ?? 0, behaviour.exitReason);
        this.#look();
      };
      this.#exits.push(clock.setTimer(exitAfter - lived, exit));
    }
    const ready = readyAfter ?? (readinessProbe?.initialDelaySeconds ?? 0) * 1000;
    if (readinessProbe && ready > lived) {
      this.#exits.push(clock.setTimer(ready - lived, () => this.#look()));
    }
  }

  #kill(key: string, id: string, graceSeconds: number): void {
    const { stopAfter = 0, stopCode = 0 } = this.#behaviours.get(id) ?? CALM;
    const killed = stopAfter > graceSeconds * 1000;
    const code = killed ? 137 : stopCode;
    if (stopAfter === 0) return this.#exit(id, code);
    this.#later(key, killed ? graceSeconds * 1000 : stopAfter, () => this.#exit(id, code));
  }

  #exit(id: string, exitCode: number, reason = exitCode === 0 ? 'Completed' : 'Error', message = ''): void {
    const known = this.#runtime.find(id);
    if (!known || known.state === 'exited') return;
    const finishedAt = this.#home.env.clock.now();
    this.#runtime.put({ ...known, state: 'exited', exitCode, reason, message, finishedAt });
    this.#behaviours.delete(id);
  }

  #later(key: string, ms: number, then: () => void): void {
    this.#busy.set(
      key,
      this.#home.env.clock.setTimer(ms, () => {
        this.#busy.delete(key);
        then();
        this.#look();
      }),
    );
  }

  readonly #verdict = (id: string): ProbeVerdict => {
    const container = this.#runtime.find(id);
    const behaviour = this.#behaviours.get(id);
    if (!container || !behaviour) return { startup: true, liveness: true, readiness: true };
    const all = [...this.#pod.spec.containers, ...(this.#pod.spec.initContainers ?? [])];
    const probe = all.find((c) => c.name === container.name)?.readinessProbe;
    const ready = behaviour.readyAfter ?? (probe?.initialDelaySeconds ?? 0) * 1000;
    const readiness = this.#time.now() - behaviour.since >= ready;
    return { startup: true, liveness: true, readiness };
  };

  #publish(plan: PodPlan): void {
    this.#writer.set(
      podStatus({
        pod: this.#pod,
        now: this.#home.env.clock.now(),
        runtime: this.#runtime,
        runtimeName: 'simulated',
        verdict: this.#verdict,
        waiting: plan.waiting,
        messages: NO_MESSAGES,
        previous: this.#writer.last ?? this.#pod.status,
        hostIPs: this.#home.config.nodeIPs,
        podIPs: this.#runtime.sandboxes.length ? [this.#ip] : [],
        terminal: plan.stopped,
        failed: this.#failed,
      }),
    );
  }

  #wakeAt(at: number): void {
    const { clock } = this.#home.env;
    const wait = Math.max(0, at - this.#time.now());
    // A pod that only waits out a back-off has settled.
    this.#timer = clock.setTimer(wait, () => this.#look(), { unref: wait >= BACKGROUND_WAIT });
  }

  #delete(): void {
    if (this.#deleting) return;
    this.#deleting = true;
    this.#deleteObject().catch((error: unknown) => {
      this.#deleting = false;
      if (this.#home.signal.aborted || !this.#released) return;
      this.#home.env.log.warn('cannot delete a simulated pod', { pod: this.#pod.metadata.name, error });
      this.#wakeAt(this.#time.now() + 1000);
    });
  }

  async #deleteObject(): Promise<void> {
    await this.#writer.flush();
    const { namespace, name, uid } = this.#pod.metadata;
    const { client, signal } = this.#home;
    try {
      const options = { gracePeriodSeconds: 0, ...(uid ? { preconditions: { uid } } : {}), signal };
      await client.delete(Pod, { namespace, name }, options);
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
  }

  #id(): string {
    return `${this.#pod.metadata.uid}-${++this.#ids}`;
  }
}
