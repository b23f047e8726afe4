// The kubelet: keeps one node registered and runs the pods bound to it. One worker per pod; this file hands out pods
// and runtime events to them, and cleans up what belongs to nobody.
// https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/

import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Service } from '../api/kinds/core/service.ts';
import { sleep, type Env } from '../base/env.ts';
import { SteadyTime } from '../base/steady-time.ts';
import type { Client } from '../client/client.ts';
import type { EventNote } from '../client/controller.ts';
import { createEventRecorder } from '../client/event-recorder.ts';
import type { Informer, InformerFactory } from '../client/informer.ts';
import type { KubeObject } from '../api/object.ts';
import type { KubeletConfig } from './config.ts';
import type { KubeletHost } from './host.ts';
import { ImageManager } from './images.ts';
import { admitPod } from './node-admission.ts';
import { NodeAgent } from './node-agent.ts';
import type { NodeContext } from './node-context.ts';
import { NodeObjects } from './node-objects.ts';
import { nodeAllocatable } from './node-status.ts';
import { removeInterruptedStarts } from './interrupted-starts.ts';
import { removeOrphans } from './orphans.ts';
import { rotateLogs } from './log-rotation.ts';
import { isTerminal } from './pod-spec.ts';
import { QosCgroups } from './qos-cgroups.ts';
import { PodWorker } from './pod-worker.ts';
import type { TokenSource } from './pod-tokens.ts';
import type { KubeletMetrics } from './kubelet-metrics.ts';
import { LABELS } from './labels.ts';
import type { ContainerRuntime, ContainerStatus, EventOwner, RuntimeEvent, SandboxStatus } from './runtime.ts';

export interface KubeletDependencies {
  readonly client: Client;
  readonly env: Env;
  readonly config: KubeletConfig;
  readonly runtime: ContainerRuntime;
  readonly host: KubeletHost;
  readonly informers: InformerFactory;
  /** Events go to the API unless told: `() => {}` for simulations that want none. */
  readonly record?: (about: KubeObject, note: EventNote) => void;
  /** Where projected service account tokens come from; the API unless told. */
  readonly token?: TokenSource;
  /** Counts what happens, where somebody wants to know. */
  readonly metrics?: KubeletMetrics;
  /** Called once with the running kubelet's pods, for the node API. */
  readonly onPods?: (pods: KubeletPods) => void;
}

/** What the node API asks of the kubelet. */
export interface KubeletPods {
  worker(namespace: string, name: string): PodWorker | undefined;
  workers(): Iterable<PodWorker>;
  /** Looks at the node's own state at once: its network has come up, say. */
  checkNode(): void;
}

const RELIST_RETRY = 1_000;
/** Events are the way; this is for the ones a runtime may have swallowed. */
const SAFETY_RELIST = 300_000;

/** Runs until the signal aborts; what runs in the runtime then goes on running. */
export async function runKubelet(deps: KubeletDependencies, { signal }: { signal: AbortSignal }): Promise<void> {
  const stop = new AbortController();
  const all = AbortSignal.any([signal, stop.signal]);
  try {
    await new Kubelet(deps, all).run();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    stop.abort(new Error('the kubelet has ended'));
  }
}

class Kubelet {
  readonly #deps: KubeletDependencies;
  readonly #signal: AbortSignal;
  readonly #workers = new Map<string, PodWorker>();
  readonly #owners = new Map<string, EventOwner>();
  readonly #taken = new Set<string>();
  #relisting: Promise<void> | undefined;
  #relistAgain = false;
  /** The pods are known: before that everything that runs would look like an orphan. */
  #started = false;
  #pods!: Informer<Pod>;
  #node!: NodeContext;
  #agent!: NodeAgent;
  #qos!: QosCgroups;

