// The templates a DaemonSet has had, as ControllerRevisions: the present one's hash labels pods, the others are what
// `kubectl rollout undo` goes back to.

import { isReason } from '../api/errors.ts';
import { templateHash } from '../api/hash.ts';
import { ControllerRevision } from '../api/kinds/apps/controller-revision.ts';
import { DaemonSet } from '../api/kinds/apps/daemon-set.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { keyOf, type Draft, type KubeObject } from '../api/object.ts';
import type { Action, Plan, View } from '../client/controller.ts';
import { controllerRef } from '../client/ownership.ts';
import { HASH_LABEL } from './daemon-set-nodes.ts';
import { sameValue } from './same-value.ts';

export type History =
  /** The present template's hash, the revisions of the past, and what to tidy up besides the rest. */
  | { readonly hash: string; readonly old: readonly ControllerRevision[]; readonly actions: readonly Action[] }
  /** What must be done before anything else can be decided. */
  | Plan;

export function historyOf(
  set: DaemonSet,
  revisions: readonly ControllerRevision[],
  pods: readonly Pod[],
  view: View,
): History {
  const patch = patchOf(set);
  const present = revisions.filter((r) => sameValue(r.data, patch));
  const old = revisions.filter((r) => !present.includes(r));
  const revision = Math.max(0, ...old.map((r) => r.revision)) + 1;
  if (present.length === 0) return snapshot(set, patch, revision, view);
  const kept = [...present].sort((a, b) => b.revision - a.revision)[0]!;
  if (present.length > 1) return { actions: merge(present, kept, pods) };
  const actions: Action[] = [];
  if (kept.revision < revision)
    actions.push({ do: 'update', kind: ControllerRevision, object: { ...kept, revision } as KubeObject });
  return { hash: hashOf(kept), old, actions };
}

const hashOf = (revision: ControllerRevision) => revision.metadata.labels?.[HASH_LABEL] ?? revision.metadata.name;

/** A strategic merge patch that brings this template back. */
function patchOf(set: DaemonSet) {
  return { spec: { template: { ...set.spec.template, $patch: 'replace' } } };
}

function snapshot(set: DaemonSet, patch: unknown, revision: number, view: View): Plan {
  const { name, namespace, annotations } = set.metadata;
  const hash = templateHash(set.spec.template, set.status?.collisionCount);
  const object: Draft<ControllerRevision> = {
    apiVersion: ControllerRevision.apiVersion,
    kind: ControllerRevision.kind,
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace ? { namespace } : {}),
      labels: { ...set.spec.template.metadata?.labels, [HASH_LABEL]: hash },
      ...(annotations ? { annotations } : {}),
      ownerReferences: [controllerRef(set, DaemonSet)],
    },
    data: patch,
    revision,
  };
  return {
    actions: [{ do: 'create', kind: ControllerRevision, object: object as Draft<KubeObject> }],
    failed(error) {
      // Taken by another template: the next try hashes with a higher count.
      const taken = view.of(ControllerRevision).get(keyOf(object as ControllerRevision));
      if (!isReason(error, 'AlreadyExists') || !taken || sameValue(taken.data, patch)) return [];
      const { status } = set;
      const counts = status ?? { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0 };
      const collided: DaemonSet = {
        ...set,
        status: { numberReady: 0, ...counts, collisionCount: (status?.collisionCount ?? 0) + 1 },
      };
      return [{ do: 'update', kind: DaemonSet, object: collided, subresource: 'status' }];
    },
  };
}

/** Several revisions of one template: pods move to the latest, the others go. */
function merge(
  present: readonly ControllerRevision[],
  kept: ControllerRevision,
  pods: readonly Pod[],
): readonly (Action | readonly Action[])[] {
  const doomed = present.filter((r) => r !== kept);
  const hashes = new Set(doomed.map(hashOf));
  const relabel = pods
    .filter((pod) => hashes.has(pod.metadata.labels?.[HASH_LABEL] ?? ''))
    .map((pod): Action => {
      const patch = { metadata: { labels: { [HASH_LABEL]: hashOf(kept) } } };
      return { do: 'patch', kind: Pod, ref: pod.metadata, type: 'merge', patch, ignore: ['NotFound'] };
    });
  return [relabel, ...doomed.map(remove)];
}

function remove({ metadata }: ControllerRevision): Action {
  return { do: 'delete', kind: ControllerRevision, ref: metadata, ignore: ['NotFound'] };
}

/** Old revisions beyond the limit, the oldest first, but none that a pod still carries. */
export function expiredHistory(
  old: readonly ControllerRevision[],
  pods: readonly Pod[],
  limit: number,
): readonly Action[] {
  let excess = old.length - limit;
  if (excess <= 0) return [];
  const live = new Set(pods.map((pod) => pod.metadata.labels?.[HASH_LABEL]));
  const actions: Action[] = [];
  for (const revision of [...old].sort((a, b) => a.revision - b.revision)) {
    if (excess <= 0) break;
    if (live.has(revision.metadata.labels?.[HASH_LABEL])) continue;
    actions.push(remove(revision));
    excess--;
  }
  return actions;
}
