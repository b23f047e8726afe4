// The core of ReplicaSet and ReplicationController: keep as many pods as asked for, tell how many there are.

import { Pod } from '../api/kinds/core/pod.ts';
import type { ReplicaSetCondition, ReplicaSetStatus } from '../api/generated/apps-v1.ts';
import type { PodTemplateSpec } from '../api/generated/core-v1.ts';
import type { AnyKind } from '../api/kind.ts';
import type { Draft, KubeObject } from '../api/object.ts';
import { selectorFromLabels, type Selector } from '../api/selectors.ts';
import { rfc3339 } from '../base/env.ts';
import type { Action, Plan, View } from '../client/controller.ts';
import { BY_CONTROLLER } from '../client/informer.ts';
import { controllerRef } from '../client/ownership.ts';
import { claim } from './claims.ts';
import { availableIn, isActive, isTerminal, ORPHANS } from './pod-state.ts';
import { podsToDelete } from './pod-ranking.ts';
import { sameValue } from './same-value.ts';

/** Pods created or deleted by one plan at most. */
const BURST = 500;

/** Up to here every change is looked at when it comes; above, changes gather for a tenth of a millisecond per object. */
const AT_ONCE = 500;

/** How long a plan over `count` objects rests before the next. */
export const restAfter = (count: number) => (count > AT_ONCE ? { rest: Math.ceil(count / 10) } : {});

/** What the two kinds have in common, in the form the core needs. */
export interface ReplicaOwner {
  readonly kind: AnyKind;
  readonly object: KubeObject & { readonly status?: ReplicaSetStatus };
  readonly selector: Selector;
  readonly replicas: number;
  readonly minReadySeconds: number;
  readonly template: PodTemplateSpec;
  /** The status has `terminatingReplicas`. */
  readonly countsTerminating: boolean;
  /** Pods that make a node crowded when it comes to choosing whom to delete. */
  related(): readonly Pod[];
}

export function planReplicas(owner: ReplicaOwner, view: View, now: number): Plan {
  const { object, kind, selector } = owner;
  const pods = view.of(Pod);
  const candidates = [
    ...pods.byIndex(BY_CONTROLLER, object.metadata.uid),
    ...pods.byIndex(ORPHANS, object.metadata.namespace ?? ''),
  ];
  const { claimed, actions: claims } = claim(
    object,
    kind,
    Pod,
    selector,
    candidates.filter((pod) => !isTerminal(pod)),
  );
  const active = claimed.filter(isActive);
  const terminating = claimed.length - active.length;
  const changes = object.metadata.deletionTimestamp === undefined ? replicaActions(owner, active, now) : [];
  const status = countReplicas(owner, active, terminating, now);
  const updates = (failure?: Error) => statusUpdate(owner, withFailure(owner, status, active.length, failure, now));

  const again = nextAvailable(active, owner.minReadySeconds, now);
  return {
    actions: [...claims, ...(changes.length ? [changes] : []), ...updates()],
    failed: (error, action) => (changes.includes(action) ? updates(error) : []),
    ...(again === undefined ? {} : { again }),
    ...restAfter(active.length),
  };
}

function replicaActions(owner: ReplicaOwner, active: readonly Pod[], now: number): readonly Action[] {
  const difference = active.length - owner.replicas;
  if (difference < 0) return Array.from({ length: Math.min(-difference, BURST) }, () => createPod(owner));
  if (difference === 0) return [];
  return podsToDelete(active, owner.related(), Math.min(difference, BURST), now).map(deletePod);
}

