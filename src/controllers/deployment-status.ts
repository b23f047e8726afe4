// A Deployment's status: counts, whether it is available, and whether its rollout makes progress.
// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status

import type { DeploymentCondition, DeploymentStatus } from '../api/generated/apps-v1.ts';
import type { Deployment } from '../api/kinds/apps/deployment.ts';
import type { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { rfc3339 } from '../base/env.ts';
import { limitsOf } from './deployment-scale.ts';
import { sizeOf } from './deployment-sets.ts';

const FOREVER = 2 ** 31 - 1;

type Conditions = readonly DeploymentCondition[];

export function condition(
  type: string,
  status: 'True' | 'False' | 'Unknown',
  reason: string,
  message: string,
  now: number,
): DeploymentCondition {
  const time = rfc3339(now);
  return { type, status, lastUpdateTime: time, lastTransitionTime: time, reason, message };
}

export const find = (conditions: Conditions | undefined, type: string) => conditions?.find((c) => c.type === type);
const without = (conditions: Conditions, type: string) => conditions.filter((c) => c.type !== type);

/** Sets a condition; one of the same status and reason stays as it is, one of the same status keeps its transition. */
export function withCondition(conditions: Conditions, fresh: DeploymentCondition): Conditions {
  const old = find(conditions, fresh.type);
  if (old && old.status === fresh.status && old.reason === fresh.reason) return conditions;
  const { lastTransitionTime } = old ?? {};
  const kept = old?.status === fresh.status && lastTransitionTime ? { ...fresh, lastTransitionTime } : fresh;
  return [...without(conditions, fresh.type), kept];
}

export function hasDeadline(deployment: Deployment): boolean {
  const seconds = deployment.spec.progressDeadlineSeconds;
  return seconds !== undefined && seconds !== FOREVER;
}

/** Pausing and resuming stops the progress clock; a rollout that has timed out stays so. */
export function pauseConditions(deployment: Deployment, now: number): Conditions {
  const conditions = deployment.status?.conditions ?? [];
  const progress = find(conditions, 'Progressing');
  if (!hasDeadline(deployment) || progress?.reason === 'ProgressDeadlineExceeded') return conditions;
  const marked = progress?.reason === 'DeploymentPaused';
  if (deployment.spec.paused && !marked)
    return withCondition(
      conditions,
      condition('Progressing', 'Unknown', 'DeploymentPaused', 'Deployment is paused', now),
    );
  if (!deployment.spec.paused && marked)
    return withCondition(
      conditions,
      condition('Progressing', 'Unknown', 'DeploymentResumed', 'Deployment is resumed', now),
    );
  return conditions;
}

const sum = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number | undefined) =>
  sets.reduce((n, set) => n + (of(set) ?? 0), 0);

/** Counts and the Available condition. `conditions` are the latest ones, which may be ahead of the stored status. */
export function countStatus(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  current: ReplicaSet | undefined,
  conditions: Conditions,
  now: number,
): DeploymentStatus {
  const available = sum(all, (s) => s.status?.availableReplicas);
  const counts = {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: sum(all, (s) => s.status?.replicas),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sum(all, (s) => s.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(all, sizeOf) - available),
  };
  const status: DeploymentStatus = {};
  // As on upstream's wire: a count of zero is not written.
  for (const [name, count] of Object.entries(counts)) if (count) status[name as keyof typeof counts] = count;
  const terminating = all.filter((s) => s.status).map((s) => s.status!.terminatingReplicas);
  if (terminating.every((n) => n !== undefined)) status.terminatingReplicas = terminating.reduce((a, b) => a + b, 0);
  const { collisionCount } = deployment.status ?? {};
  if (collisionCount !== undefined) status.collisionCount = collisionCount;
  const minimum = (deployment.spec.replicas ?? 1) - limitsOf(deployment).maxUnavailable;
  const fresh =
    available >= minimum
      ? condition('Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.', now)
      : condition(
          'Available',
          'False',
          'MinimumReplicasUnavailable',
          'Deployment does not have minimum availability.',
          now,
        );
  status.conditions = [...withCondition(conditions, fresh)];
  return status;
}

