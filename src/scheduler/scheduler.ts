// The scheduler as a component: watches pods and nodes, places one pod after the other by `plan`, and binds beside that.

import { isReason } from '../api/errors.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { PodDisruptionBudget } from '../api/kinds/policy/pod-disruption-budget.ts';
import type { KubeObject } from '../api/object.ts';
import { sameJson } from '../api/same-json.ts';
import { sleep, type Env } from '../base/env.ts';
import { onAbort } from '../base/on-abort.ts';
import type { Span } from '../base/trace.ts';
import type { Client } from '../client/client.ts';
import { createEventRecorder } from '../client/event-recorder.ts';
import type { InformerFactory } from '../client/informer.ts';
import type { ClusterEvent, Plugin } from './framework.ts';
import { ClusterState } from './node-state.ts';
import { Nominations } from './nominations.ts';
import { schedule, type Unplaced } from './plan.ts';
import { defaultPlugins } from './plugins/index.ts';
import { PodWrites } from './pod-writes.ts';
import { findVictims } from './preemption.ts';
import { SchedulingQueue } from './queue.ts';
import { SchedulerMetrics } from './scheduler-metrics.ts';
import { schedulingSpan } from './scheduling-span.ts';

export interface SchedulerOptions {
  readonly client: Client;
  readonly env: Env;
  readonly informers: InformerFactory;
  /** Pods with this `spec.schedulerName` are ours. */
  readonly schedulerName?: string;
  readonly plugins?: readonly Plugin[];
}

/** Bindings under way at once. */
const MAX_BINDING = 100;
/** How long placing may hold the thread before others get a turn, in milliseconds. */
const SLICE = 8;

