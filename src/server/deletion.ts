// What a delete does to an object: nothing holds it and it goes at once, or it is marked and waits for its grace period,
// its finalizers, its namespace content. Pure.

import { conflict } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { KubeObject, ObjectMeta } from '../api/object.ts';
import type { OpOptions } from '../api/op.ts';
import { rfc3339 } from '../base/env.ts';
import { subjectOf } from './call.ts';

export const ORPHAN = 'orphan';
export const FOREGROUND = 'foregroundDeletion';

export type Deletion =
  /** Remove it from the store. */
  | { readonly step: 'remove' }
  /** Store this instead: the object lives on for a while. */
  | { readonly step: 'mark'; readonly object: KubeObject }
  /** The deletion is under way already. */
  | { readonly step: 'wait' };

/** Throws Conflict for preconditions that do not hold. */
export function planDeletion(kind: AnyKind, object: KubeObject, options: OpOptions, now: number): Deletion {
  checkPreconditions(kind, object, options);
  if (isNamespace(kind)) return planNamespace(kind, object, options, now);
  const graceful = kind.gracefulDeletion !== undefined;
  const { deletionTimestamp, deletionGracePeriodSeconds: pending } = object.metadata;
  if (graceful && deletionTimestamp !== undefined && pending)
    return shorten(object, options, pending, deletionTimestamp);
  const finalizers = wantedFinalizers(kind, object.metadata, options);
  const seconds = deletionTimestamp === undefined ? graceOf(kind, object, options) : 0;
  if (!finalizers.length && !seconds) return { step: 'remove' };
  return mark(object, finalizers, seconds, now);
}

function graceOf(kind: AnyKind, object: KubeObject, options: OpOptions): number {
  return Math.max(0, kind.gracefulDeletion?.(object, options.gracePeriodSeconds) ?? 0);
}

/** Marks the object as being deleted; a deletion that has begun keeps its time. */
function mark(object: KubeObject, finalizers: readonly string[], seconds: number, now: number): Deletion {
  const { metadata } = object;
  const begun = metadata.deletionTimestamp !== undefined;
  const same =
    begun && sameSet(finalizers, metadata.finalizers ?? []) && metadata.deletionGracePeriodSeconds === seconds;
  if (same) return { step: 'wait' };
  const next: ObjectMeta = {
    ...metadata,
    deletionTimestamp: metadata.deletionTimestamp ?? rfc3339(now + seconds * 1000),
    deletionGracePeriodSeconds: seconds,
    ...(!begun && metadata.generation ? { generation: metadata.generation + 1 } : {}),
  };
  if (finalizers.length) next.finalizers = [...finalizers];
  else delete next.finalizers;
  return { step: 'mark', object: { ...object, metadata: next } };
}

/** A graceful deletion that runs may only be made shorter. */
function shorten(object: KubeObject, options: OpOptions, pending: number, timestamp: string): Deletion {
  const wanted = options.gracePeriodSeconds;
  if (wanted === undefined || wanted >= pending) return { step: 'wait' };
  const seconds = Math.max(0, wanted);
  if (seconds === 0 && !object.metadata.finalizers?.length) return { step: 'remove' };
  const deletionTimestamp = rfc3339(Date.parse(timestamp) - (pending - seconds) * 1000);
  const metadata = { ...object.metadata, deletionTimestamp, deletionGracePeriodSeconds: seconds };
  return { step: 'mark', object: { ...object, metadata } };
}

/** A namespace is emptied first: its spec.finalizers hold it. */
function planNamespace(kind: AnyKind, object: KubeObject, options: OpOptions, now: number): Deletion {
  const namespace = object as KubeObject & { spec?: { finalizers?: string[] }; status?: Record<string, unknown> };
  const finalizers = wantedFinalizers(kind, object.metadata, options);
  const held = (namespace.spec?.finalizers?.length ?? 0) > 0;
  if (object.metadata.deletionTimestamp !== undefined) {
    return held || object.metadata.finalizers?.length ? { step: 'wait' } : { step: 'remove' };
  }
  if (!held && finalizers.length === 0) return { step: 'remove' };
  const metadata: ObjectMeta = { ...object.metadata, deletionTimestamp: rfc3339(now) };
  if (finalizers.length) metadata.finalizers = finalizers;
  else delete metadata.finalizers;
  const marked = { ...namespace, metadata, status: { ...namespace.status, phase: 'Terminating' } };
  return { step: 'mark', object: marked };
}

/** The finalizers after the propagation policy has had its say. */
function wantedFinalizers(kind: AnyKind, metadata: ObjectMeta, options: OpOptions): string[] {
  const present = metadata.finalizers ?? [];
  const others = present.filter((f) => f !== ORPHAN && f !== FOREGROUND);
  const policy =
    options.propagationPolicy ??
    (present.includes(ORPHAN) ? 'Orphan' : present.includes(FOREGROUND) ? 'Foreground' : kind.defaultPropagation);
  if (policy === 'Orphan') return [...others, ORPHAN];
  if (policy === 'Foreground') return [...others, FOREGROUND];
  return others;
}

function checkPreconditions(kind: AnyKind, object: KubeObject, { preconditions }: OpOptions): void {
  const { uid, resourceVersion, name } = object.metadata;
  if (preconditions?.uid && preconditions.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${preconditions.uid}, UID in object meta: ${uid}`;
    throw conflict(subjectOf(kind), name, why);
  }
  if (preconditions?.resourceVersion && preconditions.resourceVersion !== resourceVersion) {
    const why =
      `Precondition failed: ResourceVersion in precondition: ${preconditions.resourceVersion}, ` +
      `ResourceVersion in object meta: ${resourceVersion}`;
    throw conflict(subjectOf(kind), name, why);
  }
}

export const isNamespace = (kind: AnyKind) => !kind.group && kind.plural === 'namespaces';
const sameSet = (a: readonly string[], b: readonly string[]) => a.length === b.length && a.every((x) => b.includes(x));