/** A pod as the template wants it, controlled by `owner`. */
export function podOf(template: PodTemplateSpec, owner: KubeObject, kind: AnyKind): Draft<Pod> {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${owner.metadata.name}-`,
      ...(owner.metadata.namespace ? { namespace: owner.metadata.namespace } : {}),
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      ...(finalizers ? { finalizers } : {}),
      ownerReferences: [controllerRef(owner, kind)],
    },
    // A template has what a pod has; that it may be missing is the schema's leniency.
    spec: template.spec!,
  };
}

function createPod(owner: ReplicaOwner): Action {
  return createPodAction(podOf(owner.template, owner.object, owner.kind));
}

export function createPodAction(pod: Draft<Pod>): Action {
  return {
    do: 'create',
    kind: Pod,
    object: pod as Draft<KubeObject>,
    done: (created) => ({
      type: 'Normal',
      reason: 'SuccessfulCreate',
      message: `Created pod: ${created?.metadata.name}`,
    }),
    failed: (error) => ({ type: 'Warning', reason: 'FailedCreate', message: `Error creating: ${error.message}` }),
  };
}

/** Deletes this very pod: one of the same name that came after it is left alone. */
export function deletePod(pod: Pod): Action {
  const { namespace, name, uid } = pod.metadata;
  return {
    do: 'delete',
    kind: Pod,
    ref: { namespace, name },
    options: { preconditions: { uid } },
    ignore: ['NotFound'],
    done: () => ({ type: 'Normal', reason: 'SuccessfulDelete', message: `Deleted pod: ${name}` }),
    failed: (error) => ({ type: 'Warning', reason: 'FailedDelete', message: `Error deleting: ${error.message}` }),
  };
}

function countReplicas(
  owner: ReplicaOwner,
  active: readonly Pod[],
  terminating: number,
  now: number,
): ReplicaSetStatus {
  const labels = selectorFromLabels(owner.template.metadata?.labels);
  let [labelled, ready, available] = [0, 0, 0];
  for (const pod of active) {
    if (labels.matches(pod.metadata.labels)) labelled++;
    const wait = availableIn(pod, owner.minReadySeconds, now);
    if (wait !== undefined) ready++;
    if (wait === 0) available++;
  }
  // Zero counts are left out, as the wire form of upstream's status has it.
  return {
    replicas: active.length,
    ...(labelled ? { fullyLabeledReplicas: labelled } : {}),
    ...(ready ? { readyReplicas: ready } : {}),
    ...(available ? { availableReplicas: available } : {}),
    ...(owner.countsTerminating ? { terminatingReplicas: terminating } : {}),
    ...(owner.object.metadata.generation ? { observedGeneration: owner.object.metadata.generation } : {}),
  };
}

function withFailure(
  owner: ReplicaOwner,
  status: ReplicaSetStatus,
  active: number,
  failure: Error | undefined,
  now: number,
): ReplicaSetStatus {
  const old = owner.object.status?.conditions ?? [];
  const known = old.find((c) => c.type === 'ReplicaFailure');
  let conditions: readonly ReplicaSetCondition[] = old;
  if (failure && !known) {
    const condition: ReplicaSetCondition = {
      type: 'ReplicaFailure',
      status: 'True',
      lastTransitionTime: rfc3339(now),
      reason: active < owner.replicas ? 'FailedCreate' : 'FailedDelete',
      message: failure.message,
    };
    conditions = [...old, condition];
  } else if (!failure && known) {
    conditions = old.filter((c) => c !== known);
  }
  return conditions.length ? { ...status, conditions: [...conditions] } : status;
}

function statusUpdate(owner: ReplicaOwner, status: ReplicaSetStatus): readonly Action[] {
  if (sameValue(owner.object.status, status)) return [];
  const object = { ...owner.object, status } as KubeObject;
  return [{ do: 'update', kind: owner.kind, object, subresource: 'status' }];
}

/** Milliseconds until the next ready pod becomes available. */
function nextAvailable(active: readonly Pod[], minReadySeconds: number, now: number): number | undefined {
  if (minReadySeconds === 0) return undefined;
  let next: number | undefined;
  for (const pod of active) {
    const wait = availableIn(pod, minReadySeconds, now);
    if (wait !== undefined && wait > 0 && (next === undefined || wait < next)) next = wait;
  }
  return next;
}
