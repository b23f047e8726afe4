// DELETE of one object, and of a selected part of a collection.

import { conflict, MODIFIED, notFound } from '../../api/errors.ts';
import type { AnyKind } from '../../api/kind.ts';
import type { KubeObject, Status } from '../../api/object.ts';
import type { ApiResult, ListResult, ObjectResult, OpOptions } from '../../api/op.ts';
import { admissionOf } from '../admit.ts';
import { requiredName, subjectOf, type Call } from '../call.ts';
import type { Storage } from '../caches.ts';
import { planDeletion } from '../deletion.ts';
import { formOf } from '../forms.ts';
import { selectionOf } from '../selection.ts';

const TRIES = 100;
/** Kinds whose deletion answers with the object; the others answer with a Status. */
const RETURN_OBJECT = new Set([
  'pods',
  'services',
  'namespaces',
  'serviceaccounts',
  'podtemplates',
  'persistentvolumes',
  'persistentvolumeclaims',
  'resourcequotas',
]);

export async function remove(call: Call): Promise<ObjectResult> {
  const { op, kind } = call;
  const name = requiredName(op);
  const { object, gone } = await deleteObject(call, kind, op.namespace, name, op.options);
  if (!gone) return { type: 'object', object, ...(op.options.propagationPolicy === 'Foreground' ? { code: 202 } : {}) };
  if (!kind.group && RETURN_OBJECT.has(kind.plural)) return { type: 'object', object };
  return { type: 'object', object: deletedStatus(kind, object) as unknown as KubeObject };
}

export async function removeCollection(call: Call): Promise<ApiResult> {
  const { op, kind, server } = call;
  const storage = await server.caches.latest(kind);
  const { scope, indexed, matches } = selectionOf(op, kind, storage);
  const present = storage.cache.list(scope, indexed ? { indexed } : {});
  const chosen = matches ? present.filter(matches) : present;
  const items: KubeObject[] = [];
  for (const stored of chosen) {
    const { namespace, name } = stored.metadata;
    // Somebody else may delete some of them meanwhile.
    const deleted = await deleteIfPresent(call, kind, namespace, name);
    if (deleted) items.push(deleted);
  }
  const list: ListResult = {
    type: 'list',
    apiVersion: kind.apiVersion,
    kind: kind.listKind,
    metadata: { resourceVersion: String(storage.cache.revision) },
    items,
  };
  return list;
}

async function deleteIfPresent(
  call: Call,
  kind: AnyKind,
  namespace: string | undefined,
  name: string,
): Promise<KubeObject | undefined> {
  try {
    return (await deleteObject(call, kind, namespace, name, call.op.options)).object;
  } catch (error) {
    if ((error as { reason?: string }).reason === 'NotFound') return undefined;
    throw error;
  }
}

/** Deletes, or marks as being deleted; `gone` tells which. Rejects with NotFound, Conflict, Forbidden. */
export async function deleteObject(
  call: Call,
  kind: AnyKind,
  namespace: string | undefined,
  name: string,
  options: OpOptions,
): Promise<{ readonly object: KubeObject; readonly gone: boolean }> {
  const storage: Storage = await call.server.caches.latest(kind);
  const admission = admissionOf(call, 'DELETE', kind);
  let stored = storage.get(namespace, name);
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    if (!stored) throw notFound(subjectOf(kind), name);
    const old = formOf(kind, stored);
    await admission.mutate(undefined, old);
    await admission.validate(undefined, old);
    const plan = planDeletion(kind, old, options, call.server.env.clock.now());
    if (plan.step === 'wait') return { object: old, gone: false };
    if (options.dryRun) return { object: plan.step === 'mark' ? plan.object : old, gone: plan.step === 'remove' };
    if (plan.step === 'mark') {
      const next = kind.storedAs ? kind.storedAs.to(plan.object) : plan.object;
      const outcome = await storage.put({ ...next, metadata: { ...next.metadata } }, stored, call.span);
      if (outcome.ok) return { object: formOf(kind, outcome.object), gone: false };
      stored = outcome.current;
    } else {
      const outcome = await storage.delete(stored, call.span);
      if (outcome.ok) return { object: old, gone: true };
      stored = outcome.current;
    }
  }
  throw conflict(subjectOf(kind), name, MODIFIED);
}

/** Success, with what was deleted. */
export function deletedStatus(kind: AnyKind, object: KubeObject): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name: object.metadata.name,
      ...(kind.group ? { group: kind.group } : {}),
      kind: kind.plural,
      uid: object.metadata.uid,
    },
  };
}
