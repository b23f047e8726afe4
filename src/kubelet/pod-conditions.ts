// The pod conditions the kubelet owns, with upstream's reasons and messages.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions

import type { ContainerStatus, PodCondition, PodStatus } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { rfc3339 } from '../base/env.ts';
import type { Waiting } from './plan-steps.ts';
import { isSidecar, statusNamed } from './pod-spec.ts';

/** Condition types that nobody but the kubelet writes. */
export const OWNED_CONDITIONS: ReadonlySet<string> = new Set([
  'PodResizePending',
  'PodResizeInProgress',
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
]);

export interface ResizeState {
  /** Why the node does not give what the spec asks for. */
  readonly pending: Waiting | undefined;
  readonly inProgress: boolean;
  readonly error: Waiting | undefined;
}

interface Verdict {
  readonly status: 'True' | 'False';
  readonly reason?: string;
  readonly message?: string;
}
const TRUE: Verdict = { status: 'True' };
const no = (reason: string, message?: string): Verdict => ({
  status: 'False',
  reason,
  ...(message ? { message } : {}),
});

/** All conditions of the new status, the foreign ones (readiness gates, DisruptionTarget) first and as they are. */
export function podConditions(
  pod: Pod,
  status: PodStatus,
  old: PodStatus | undefined,
  networkReady: boolean,
  now: number,
  resize: ResizeState | undefined,
): PodCondition[] {
  const foreign = (pod.status?.conditions ?? []).filter((c) => !OWNED_CONDITIONS.has(c.type));
  const statuses = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  const containersReady = containersReadyVerdict(pod, status.phase!, statuses);
  const make = (type: string, verdict: Verdict): PodCondition => {
    const before = old?.conditions?.find((c) => c.type === type);
    const unchanged = before?.status === verdict.status && before.lastTransitionTime !== undefined;
    return {
      lastTransitionTime: unchanged ? before.lastTransitionTime! : rfc3339(now),
      ...(verdict.message ? { message: verdict.message } : {}),
      ...(pod.metadata.generation ? { observedGeneration: pod.metadata.generation } : {}),
      ...(verdict.reason ? { reason: verdict.reason } : {}),
      status: verdict.status,
      type,
    };
  };
  return [
    ...foreign,
    ...(resize?.pending ? [make('PodResizePending', { status: 'True', ...resize.pending })] : []),
    ...(resize?.inProgress ? [make('PodResizeInProgress', { status: 'True', ...resize.error })] : []),
    make('PodReadyToStartContainers', networkReady ? TRUE : { status: 'False' }),
    make('Initialized', initializedVerdict(pod, status.phase!, statuses)),
    make('Ready', readyVerdict(pod, containersReady, foreign)),
    make('ContainersReady', containersReady),
    make('PodScheduled', TRUE),
  ];
}

const names = (list: readonly string[]) => `[${list.join(' ')}]`;

function initializedVerdict(pod: Pod, phase: string, statuses: readonly ContainerStatus[]): Verdict {
  const unknown: string[] = [];
  const incomplete: string[] = [];
  for (const container of pod.spec.initContainers ?? []) {
    const status = statusNamed(statuses, container.name);
    if (!status) unknown.push(container.name);
    else if (isSidecar(container) ? !status.started : !status.ready) incomplete.push(container.name);
  }
  if (phase === 'Succeeded' && unknown.length === 0) return { status: 'True', reason: 'PodCompleted' };
  if (anyAppStarted(pod, statuses)) return TRUE;
  const messages: string[] = [];
  if (unknown.length) messages.push(`containers with unknown status: ${names(unknown)}`);
  if (incomplete.length) messages.push(`containers with incomplete status: ${names(incomplete)}`);
  return messages.length ? no('ContainersNotInitialized', messages.join(', ')) : TRUE;
}

/** True once an app container has run: the pod counts as initialized from then on. */
export function anyAppStarted(pod: Pod, statuses: readonly ContainerStatus[]): boolean {
  return pod.spec.containers.some((container) => {
    const status = statusNamed(statuses, container.name);
    return Boolean(status?.lastState?.terminated || status?.state?.terminated || status?.state?.running);
  });
}

function containersReadyVerdict(pod: Pod, phase: string, statuses: readonly ContainerStatus[]): Verdict {
  const unknown: string[] = [];
  const unready: string[] = [];
  const counted = [...(pod.spec.initContainers ?? []).filter(isSidecar), ...pod.spec.containers];
  for (const container of counted) {
    const status = statusNamed(statuses, container.name);
    if (!status) unknown.push(container.name);
    else if (!status.ready) unready.push(container.name);
  }
  if (phase === 'Succeeded' && unknown.length === 0) return no('PodCompleted');
  if (phase === 'Failed') return no('PodFailed');
  const messages: string[] = [];
  if (unknown.length) messages.push(`containers with unknown status: ${names(unknown)}`);
  if (unready.length) messages.push(`containers with unready status: ${names(unready)}`);
  return messages.length ? no('ContainersNotReady', messages.join(', ')) : TRUE;
}

function readyVerdict(pod: Pod, containersReady: Verdict, conditions: readonly PodCondition[]): Verdict {
  if (containersReady.status !== 'True') return containersReady;
  const messages: string[] = [];
  for (const { conditionType } of pod.spec.readinessGates ?? []) {
    const condition = conditions.find((c) => c.type === conditionType);
    if (!condition) {
      messages.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    } else if (condition.status !== 'True') {
      messages.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`);
    }
  }
  return messages.length ? no('ReadinessGatesNotReady', messages.join(', ')) : TRUE;
}