const finished = (pod: Pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Runs until the signal aborts. */
export async function runScheduler(options: SchedulerOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  const scheduler = new Scheduler(options, signal);
  await scheduler.run();
}

class Scheduler {
  readonly #env: Env;
  readonly #name: string;
  readonly #plugins: readonly Plugin[];
  readonly #informers: InformerFactory;
  readonly #signal: AbortSignal;
  readonly #state: ClusterState;
  readonly #writes: PodWrites;
  readonly #nominations = new Nominations();
  readonly #queue: SchedulingQueue;
  readonly #metrics: SchedulerMetrics | undefined;
  #start = 0;
  #binding = 0;
  #wake: (() => void) | undefined;
  #woken = false;

  constructor(options: SchedulerOptions, signal: AbortSignal) {
    this.#env = { ...options.env, log: options.env.log.child('scheduler') };
    this.#name = options.schedulerName ?? 'default-scheduler';
    this.#plugins = options.plugins ?? defaultPlugins;
    this.#informers = options.informers;
    this.#signal = signal;
    const { client } = options;
    const events = createEventRecorder({ client, env: this.#env, component: this.#name, signal });
    this.#writes = new PodWrites({ client, env: this.#env, events }, this.#name);
    const namespaces = this.#informers.informer(Namespace);
    this.#state = new ClusterState((name) => namespaces.get(name)?.metadata.labels);
    this.#queue = new SchedulingQueue(this.#env.clock, this.#plugins, () => this.#notify());
    const { metrics } = this.#env;
    this.#metrics = metrics && new SchedulerMetrics(metrics, this.#name, this.#queue, this.#state);
  }

  async run(): Promise<void> {
    const nodes = this.#informers.informer(Node);
    const pods = this.#informers.informer(Pod);
    const others = [Namespace, PodDisruptionBudget].map((kind) => this.#informers.informer<KubeObject>(kind).synced);
    await Promise.all([nodes.synced, pods.synced, ...others]);
    const stop = [nodes.on((node, old) => this.#onNode(node, old)), pods.on((pod, old) => this.#onPod(pod, old))];
    onAbort(this.#signal, () => this.#notify());
    let sliceStart = this.#env.clock.monotonic();
    while (!this.#signal.aborted) {
      const pod = this.#binding < MAX_BINDING ? this.#queue.pop() : undefined;
      if (!pod) {
        await this.#pause();
        sliceStart = this.#env.clock.monotonic();
        continue;
      }
      this.#place(pod);
      if (this.#env.clock.monotonic() - sliceStart > SLICE) {
        await sleep(this.#env, 0);
        sliceStart = this.#env.clock.monotonic();
      }
    }
    for (const unsubscribe of stop) unsubscribe();
    this.#queue.stop();
    this.#metrics?.close();
  }

  #notify(): void {
    this.#woken = true;
    this.#wake?.();
  }

  async #pause(): Promise<void> {
    if (!this.#woken) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
    this.#woken = false;
  }

  #onNode(node: Node | undefined, old: Node | undefined): void {
    if (!node) return this.#state.removeNode(old!.metadata.name);
    this.#state.setNode(node);
    const mayHelp = (pod: Pod) => this.#mayTake(node.metadata.name, pod);
    if (!old) return this.#queue.event('NodeAdd', mayHelp);
    const same =
      sameJson(old.spec, node.spec) &&
      sameJson(old.status?.allocatable, node.status?.allocatable) &&
      sameJson(old.metadata.labels, node.metadata.labels);
    if (!same) this.#queue.event('NodeUpdate', mayHelp);
  }

  /** False when the node as it is now will not have the pod, whatever else changes: trying would only lengthen its back-off. */
  #mayTake(name: string, pod: Pod): boolean {
    const info = this.#state.node(name);
    if (!info) return false;
    return !this.#plugins.some(
      (plugin) => plugin.nodeAlone && plugin.filter?.(pod, this.#state)?.(info)?.unresolvable === true,
    );
  }

  #onPod(pod: Pod | undefined, old: Pod | undefined): void {
    const { uid } = (pod ?? old)!.metadata;
    if (!pod) {
      this.#queue.delete(uid);
      this.#nominations.delete(uid);
      this.#state.removePod(uid);
      if (old?.spec.nodeName) this.#queue.event('PodDelete');
      return;
    }
    this.#state.setPod(pod);
    if (pod.spec.nodeName) {
      this.#queue.delete(uid);
      this.#nominations.delete(uid);
      const event = this.#eventOf(pod, old);
      if (event) this.#queue.event(event);
    } else if (finished(pod) || pod.metadata.deletionTimestamp || pod.spec.schedulingGates?.length) {
      this.#queue.delete(uid);
      this.#nominations.delete(uid);
    } else if (pod.spec.schedulerName === this.#name && !this.#state.isAssumed(uid)) {
      if (!old) this.#nominations.restore(pod);
      this.#queue.set(pod);
    }
  }

  #eventOf(pod: Pod, old: Pod | undefined): ClusterEvent | undefined {
    if (finished(pod)) return old && !finished(old) ? 'PodDelete' : undefined;
    if (!old?.spec.nodeName) return 'PodAdd';
    return old.spec !== pod.spec || old.metadata.labels !== pod.metadata.labels ? 'PodUpdate' : undefined;
  }

  #place(pod: Pod): void {
    const began = this.#env.clock.monotonic();
    const { uid } = pod.metadata;
    const besideNominated = this.#nominations.filterFor(pod, this.#state, this.#plugins);
    const placement = schedule(pod, this.#state, { plugins: this.#plugins, start: this.#start, besideNominated });
    this.#start = (this.#start + placement.seen) % Math.max(1, this.#state.nodes.length);
    this.#metrics?.attempted('node' in placement, this.#env.clock.monotonic() - began);
    if (!('node' in placement)) {
      this.#queue.failed(uid, placement.refusedBy);
      this.#makeRoom(pod, placement);
      return;
    }
    this.#nominations.delete(uid);
    this.#state.assume(pod, placement.node);
    this.#binding++;
    const { tracer } = this.#env;
    void this.#bind(pod, placement.node, began, tracer && schedulingSpan(tracer, pod, placement.node, began));
  }

  async #bind(pod: Pod, node: string, began: number, span: Span | undefined): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    // The pod leaves the queue when it is seen bound, which may be before we are told.
    const progress = this.#queue.progress(uid);
    try {
      await this.#writes.bind(pod, node, span);
      span?.finish();
      this.#queue.done(uid);
      if (progress) this.#metrics?.bound(progress, began, this.#env.clock.monotonic());
    } catch (error) {
      span?.finish(error);
      this.#state.forget(uid);
      // Pods that waited for the room this one took may have it.
      this.#queue.event('PodDelete');
      if (isReason(error, 'NotFound')) this.#queue.delete(uid);
      else {
        this.#env.log.warn('binding failed', { pod: `${namespace}/${name}`, node, error: String(error) });
        this.#metrics?.failed(this.#env.clock.monotonic() - began);
        this.#queue.failed(uid, [], true);
        const message = `binding rejected: ${(error as Error).message}`;
        void this.#writes.tell(pod, { reason: 'SchedulerError', message });
      }
    } finally {
      this.#binding--;
      this.#notify();
    }
  }

  /** Sees whether less important pods could make room, sets that going, and tells the pod. */
  #makeRoom(pod: Pod, { message, refusals }: Unplaced): void {
    const reason = 'Unschedulable';
    if (refusals.length === 0) return void this.#writes.tell(pod, { reason, message });
    const { uid } = pod.metadata;
    const budgets = this.#informers.informer(PodDisruptionBudget).list();
    const nominated = this.#nominations.nodeOf(uid);
    const found = findVictims(pod, this.#state, { plugins: this.#plugins, refusals, budgets, nominated });
    if ('victims' in found) {
      const { node, victims } = found;
      for (const loser of this.#nominations.nominate(pod, node)) void this.#writes.forgetNomination(loser);
      void this.#writes.tell(pod, { reason, message, nominated: node });
      this.#metrics?.preempted(victims.length);
      void this.#writes.preempt(victims, pod, node);
      return;
    }
    const whole = `${message} ${found.message}`;
    if (found.underWay) return void this.#writes.tell(pod, { reason, message: whole, nominated });
    this.#nominations.delete(uid);
    void this.#writes.tell(pod, { reason, message: whole });
  }
}
