// The shape every API object shares, and small readers of it. Objects that have been read are immutable: they are
// shared between the store's cache, informers and clients. To change one, build a new value.

import type { ObjectMeta } from './generated/meta-v1.ts';

export type { ObjectMeta, OwnerReference, LabelSelector, Condition, Status } from './generated/meta-v1.ts';

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** What a writer hands in: metadata the server fills may be missing. */
export type Draft<T> = T extends { metadata: ObjectMeta } ? Omit<T, 'metadata'> & { metadata: Partial<ObjectMeta> } : T;

export interface ObjectRef {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** `namespace/name`, or the name alone for cluster-scoped objects: the key of queues and caches. */
export function keyOf(object: { metadata: { name: string; namespace?: string } }): string {
  const { namespace, name } = object.metadata;
  return namespace ? `${namespace}/${name}` : name;
}

export function refOfKey(key: string): ObjectRef {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The owner reference with `controller: true`, if any. */
export function controllerOf(object: KubeObject) {
  return object.metadata.ownerReferences?.find((o) => o.controller);
}

/** `apps/v1` -> [`apps`, `v1`]; `v1` -> [``, `v1`]. */
export function splitApiVersion(apiVersion: string): [group: string, version: string] {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? ['', apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
}

export function joinApiVersion(group: string, version: string): string {
  return group ? `${group}/${version}` : version;
}
