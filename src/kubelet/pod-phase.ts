// A pod's phase from its container statuses. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase

import type { ContainerStatus } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { anyAppStarted } from './pod-conditions.ts';
import { containersOf, restartsAfter, statusNamed, type SpecContainer } from './pod-spec.ts';

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

type Class = 'unknown' | 'waiting' | 'running' | 'stopped';

function classify(status: ContainerStatus | undefined): Class {
  if (status?.state?.running) return 'running';
  if (status?.state?.terminated) return 'stopped';
  if (status?.state?.waiting) return status.lastState?.terminated ? 'stopped' : 'waiting';
  return 'unknown';
}

const exitCodeOf = (status: ContainerStatus) =>
  (status.state?.terminated ?? status.lastState?.terminated)?.exitCode ?? 0;

/** `terminal`: nothing runs and nothing will be restarted, whatever the policy. */
export function podPhase(pod: Pod, statuses: readonly ContainerStatus[], terminal: boolean): PodPhase {
  const targets = containersOf(pod);
  const initializing = initPhase(pod, targets, statuses);
  if (initializing) return initializing;
  const count = { unknown: 0, waiting: 0, running: 0, stopped: 0 };
  let succeeded = 0;
  let again = 0;
  for (const target of targets) {
    if (target.kind !== 'app' && target.kind !== 'sidecar') continue;
    const status = statusNamed(statuses, target.container.name);
    const of = classify(status);
    // Stopped sidecars say nothing about the pod's end.
    if (target.kind === 'sidecar' && of === 'stopped') continue;
    count[of]++;
    if (of !== 'stopped') continue;
    if (status!.state?.terminated?.exitCode === 0) succeeded++;
    if (restartsAfter(pod, target, exitCodeOf(status!))) again++;
  }
  if (count.waiting > 0) return 'Pending';
  if (count.running > 0 && count.unknown === 0) return 'Running';
  if (count.stopped === 0 || count.unknown > 0) return 'Pending';
  if (!terminal && again > 0) return 'Running';
  return count.stopped === succeeded ? 'Succeeded' : 'Failed';
}

/** Pending while init containers have work to do, Failed when one failed for good, else undefined. */
function initPhase(
  pod: Pod,
  targets: readonly SpecContainer[],
  statuses: readonly ContainerStatus[],
): PodPhase | undefined {
  let pending = 0;
  let pendingSidecars = 0;
  let failed = 0;
  for (const target of targets) {
    if (target.kind !== 'init' && target.kind !== 'sidecar') continue;
    const status = statusNamed(statuses, target.container.name);
    const of = classify(status);
    if (target.kind === 'sidecar') {
      if (of !== 'stopped' && !(of === 'running' && status!.started)) pendingSidecars++;
    } else if (of !== 'stopped') pending++;
    else if (exitCodeOf(status!) !== 0 && !restartsAfter(pod, target, exitCodeOf(status!))) failed++;
    else if (exitCodeOf(status!) !== 0) pending++;
  }
  if (failed > 0) return 'Failed';
  const initialized = anyAppStarted(pod, statuses);
  return (pending > 0 && !initialized) || (pendingSidecars > 0 && !initialized) ? 'Pending' : undefined;
}