  constructor(deps: KubeletDependencies, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const { client, env, config, runtime, host, informers } = this.#deps;
    const signal = this.#signal;
    const machine = await host.machine();
    const record = this.#deps.record ?? this.#recorder();
    const time = new SteadyTime(env.clock);
    const clockJumped = () => {
      for (const worker of this.#workers.values()) worker.clockJumped();
    };
    this.#agent = new NodeAgent({ env, client, config, runtime, host, machine, record, clockJumped, signal });
    await this.#agent.register();
    const agent = this.#agent.run();
    agent.catch(() => {});
    informers.informer(Node, { fieldSelector: `metadata.name=${config.nodeName}` }).on((node) => {
      if (node) this.#agent.observe(node);
    });
    this.#node = {
      env,
      time,
      client,
      config,
      runtime,
      runtimeName: await this.#runtimeName(),
      host,
      machine,
      images: new ImageManager(runtime, env),
      objects: new NodeObjects(client, env, signal),
      services: informers.informer(Service),
      ...(this.#deps.token ? { token: this.#deps.token } : {}),
      ...(this.#deps.metrics ? { metrics: this.#deps.metrics } : {}),
      allocatable: nodeAllocatable({ config, machine }),
      otherPods: (uid) => this.#others(uid),
      freed: () => {
        for (const worker of this.#workers.values()) worker.reconsider();
      },
      record,
      register: (id, owner) => void this.#owners.set(id, owner),
      unregister: (id) => void this.#owners.delete(id),
      signal,
    };
    const events = runtime.events((event) => this.#runtimeEvent(event), { signal });
    events.catch(() => {});
    this.#pods = informers.informer(Pod, { fieldSelector: `spec.nodeName=${config.nodeName}` });
    await this.#pods.synced;
    this.#qos = new QosCgroups(this.#node, () => this.#others(''));
    await this.#qos.begin();
    await this.#start();
    this.#deps.onPods?.({
      worker: (namespace, name) => this.#workerNamed(namespace, name),
      workers: () => this.#workers.values(),
      checkNode: () => this.#agent.checkNow(),
    });
    this.#deps.metrics?.watch(() => this.#workers.values());
    const works = () => Array.from(this.#workers.values(), (worker) => worker.work);
    await Promise.all([agent, events, this.#safetyLoop(), rotateLogs(this.#node, works)]);
  }

  #recorder(): (about: KubeObject, note: EventNote) => void {
    const { client, env, config } = this.#deps;
    const recorder = createEventRecorder({
      client,
      env,
      component: 'kubelet',
      host: config.nodeName,
      signal: this.#signal,
    });
    return (about, note) => recorder.record({ ...note, about });
  }

  async #runtimeName(): Promise<string> {
    const { runtime, env } = this.#deps;
    for (;;) {
      try {
        return (await runtime.info()).name;
      } catch (error) {
        env.log.warn('the container runtime does not answer, trying again', { error });
        await sleep(env, RELIST_RETRY, { signal: this.#signal });
      }
    }
  }

  /** What runs is looked at before any pod is, so that nothing is started twice. */
  async #start(): Promise<void> {
    const pods = [...this.#pods.list()].sort(byCreation);
    const { sandboxes, containers: found } = await this.#list();
    const listing = { sandboxes, containers: await removeInterruptedStarts(this.#node, found, pods) };
    for (const pod of pods) await this.#add(pod, listing);
    const unsubscribe = this.#pods.on((pod, old) => {
      this.#podChanged(pod, old).catch((error: unknown) => {
        if (!this.#signal.aborted) this.#deps.env.log.error('cannot take up a pod', { error });
      });
    });
    this.#signal.addEventListener('abort', () => {
      unsubscribe();
      for (const worker of this.#workers.values()) worker.close();
    });
    await removeOrphans(this.#node, listing, this.#workers);
    this.#started = true;
    if (!this.#relistAgain) return;
    this.#relistAgain = false;
    this.#relist();
  }

  async #podChanged(pod: Pod | undefined, old: Pod | undefined): Promise<void> {
    if (old && old.metadata.uid !== pod?.metadata.uid) this.#workers.get(old.metadata.uid!)?.remove();
    if (!pod) return;
    const worker = this.#workers.get(pod.metadata.uid!);
    if (worker) worker.update(pod);
    else await this.#add(pod, undefined);
  }

  async #add(pod: Pod, listing: Listing | undefined): Promise<void> {
    const uid = pod.metadata.uid!;
    const worker = new PodWorker(this.#node, pod, () => {
      this.#workers.delete(uid);
      this.#taken.delete(uid);
      this.#qos.changed();
    });
    this.#workers.set(uid, worker);
    const sandboxes = listing?.sandboxes.filter((s) => s.pod.uid === uid) ?? [];
    if (listing && sandboxes.length) {
      const containers = listing.containers.filter((c) => c.labels[LABELS.podUid] === uid);
      await worker.reconcile(sandboxes, containers, this.#deps.env.clock.now());
    } else if (!isTerminal(pod.status?.phase) && !pod.metadata.deletionTimestamp) {
      const refused = this.#admit(pod);
      if (refused) return worker.reject(refused.reason, refused.message);
    }
    this.#taken.add(uid);
    this.#qos.changed();
    worker.wake();
  }

  #admit(pod: Pod) {
    const others = this.#others('');
    const { allowedUnsafeSysctls } = this.#deps.config;
    const { allocatable } = this.#node;
    return admitPod({ pod, node: this.#agent.node, others, allocatable, allowedUnsafeSysctls });
  }

  #others(but: string): Pod[] {
    const others: Pod[] = [];
    for (const uid of this.#taken) {
      const worker = uid === but ? undefined : this.#workers.get(uid);
      if (worker && !worker.stopped && !isTerminal(worker.pod.status?.phase)) others.push(worker.pod);
    }
    return others;
  }

  #runtimeEvent({ type, containerId }: RuntimeEvent): void {
    if (type === 'lost') {
      this.#agent.checkNow();
      this.#relist();
    } else {
      this.#owners.get(containerId)?.runtimeEvent(containerId, type);
    }
  }

  /** Reconciles every worker with the runtime; a demand during a relist leads to one more. */
  #relist(): void {
    if (this.#relisting || !this.#started) {
      this.#relistAgain = true;
      return;
    }
    this.#relisting = this.#relistOnce()
      .catch((error: unknown) => {
        if (!this.#signal.aborted) this.#deps.env.log.error('cannot reconcile with the runtime', { error });
      })
      .finally(() => {
        this.#relisting = undefined;
        if (!this.#relistAgain) return;
        this.#relistAgain = false;
        this.#relist();
      });
  }

  async #relistOnce(): Promise<void> {
    const { clock } = this.#deps.env;
    const [began, started] = [clock.now(), clock.monotonic()];
    const listing = await this.#list();
    for (const [uid, worker] of this.#workers) {
      const sandboxes = listing.sandboxes.filter((s) => s.pod.uid === uid);
      const containers = listing.containers.filter((c) => c.labels[LABELS.podUid] === uid);
      await worker.reconcile(sandboxes, containers, began);
      worker.wake();
    }
    await removeOrphans(this.#node, listing, this.#workers);
    this.#deps.metrics?.relist.observe((clock.monotonic() - started) / 1000);
  }

  async #list(): Promise<Listing> {
    const { runtime, env } = this.#deps;
    for (let ms = 50; ; ms = Math.min(ms * 2, RELIST_RETRY)) {
      try {
        const [sandboxes, containers] = await Promise.all([runtime.listSandboxes(), runtime.listContainers()]);
        return { sandboxes, containers };
      } catch (error) {
        env.log.warn('cannot list what runs, trying again', { error });
        await sleep(env, ms, { signal: this.#signal });
      }
    }
  }

  async #safetyLoop(): Promise<void> {
    for (;;) {
      await sleep(this.#deps.env, SAFETY_RELIST, { signal: this.#signal, unref: true });
      this.#relist();
    }
  }

  #workerNamed(namespace: string, name: string): PodWorker | undefined {
    const pod = this.#pods.get(`${namespace}/${name}`);
    return pod && this.#workers.get(pod.metadata.uid!);
  }
}

interface Listing {
  readonly sandboxes: readonly SandboxStatus[];
  readonly containers: readonly ContainerStatus[];
}

function byCreation(a: Pod, b: Pod): number {
  return (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '');
}
