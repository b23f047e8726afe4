// The scheduler as a component: watches pods and nodes, places one pod after the other by `plan`, and binds beside that.

import { isReason } from '../api/errors.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { sameJson } from '../api/same-json.ts';
import { rfc3339, sleep, type Env } from '../base/env.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Client } from '../client/client.ts';
import { createEventRecorder, type EventRecorder } from '../client/event-recorder.ts';
import type { InformerFactory } from '../client/informer.ts';
import type { ClusterEvent, Plugin } from './framework.ts';
import { ClusterState } from './node-state.ts';
import { schedule } from './plan.ts';
import { defaultPlugins } from './plugins/index.ts';
import { SchedulingQueue } from './queue.ts';
import { schedulerMetrics } from './scheduler-metrics.ts';

export interface SchedulerOptions {
  readonly client: Client;
  readonly env: Env;
  readonly informers: InformerFactory;
  /** Pods with this `spec.schedulerName` are ours. */
  readonly schedulerName?: string;
  readonly plugins?: readonly Plugin[];
  readonly metrics?: Metrics;
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
  readonly #client: Client;
  readonly #env: Env;
  readonly #name: string;
  readonly #plugins: readonly Plugin[];
  readonly #informers: InformerFactory;
  readonly #signal: AbortSignal;
  readonly #events: EventRecorder;
  readonly #state = new ClusterState();
  readonly #queue: SchedulingQueue;
  /** Told of each attempt: whether it found a node, and how many milliseconds it took. */
  readonly #attempted: (found: boolean, ms: number) => void;
  #start = 0;
  #binding = 0;
  #wake: (() => void) | undefined;
  #woken = false;

  constructor(options: SchedulerOptions, signal: AbortSignal) {
    this.#client = options.client;
    this.#env = { ...options.env, log: options.env.log.child('scheduler') };
    this.#name = options.schedulerName ?? 'default-scheduler';
    this.#plugins = options.plugins ?? defaultPlugins;
    this.#informers = options.informers;
    this.#signal = signal;
    this.#events = createEventRecorder({ client: this.#client, env: this.#env, component: this.#name, signal });
    this.#queue = new SchedulingQueue(this.#env.clock, this.#plugins, () => this.#notify());
    this.#attempted = schedulerMetrics(options.metrics, this.#name, this.#queue);
  }

  async run(): Promise<void> {
    const nodes = this.#informers.informer(Node);
    const pods = this.#informers.informer(Pod);
    await Promise.all([nodes.synced, pods.synced]);
    const stop = [nodes.on((node, old) => this.#onNode(node, old)), pods.on((pod, old) => this.#onPod(pod, old))];
    this.#signal.addEventListener('abort', () => this.#notify(), { once: true });
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
    if (!old) return this.#queue.event('NodeAdd');
    const same =
      sameJson(old.spec, node.spec) &&
      sameJson(old.status?.allocatable, node.status?.allocatable) &&
      sameJson(old.metadata.labels, node.metadata.labels);
    if (!same) this.#queue.event('NodeUpdate');
  }

  #onPod(pod: Pod | undefined, old: Pod | undefined): void {
    const { uid } = (pod ?? old)!.metadata;
    if (!pod) {
      this.#queue.delete(uid);
      this.#state.removePod(uid);
      if (old?.spec.nodeName) this.#queue.event('PodDelete');
      return;
    }
    this.#state.setPod(pod);
    if (pod.spec.nodeName) {
      this.#queue.delete(uid);
      const event = this.#eventOf(pod, old);
      if (event) this.#queue.event(event);
    } else if (finished(pod) || pod.metadata.deletionTimestamp || pod.spec.schedulingGates?.length) {
      this.#queue.delete(uid);
    } else if (pod.spec.schedulerName === this.#name && !this.#state.isAssumed(uid)) {
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
    const placement = schedule(pod, this.#state, { plugins: this.#plugins, start: this.#start });
    this.#start = (this.#start + placement.seen) % Math.max(1, this.#state.nodes.length);
    this.#attempted('node' in placement, this.#env.clock.monotonic() - began);
    if (!('node' in placement)) {
      this.#queue.failed(pod.metadata.uid, placement.refusedBy);
      void this.#tell(pod, placement.message);
      return;
    }
    this.#state.assume(pod, placement.node);
    this.#binding++;
    void this.#bind(pod, placement.node);
  }

  async #bind(pod: Pod, node: string): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    try {
      const body = {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace, uid },
        target: { kind: 'Node', name: node },
      };
      await this.#client.do({
        verb: 'create',
        group: '',
        version: 'v1',
        resource: 'pods',
        subresource: 'binding',
        namespace,
        name,
        body,
        options: {},
      });
      this.#queue.done(uid);
      this.#events.record({
        about: pod,
        type: 'Normal',
        reason: 'Scheduled',
        message: `Successfully assigned ${namespace}/${name} to ${node}`,
        action: 'Binding',
      });
    } catch (error) {
      this.#state.forget(uid);
      if (isReason(error, 'NotFound')) this.#queue.delete(uid);
      else {
        this.#env.log.warn('binding failed', { pod: `${namespace}/${name}`, node, error: String(error) });
        this.#queue.failed(uid, [], true);
      }
    } finally {
      this.#binding--;
      this.#notify();
    }
  }

  /** Writes the event and the PodScheduled condition of a pod that fits nowhere. */
  async #tell(pod: Pod, message: string): Promise<void> {
    this.#events.record({ about: pod, type: 'Warning', reason: 'FailedScheduling', message, action: 'Scheduling' });
    const old = pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
    if (old?.status === 'False' && old.reason === 'Unschedulable' && old.message === message) return;
    const now = rfc3339(this.#env.clock.now());
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastProbeTime: null,
      lastTransitionTime: old?.status === 'False' ? old.lastTransitionTime : now,
      ...(pod.metadata.generation ? { observedGeneration: pod.metadata.generation } : {}),
    };
    try {
      const ref = { namespace: pod.metadata.namespace, name: pod.metadata.name };
      await this.#client.patch(
        Pod,
        ref,
        'strategic',
        { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition] } },
        { subresource: 'status' },
      );
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict'))
        this.#env.log.warn('cannot write the PodScheduled condition', { error: String(error) });
    }
  }
}
