// Drives one pod: looks (plans), begins what is to be done, publishes the status, sleeps until something happens. It is
// woken by changes of the pod, runtime events, probe results, finished actions and timers; looks never overlap.

import { isReason } from '../api/errors.ts';
import { sameJson } from '../api/same-json.ts';
import type { PodStatus } from '../api/generated/core-v1.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { sleep, type Timer } from '../base/env.ts';
import type { Span } from '../base/trace.ts';
import { actionSpan } from './action-span.ts';
import { CRASH_LOOP, nextBackoff } from './backoff.ts';
import type { NodeContext } from './node-context.ts';
import { planPod } from './plan.ts';
import type { PodAction, PodPlan, Waiting } from './plan-steps.ts';
import {
  createSandbox,
  destroyPod,
  killContainer,
  mountVolumes,
  refreshVolumes,
  removeContainer,
  removeSandbox,
  resizeContainer,
  stopSandbox,
  unmountVolumes,
} from './pod-actions.ts';
import { graceOf, isTerminal, podText } from './pod-spec.ts';
import { PodWork } from './pod-work.ts';
import type { ContainerStatus, RuntimeEvent, SandboxStatus } from './runtime.ts';
import { startContainer } from './start-container.ts';
import { podStatus, rejectedStatus } from './status.ts';
import { StatusWriter } from './status-writer.ts';

/** Pause before an action that failed unexpectedly is tried again. */
const MISHAP_RETRY = 1_000;

interface Running {
  readonly action: PodAction;
  readonly abort: AbortController;
}

/** Milliseconds: the first crash back-off, and the usual period of probes. */
const BACKGROUND_WAIT = 10_000;
/** Milliseconds until the runtime has surely taken note of what it has just told of. */
const OOM_NOTED = 20;
/** Milliseconds for which a new pod's way to its first container is not told: most are through sooner. */
const FIRST_WORD = 5;

export class PodWorker {
  readonly #node: NodeContext;
  readonly #work: PodWork;
  readonly #writer: StatusWriter;
  readonly #running = new Map<string, Running>();
  readonly #told = new Map<string, string>();
  readonly #finished: () => void;
  #timer: Timer | undefined;
  /** Runs until a new pod's first status is made up. */
  #silence: Timer | undefined;
  #quiet = true;
  #untold: PodPlan | undefined;
  #toldPod: Pod | undefined;
  #toldVersion = -1;
  #queued = false;
  #failed: Waiting | undefined;
  #rejected: Waiting | undefined;
  /** The API object is gone. */
  #removed = false;
  #ending = false;
  #stopped = false;
  /** We have deleted the API object, and wait to see it go. */
  #objectDeleted = false;
  #closed = false;
  /** When a pod that has never run was seen first. */
  #seen: number | undefined;

  /** `finished` is called once nothing of the pod is left on this node. */
  constructor(node: NodeContext, pod: Pod, finished: () => void) {
    this.#node = node;
    this.#finished = finished;
    this.#work = new PodWork(node, pod, () => this.wake());
    this.#writer = new StatusWriter(node.client, node.env, pod, node.signal);
    if (pod.status?.phase === undefined || pod.status.phase === 'Pending') this.#seen = node.env.clock.monotonic();
    if (pod.metadata.deletionTimestamp) this.#noteDeletion(pod);
  }

  get pod(): Pod {
    return this.#work.pod;
  }

  get work(): PodWork {
    return this.#work;
  }

  /** Nothing of it runs any more, and nothing will. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The status as this kubelet sees it, written or about to be. */
  get status(): PodStatus | undefined {
    return this.#writer.last ?? this.#work.pod.status;
  }

  /** Takes up what a listing, begun at `began`, found of this pod. */
  reconcile(sandboxes: readonly SandboxStatus[], containers: readonly ContainerStatus[], began: number): Promise<void> {
    return this.#work.reconcile(sandboxes, containers, began, this);
  }

