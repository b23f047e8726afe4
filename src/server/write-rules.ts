// What a write may touch: owners named twice, the parts an endpoint leaves alone, generations, managed fields.

import type { AnyKind } from '../api/kind.ts';
import type { KubeObject, ObjectMeta } from '../api/object.ts';
import type { Call } from './call.ts';
import { sameJson } from '../api/same-json.ts';

type WithStatus = KubeObject & { status?: unknown };

/** Drops owner references with a UID seen before, with upstream's warning. */
export function dedupOwners(call: Call, draft: KubeObject): void {
  const owners = draft.metadata.ownerReferences;
  if (!owners || owners.length < 2) return;
  const seen = new Set<string>();
  const kept = owners.filter((owner) => !seen.has(owner.uid) && seen.add(owner.uid));
  if (kept.length === owners.length) return;
  const twice = [...seen].filter((uid) => owners.filter((o) => o.uid === uid).length > 1);
  draft.metadata.ownerReferences = kept;
  call.warnings.add(
    '.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject ' +
      `such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: [${twice.join(' ')}]`,
  );
}

/** The main endpoint leaves status alone. */
export function keepForMain(draft: KubeObject, old: KubeObject): void {
  const { status } = old as WithStatus;
  if (status === undefined) delete (draft as WithStatus).status;
  else (draft as WithStatus).status = status;
}

const METADATA_OF_MAIN = ['labels', 'annotations', 'finalizers', 'ownerReferences'] as const;
/** What the status endpoint of a kind leaves alone of the metadata, where it does not leave all alone: by resource. */
const KEPT_METADATA: Readonly<Record<string, readonly (typeof METADATA_OF_MAIN)[number][]>> = {
  pods: ['ownerReferences'],
  'deployments.apps': ['labels'],
};
const NOTHING: readonly never[] = [];
export const keptMetadata = (kind: AnyKind): readonly (keyof ObjectMeta)[] =>
  kind.status?.keepsMetadata ? METADATA_OF_MAIN : (KEPT_METADATA[kind.resource] ?? NOTHING);

/** The status endpoint leaves everything else alone, but for the metadata of most kinds. */
export function keepForStatus(kind: AnyKind, draft: KubeObject, old: KubeObject): void {
  const target = draft as unknown as Record<string, unknown>;
  const source = old as unknown as Record<string, unknown>;
  for (const key in target) if (key !== 'metadata' && key !== 'status') delete target[key];
  for (const key in source) if (key !== 'metadata' && key !== 'status') target[key] = source[key];
  for (const key of keptMetadata(kind)) restore(draft.metadata, old.metadata, key);
}

function restore<K extends keyof ObjectMeta>(draft: ObjectMeta, old: ObjectMeta, key: K): void {
  if (old[key] === undefined) delete draft[key];
  else draft[key] = old[key];
}

const NOT_SPEC: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'status']);

/** The generation after a write: grows when anything but metadata and status changed. */
export function nextGeneration(kind: AnyKind, draft: KubeObject, old: KubeObject, toStatus: boolean): void {
  restore(draft.metadata, old.metadata, 'generation');
  if (!kind.generation || toStatus) return;
  const a = draft as unknown as Record<string, unknown>;
  const b = old as unknown as Record<string, unknown>;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  const changed = [...keys].some((key) => !NOT_SPEC.has(key) && !sameJson(a[key], b[key]));
  if (changed || kind.bumpsGeneration?.(draft, old)) draft.metadata.generation = (old.metadata.generation ?? 0) + 1;
}