/** All wanted pods are of the current template and available, and nothing else is left. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const replicas = deployment.spec.replicas ?? 1;
  return (
    (status.updatedReplicas ?? 0) === replicas &&
    (status.replicas ?? 0) === replicas &&
    (status.availableReplicas ?? 0) === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function progressed(old: DeploymentStatus, now: DeploymentStatus): boolean {
  const outdated = (s: DeploymentStatus) => (s.replicas ?? 0) - (s.updatedReplicas ?? 0);
  return (
    (now.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    outdated(now) < outdated(old) ||
    (now.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (now.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
}

/** Adds what the rollout's progress says to a counted status: Progressing and ReplicaFailure. */
export function rolloutStatus(
  deployment: Deployment,
  counted: DeploymentStatus,
  all: readonly ReplicaSet[],
  current: ReplicaSet | undefined,
  now: number,
): DeploymentStatus {
  let conditions: Conditions = counted.conditions ?? [];
  const progress = find(conditions, 'Progressing');
  const done =
    (counted.replicas ?? 0) === (counted.updatedReplicas ?? 0) && progress?.reason === 'NewReplicaSetAvailable';
  if (!hasDeadline(deployment)) conditions = without(conditions, 'Progressing');
  else if (!done) conditions = progressConditions(deployment, counted, conditions, current, now);

  const failures = failuresOf(current ? [current] : []);
  const failure = failures[0] ?? failuresOf(all.filter((s) => s !== current))[0];
  conditions = failure ? withCondition(conditions, failure) : without(conditions, 'ReplicaFailure');
  return { ...counted, conditions: [...conditions] };
}

function progressConditions(
  deployment: Deployment,
  counted: DeploymentStatus,
  conditions: Conditions,
  current: ReplicaSet | undefined,
  now: number,
): Conditions {
  const what = current
    ? `ReplicaSet ${JSON.stringify(current.metadata.name)}`
    : `Deployment ${JSON.stringify(deployment.metadata.name)}`;
  const progress = find(conditions, 'Progressing');
  if (isComplete(deployment, counted)) {
    const text = `${what} has successfully progressed.`;
    return withCondition(conditions, condition('Progressing', 'True', 'NewReplicaSetAvailable', text, now));
  }
  if (progressed(deployment.status ?? {}, counted)) {
    const fresh = condition('Progressing', 'True', 'ReplicaSetUpdated', `${what} is progressing.`, now);
    // Always written anew: its update time is what the deadline counts from.
    const { lastTransitionTime } = progress?.status === 'True' ? progress : fresh;
    return [...without(conditions, 'Progressing'), { ...fresh, ...(lastTransitionTime ? { lastTransitionTime } : {}) }];
  }
  if (timedOut(deployment, progress, now)) {
    const text = `${what} has timed out progressing.`;
    return withCondition(conditions, condition('Progressing', 'False', 'ProgressDeadlineExceeded', text, now));
  }
  return conditions;
}

function timedOut(deployment: Deployment, progress: DeploymentCondition | undefined, now: number): boolean {
  if (!progress || progress.reason === 'NewReplicaSetAvailable') return false;
  if (progress.reason === 'ProgressDeadlineExceeded') return true;
  return deadlineOf(deployment, progress) < now;
}

function deadlineOf(deployment: Deployment, progress: DeploymentCondition): number {
  return Date.parse(progress.lastUpdateTime ?? '') + deployment.spec.progressDeadlineSeconds! * 1000;
}

/** Milliseconds until a rollout that makes no progress must be looked at again; undefined when it need not. */
export function untilDeadline(deployment: Deployment, status: DeploymentStatus, now: number): number | undefined {
  const progress = find(status.conditions, 'Progressing');
  if (!hasDeadline(deployment) || !progress) return undefined;
  if (isComplete(deployment, status) || progress.reason === 'ProgressDeadlineExceeded') return undefined;
  if (progress.reason === 'NewReplicaSetAvailable') return undefined;
  return Math.max(0, deadlineOf(deployment, progress) - now) + 1000;
}

function failuresOf(sets: readonly ReplicaSet[]): DeploymentCondition[] {
  return sets.flatMap((set) => {
    const found = set.status?.conditions?.find((c) => c.type === 'ReplicaFailure');
    if (!found) return [];
    const time = found.lastTransitionTime;
    return [{ ...found, ...(time ? { lastTransitionTime: time, lastUpdateTime: time } : {}) }];
  });
}