  /** The pod changed in the API. */
  update(pod: Pod): void {
    const before = this.#work.raw;
    this.#work.observe(pod);
    this.#writer.observe(pod);
    const { deletionTimestamp } = pod.metadata;
    if (deletionTimestamp) this.#noteDeletion(pod);
    // Our own status write coming back tells nothing new.
    if (this.#writer.echoed(pod, before)) return;
    if (
      !sameJson(before.metadata.labels, pod.metadata.labels) ||
      !sameJson(before.metadata.annotations, pod.metadata.annotations)
    ) {
      this.#work.configurationChanged();
    }
    this.wake();
  }

  /** The API object is gone: what is left on the node goes too. */
  remove(): void {
    this.#removed = true;
    this.#writer.close();
    const grace = this.#work.pod.metadata.deletionGracePeriodSeconds ?? graceOf(this.#work.pod);
    this.#requestStop(Math.max(1, this.#work.stop ? Math.min(grace, this.#work.stop.graceSeconds) : grace));
    this.wake();
  }

  /** Resources have become free: a resize that had to wait may be possible now. */
  reconsider(): void {
    if (!this.#work.resizer.pending) return;
    this.#work.observe(this.#work.raw);
    this.wake();
  }

  /** This node does not take the pod. */
  reject(reason: string, message: string): void {
    this.#rejected = { reason, message };
    this.#work.note('Warning', reason, message);
    this.wake();
  }

  runtimeEvent(id: string, type: RuntimeEvent['type']): void {
    this.#lookAfter(id, type)
      .then((changed) => changed && this.wake())
      .catch((error: unknown) => this.#mishap('cannot read its state', error));
  }

  /** Resolves to whether there is something new. What we ourselves are ending tells it by the answer of that call. */
  async #lookAfter(id: string, type: RuntimeEvent['type']): Promise<boolean> {
    const work = this.#work;
    const sandbox = work.runtime.sandboxes.find((s) => s.id === id);
    if (sandbox) {
      const stopping = this.#running.get('sandbox')?.action;
      if (type !== 'exited' || sandbox.state !== 'ready') return false;
      if (stopping?.do === 'stopSandbox' && stopping.id === id) return false;
      await work.refreshSandbox(id);
      return true;
    }
    const over = work.runtime.find(id)?.state === 'exited';
    if (type === 'oom') {
      // What killed a container may become known after its end.
      if (!over) return false;
      await sleep(this.#node.env, OOM_NOTED, { signal: this.#node.signal });
    } else if (over || work.stopping.has(id)) {
      return false;
    }
    await work.refresh(id, true);
    return true;
  }

  wake(): void {
    if (this.#queued || this.#closed) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      if (this.#closed || this.#node.signal.aborted) return;
      const { env, metrics } = this.#node;
      const began = env.clock.monotonic();
      this.#look();
      metrics?.sync.observe((env.clock.monotonic() - began) / 1000);
    });
  }

  /** Stops watching over the pod without touching what runs. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#silence?.cancel();
    this.#writer.close();
    this.#work.release();
  }

  #look(): void {
    const work = this.#work;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#rejected) return this.#lookRejected(this.#rejected);
    let plan = this.#plan();
    if (!work.stop && (plan.fail || plan.finished || isTerminal(work.pod.status?.phase))) {
      this.#failed = plan.fail;
      if (plan.fail) work.note('Normal', plan.fail.reason, plan.fail.message);
      this.#requestStop(graceOf(work.pod));
      plan = this.#plan();
    }
    for (const action of plan.actions) this.#begin(action);
    work.resizer.observe(
      work.pod,
      work.runtime.all().filter((c) => c.state === 'running'),
    );
    if (plan.stopped && !this.#stopped) {
      this.#stopped = true;
      this.#node.freed();
    }
    if (work.volumesStale && work.volumeState === 'ready' && !work.stop) this.#refreshVolumes();
    this.#tellOfWaiting(plan);
    this.#publish(plan);
    this.#sleep(plan);
    if (plan.released) this.#end();
  }

  #plan(): PodPlan {
    const work = this.#work;
    return planPod({
      pod: work.pod,
      now: this.#node.time.now(),
      wall: this.#node.env.clock.now(),
      runtime: work.runtime,
      stop: work.stop,
      verdict: work.verdict,
      volumes: work.volumeState,
      resize: work.resizer.step,
      busy: this.#running,
      backoffs: work.crashes,
      blocks: work.blocks,
    });
  }

  #begin(action: PodAction): void {
    const work = this.#work;
    if (action.do === 'start' && action.after !== undefined) {
      const { name } = action.target.container;
      const now = this.#node.time.now();
      work.crashes.set(name, nextBackoff(work.crashes.get(name), action.after, now, CRASH_LOOP));
    }
    const abort = new AbortController();
    const running: Running = { action, abort };
    this.#running.set(action.key, running);
    const span = actionSpan(this.#node, work.raw, action);
    const run = this.#run(action, abort.signal, span);
    (span ? run.finally(() => span.finish()) : run)
      .catch(async (error: unknown) => {
        this.#mishap(`${action.do} failed`, error);
        await new Promise<void>((resolve) => void this.#node.env.clock.setTimer(MISHAP_RETRY, resolve));
      })
      .then(() => {
        if (this.#running.get(action.key) === running) this.#running.delete(action.key);
        this.wake();
      })
      .catch((error: unknown) => this.#mishap('worker failed', error));
  }

  #run(action: PodAction, signal: AbortSignal, span: Span | undefined): Promise<void> {
    const work = this.#work;
    switch (action.do) {
      case 'mount':
        return mountVolumes(work);
      case 'unmount':
        return unmountVolumes(work);
      case 'createSandbox':
        return createSandbox(work, action, this);
      case 'stopSandbox':
        return stopSandbox(work, action.id);
      case 'removeSandbox':
        return removeSandbox(work, action.id);
      case 'start':
        return startContainer(work, action, this, signal, span);
      case 'kill':
        return killContainer(work, action, signal);
      case 'resize':
        return resizeContainer(work, action);
      case 'removeContainer':
        return removeContainer(work, action.id);
    }
  }

  #refreshVolumes(): void {
    if (this.#running.has('volumes')) return;
    const work = this.#work;
    work.volumesStale = false;
    const running: Running = { action: { do: 'mount', key: 'volumes' }, abort: new AbortController() };
    this.#running.set('volumes', running);
    refreshVolumes(work)
      .catch((error: unknown) => this.#mishap('cannot refresh volumes', error))
      .then(() => {
        this.#running.delete('volumes');
        this.wake();
      })
      .catch((error: unknown) => this.#mishap('worker failed', error));
  }

  #noteDeletion(pod: Pod): void {
    this.#requestStop(Math.max(1, pod.metadata.deletionGracePeriodSeconds ?? graceOf(pod)));
  }

  /** Asks for the pod's end, or for a quicker one than was asked for before. */
  #requestStop(graceSeconds: number): void {
    const work = this.#work;
    const before = work.stop;
    if (before && before.graceSeconds <= graceSeconds) return;
    work.stop = { graceSeconds, since: this.#node.time.now() };
    work.stopJudging();
    work.objects.release();
    for (const [key, { action, abort }] of this.#running) {
      if (action.do !== 'start' && action.do !== 'kill') continue;
      abort.abort(new Error('the pod is to stop'));
      // A kill under way goes on in the runtime; the shorter one overtakes it.
      if (action.do === 'kill') this.#running.delete(key);
    }
    this.wake();
  }

  /** One event each time a container begins to wait out a back-off. */
  #tellOfWaiting({ waiting }: PodPlan): void {
    const work = this.#work;
    if (work.stop) return;
    for (const [name, { reason, message }] of waiting) {
      if (reason !== 'CrashLoopBackOff' && reason !== 'ImagePullBackOff') continue;
      const last = work.runtime.latest(name)?.id ?? '';
      const cause = `${reason}/${message}/${last}/${work.blocks.get(name)?.until ?? ''}`;
      if (this.#told.get(name) === cause) continue;
      this.#told.set(name, cause);
      if (reason === 'CrashLoopBackOff') {
        const text = `Back-off restarting failed container ${name} in pod ${podText(work.pod)}`;
        work.note('Warning', 'BackOff', text, name);
      } else {
        work.note('Normal', 'BackOff', message.split(': ErrImagePull')[0]!, name);
        work.note('Warning', 'Failed', 'Error: ImagePullBackOff', name);
      }
    }
  }

  #publish(plan: PodPlan): void {
    const work = this.#work;
    if (this.#removed || this.#keepsSilent(plan) || this.#saysNothingNew(plan)) return;
    const status = podStatus({
      pod: work.pod,
      now: this.#node.env.clock.now(),
      runtime: work.runtime,
      runtimeName: this.#node.runtimeName,
      verdict: work.verdict,
      waiting: plan.waiting,
      messages: work.messages,
      previous: this.status,
      hostIPs: this.#node.config.nodeIPs,
      podIPs: work.podIPs,
      actualResources: work.resizer.actual,
      resize: {
        pending: work.resizer.pending,
        inProgress: work.resizer.inProgress(work.pod),
        error: work.resizer.error,
      },
      terminal: plan.stopped,
      failed: this.#failed,
    });
    this.#noteStart(status);
    this.#writer.set(status);
  }

  #noteStart({ phase }: PodStatus): void {
    if (this.#seen === undefined || phase === 'Pending') return;
    const { env, metrics } = this.#node;
    if (phase === 'Running') metrics?.podStart.observe((env.clock.monotonic() - this.#seen) / 1000);
    this.#seen = undefined;
  }

  /** A pod of which nothing runs yet and nothing went wrong is not worth a status for each step. */
  #keepsSilent(plan: PodPlan): boolean {
    const { pod, runtime, stop } = this.#work;
    this.#untold = plan;
    if (!this.#quiet) return false;
    if (!stop && plan.waiting.size === 0 && runtime.all().length === 0 && !pod.status?.containerStatuses?.length) {
      this.#silence ??= this.#node.env.clock.setTimer(FIRST_WORD, () => {
        this.#quiet = false;
        this.#publish(this.#untold!);
      });
      return true;
    }
    this.#quiet = false;
    this.#silence?.cancel();
    return false;
  }

  /** Of a pod without probes, the status is a matter of its object, of what runs, and of what waits. */
  #saysNothingNew(plan: PodPlan): boolean {
    const { pod, runtime, resizer } = this.#work;
    const version = runtime.version + resizer.version;
    const plain = plan.waiting.size === 0 && !plan.stopped && !this.#work.probed;
    const same = plain && pod === this.#toldPod && version === this.#toldVersion;
    this.#toldPod = plain ? pod : undefined;
    this.#toldVersion = version;
    return same;
  }

  #sleep(plan: PodPlan): void {
    const { env, time } = this.#node;
    const refresh = this.#untilRefresh();
    const wait = Math.min(plan.wake === undefined ? Infinity : Math.max(0, plan.wake - time.now()), refresh);
    if (wait === Infinity) return;
    const due = () => {
      if (this.#untilRefresh() === 0) this.#work.volumesStale = true;
      this.wake();
    };
    // Renewals and long back-offs are the background: a pod that only waits for them has settled.
    this.#timer = env.clock.setTimer(wait, due, { unref: wait === refresh || wait >= BACKGROUND_WAIT });
  }

  /** Milliseconds until the volumes are to be made anew; Infinity: never. Tokens end by the wall clock. */
  #untilRefresh(): number {
    const { env, time } = this.#node;
    const { stop, volumes, refreshAfter } = this.#work;
    if (stop || (volumes.refreshAt === undefined && refreshAfter === 0)) return Infinity;
    return Math.max(0, (volumes.refreshAt ?? 0) - env.clock.now(), refreshAfter - time.now());
  }

