// The vocabulary of pod plans: input, actions, result, and the steps that several parts of the plan ask for.

import type { Container } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { activeBackoff, CRASH_LOOP, goDuration, type BackoffEntry } from './backoff.ts';
import { allStatuses, graceOf, podText, type SpecContainer } from './pod-spec.ts';
import type { PodRuntime } from './pod-runtime.ts';

export interface ProbeVerdict {
  /** Undefined: no result yet, or no such probe. */
  readonly startup?: boolean | undefined;
  readonly liveness?: boolean | undefined;
  readonly readiness?: boolean | undefined;
}

/** A step that failed before there was a container to speak for it; it is not tried again before `until`. */
export interface Block {
  readonly reason: string;
  readonly message: string;
  /** As `PlanInput.now`. */
  readonly until: number;
  /** Becomes the reason and message from `at` on (ErrImagePull turning into ImagePullBackOff). */
  readonly later?: { readonly at: number; readonly reason: string; readonly message: string };
}

/** Why and how a pod ends. */
export interface StopRequest {
  readonly graceSeconds: number;
  /** As `PlanInput.now`. */
  readonly since: number;
}

export interface PlanInput {
  readonly pod: Pod;
  /** Milliseconds on a scale that no setting of the clock disturbs (base/steady-time.ts). */
  readonly now: number;
  /** Milliseconds since the epoch as the wall clock tells them, where that differs from `now`. */
  readonly wall?: number;
  readonly runtime: PodRuntime;
  /** Set once the pod is to end, for whatever reason. */
  readonly stop: StopRequest | undefined;
  readonly verdict: (containerId: string) => ProbeVerdict;
  /** `unknown` after a restart of the kubelet: what is on disk has not been looked at. */
  readonly volumes: 'unknown' | 'ready' | 'released';
  /** What a running container needs for the resources it is to have. */
  readonly resize?: (container: Container, id: string) => 'none' | 'update' | 'restart';
  /** Actions under way, by their key. */
  readonly busy: { has(key: string): boolean };
  /** Crash-loop state per container name. */
  readonly backoffs: { get(name: string): BackoffEntry | undefined };
  /** Failed steps, by action key. */
  readonly blocks: { get(key: string): Block | undefined };
}

/** `key` names what an action occupies: no second action with the same key starts before it is done. */
export type PodAction =
  | { readonly do: 'mount'; readonly key: 'volumes' }
  | { readonly do: 'unmount'; readonly key: 'volumes' }
  | { readonly do: 'createSandbox'; readonly key: 'sandbox'; readonly attempt: number; readonly changed: boolean }
  | { readonly do: 'stopSandbox'; readonly key: 'sandbox'; readonly id: string }
  | { readonly do: 'removeSandbox'; readonly key: string; readonly id: string }
  | StartAction
  | KillAction
  | ResizeAction
  | { readonly do: 'removeContainer'; readonly key: string; readonly id: string };

export interface StartAction {
  readonly do: 'start';
  /** The container's name. */
  readonly key: string;
  readonly target: SpecContainer;
  /** The restart count of the new instance. */
  readonly attempt: number;
  /** When the instance before it ended, for the back-off; undefined for the first. */
  readonly after: number | undefined;
}

export interface ResizeAction {
  readonly do: 'resize';
  readonly key: string;
  readonly id: string;
  readonly container: Container;
}

export interface KillAction {
  readonly do: 'kill';
  readonly key: string;
  readonly id: string;
  readonly name: string;
  readonly message: string;
  readonly graceSeconds: number;
}

export interface Waiting {
  readonly reason: string;
  readonly message: string;
}

export interface PodPlan {
  actions: PodAction[];
  /** Why containers are not running, by name. */
  readonly waiting: Map<string, Waiting>;
  /** When to plan again without a cause; as `PlanInput.now`. */
  wake: number | undefined;
  /** The pod is to be failed for this reason (deadline). */
  fail: Waiting | undefined;
  /** The pod has come to its end by itself: nothing runs that should, and nothing is to be started. */
  finished: boolean;
  /** A stopping pod has no running container any more. */
  stopped: boolean;
  /** A stopping pod holds nothing any more but dead containers. */
  released: boolean;
}

export function wakeAt(plan: PodPlan, at: number): void {
  if (plan.wake === undefined || at < plan.wake) plan.wake = at;
}

/** True while the last failure of this step holds it back. */
export function blocked(input: PlanInput, plan: PodPlan, key: string): boolean {
  const block = input.blocks.get(key);
  if (!block || input.now >= block.until) return false;
  wakeAt(plan, block.until);
  return true;
}

/** Asks for a start, unless one is under way, failed too recently, or the crash-loop back-off holds it. */
export function start(input: PlanInput, plan: PodPlan, target: SpecContainer): void {
  const { name } = target.container;
  if (input.busy.has(name) || blocked(input, plan, name)) return;
  const last = input.runtime.latest(name);
  const after = last?.state === 'exited' ? input.runtime.endedAt(last) : undefined;
  if (after !== undefined) {
    const backoff = activeBackoff(input.backoffs.get(name), after, CRASH_LOOP.max);
    if (backoff && input.now < after + backoff.delay) {
      const held = `back-off ${goDuration(backoff.delay)} restarting failed container=${name}`;
      plan.waiting.set(name, { reason: 'CrashLoopBackOff', message: `${held} pod=${podText(input.pod)}` });
      return wakeAt(plan, after + backoff.delay);
    }
  }
  const attempt = last ? last.attempt + 1 : priorRestarts(input.pod, name);
  plan.actions.push({ do: 'start', key: name, target, attempt, after });
}

/** The restart count to go on from when the runtime has forgotten the container but the API has not. */
function priorRestarts(pod: Pod, name: string): number {
  for (const status of allStatuses(pod.status)) {
    if (status.name === name) return status.containerID ? status.restartCount + 1 : status.restartCount;
  }
  return 0;
}

export function kill(
  input: PlanInput,
  plan: PodPlan,
  container: { readonly id: string; readonly name: string },
  message = `Stopping container ${container.name}`,
  graceSeconds = graceOf(input.pod),
): void {
  const { id, name } = container;
  const key = `kill:${id}`;
  if (!input.busy.has(key)) plan.actions.push({ do: 'kill', key, id, name, message, graceSeconds });
}
