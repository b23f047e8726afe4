// Owner references and finalizers: who controls an object, and who must let go of it before it may end.

import type { AnyKind } from '../api/kind.ts';
import type { KubeObject, OwnerReference } from '../api/object.ts';
import type { Action } from './controller.ts';

/** A reference that makes `owner` the controller of what carries it. */
export function controllerRef(owner: KubeObject, kind: { apiVersion: string; kind: string }): OwnerReference {
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

export function hasFinalizer(object: KubeObject, finalizer: string): boolean {
  return object.metadata.finalizers?.includes(finalizer) ?? false;
}

export function addFinalizer(kind: AnyKind, object: KubeObject, finalizer: string): Action {
  const finalizers = object.metadata.finalizers ?? [];
  return setFinalizers(kind, object, finalizers.includes(finalizer) ? finalizers : [...finalizers, finalizer]);
}

/** Lets go of the object. That it is gone already is fine. */
export function removeFinalizer(kind: AnyKind, object: KubeObject, finalizer: string): Action {
  const left = (object.metadata.finalizers ?? []).filter((name) => name !== finalizer);
  return { ...setFinalizers(kind, object, left), ignore: ['NotFound'] };
}

/** A merge patch replaces the whole list, so it is tied to the version the list was read from. */
function setFinalizers(kind: AnyKind, { metadata }: KubeObject, finalizers: readonly string[]): Action {
  const { namespace, name, uid, resourceVersion } = metadata;
  const patch = { metadata: { uid, resourceVersion, finalizers } };
  return { do: 'patch', kind, ref: { namespace, name }, type: 'merge', patch };
}
