// Changes of a stored object that go around the kind's update strategy, as some subresources do: a compare-and-swap
// without admission, managed fields or validation.

import { notFound } from '../../api/errors.ts';
import type { AnyKind } from '../../api/kind.ts';
import type { KubeObject } from '../../api/object.ts';
import { subjectOf, type Call } from '../call.ts';

/**
 * Stores what `change` makes of the object. Called again after a lost race; returns undefined for no change.
 * Rejects with NotFound, and with what `change` throws.
 */
export async function changeStored<T extends KubeObject>(
  call: Call,
  kind: AnyKind,
  ref: { readonly namespace: string | undefined; readonly name: string },
  change: (stored: T) => T | undefined,
): Promise<T> {
  const storage = await call.server.caches.latest(kind);
  let stored = storage.get(ref.namespace, ref.name) as T | undefined;
  for (;;) {
    if (!stored) throw notFound(subjectOf(kind), ref.name);
    const next = change(stored);
    if (!next) return stored;
    if (call.op.options.dryRun) return next;
    // The store takes the metadata over.
    const outcome = await storage.put({ ...next, metadata: { ...next.metadata } }, stored, call.span);
    if (outcome.ok) return outcome.object as T;
    stored = outcome.current as T | undefined;
  }
}