  /** The machine's clock was set: what goes by it is looked at anew. */
  clockJumped(): void {
    if (this.#untilRefresh() === 0) this.#work.volumesStale = true;
    this.wake();
  }

  #lookRejected({ reason, message }: Waiting): void {
    if (!this.#removed) {
      this.#writer.set(rejectedStatus(this.#work.pod, reason, message, this.#node.env.clock.now()));
    }
    if (this.#removed || this.#work.pod.metadata.deletionTimestamp) this.#end();
  }

  /** Nothing runs: the API object goes, if it is to go, and after it what is left on the node. */
  #end(): void {
    if (this.#ending) return;
    if (!this.#removed && (this.#objectDeleted || !this.#work.pod.metadata.deletionTimestamp)) return;
    this.#ending = true;
    const end = this.#removed ? this.#destroy() : this.#deleteObject();
    end
      .catch(async (error: unknown) => {
        this.#mishap('cannot end', error);
        await new Promise<void>((resolve) => void this.#node.env.clock.setTimer(MISHAP_RETRY, resolve));
      })
      .then(() => {
        this.#ending = false;
        this.wake();
      })
      .catch((error: unknown) => this.#mishap('worker failed', error));
  }

  async #deleteObject(): Promise<void> {
    await this.#writer.flush();
    if (this.#removed) return;
    const { namespace, name, uid } = this.#work.pod.metadata;
    try {
      await this.#node.client.delete(
        Pod,
        { namespace, name },
        { gracePeriodSeconds: 0, ...(uid ? { preconditions: { uid } } : {}), signal: this.#node.signal },
      );
    } catch (error) {
      // Somebody else removed it, or it is another pod of that name by now.
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
    this.#writer.close();
    this.#objectDeleted = true;
  }

  async #destroy(): Promise<void> {
    await destroyPod(this.#work);
    this.close();
    this.#finished();
  }

  #mishap(what: string, error: unknown): void {
    if (this.#node.signal.aborted) return;
    this.#node.env.log.warn(what, { pod: podText(this.#work.pod), error });
  }
}
