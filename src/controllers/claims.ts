// Ownership by controller reference: an owner adopts matching orphans and releases what no longer matches.
// https://github.com/kubernetes/design-proposals-archive/blob/main/api-machinery/controller-ref.md

import type { AnyKind } from '../api/kind.ts';
import { controllerOf, type KubeObject } from '../api/object.ts';
import type { Selector } from '../api/selectors.ts';
import type { Action } from '../client/controller.ts';
import { controllerRef } from '../client/ownership.ts';

export interface Claim<T> {
  /** The objects the owner has, or will have once `actions` are done. */
  readonly claimed: readonly T[];
  readonly actions: readonly (Action | readonly Action[])[];
}

/** `candidates` are objects the owner controls already and orphans of its namespace. */
export function claim<T extends KubeObject>(
  owner: KubeObject,
  ownerKind: AnyKind,
  kind: AnyKind,
  selector: Selector,
  candidates: Iterable<T>,
): Claim<T> {
  const claimed: T[] = [];
  const adoptions: Action[] = [];
  const releases: Action[] = [];
  const ownerEnds = owner.metadata.deletionTimestamp !== undefined;
  for (const object of candidates) {
    const controller = controllerOf(object);
    const matches = selector.matches(object.metadata.labels);
    if (controller) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (matches) claimed.push(object);
      else if (!ownerEnds) releases.push(release(owner, kind, object));
    } else if (matches && !ownerEnds && object.metadata.deletionTimestamp === undefined) {
      claimed.push(object);
      adoptions.push(adopt(owner, ownerKind, kind, object));
    }
  }
  const actions: (Action | readonly Action[])[] = [];
  if (releases.length) actions.push(releases);
  if (adoptions.length) actions.push(confirm(owner, ownerKind), adoptions);
  return { claimed, actions };
}

/** The owner's end must not be outrun: see the action's description. */
function confirm(owner: KubeObject, kind: AnyKind): Action {
  const { namespace, name, uid } = owner.metadata;
  return { do: 'confirm', kind, ref: { namespace, name }, uid };
}

function adopt(owner: KubeObject, ownerKind: AnyKind, kind: AnyKind, object: KubeObject): Action {
  const { namespace, name, uid } = object.metadata;
  const patch = { metadata: { ownerReferences: [controllerRef(owner, ownerKind)], uid } };
  return { do: 'patch', kind, ref: { namespace, name }, type: 'strategic', patch };
}

function release(owner: KubeObject, kind: AnyKind, object: KubeObject): Action {
  const { namespace, name, uid } = object.metadata;
  const patch = { metadata: { ownerReferences: [{ $patch: 'delete', uid: owner.metadata.uid }], uid } };
  // Gone, or another object by now: then there is nothing to release.
  return { do: 'patch', kind, ref: { namespace, name }, type: 'strategic', patch, ignore: ['NotFound', 'Invalid'] };
}
