// Who owns which fields: recorded on every write, and the merge of server-side apply.

import { applyPatch } from '../api/apply/apply.ts';
import type { FieldTree } from '../api/apply/field-tree.ts';
import { managerOfUserAgent } from '../api/apply/managers.ts';
import { trackUpdate, type ManagerOptions, type Versioned } from '../api/apply/track.ts';
import { field, invalid } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import { storageKind } from './kind-registry.ts';
import { formOf } from './forms.ts';
import type { Call } from './call.ts';
import { keptMetadata } from './write-rules.ts';

/** Records in `draft` what this request changes against `old`; undefined for a new object. */
export function touchManagedFields(
  call: Call,
  kind: AnyKind,
  old: KubeObject | undefined,
  draft: KubeObject,
  subresource?: string,
): void {
  const entries = trackUpdate(old, draft, managerOptions(call, kind, subresource));
  if (entries) draft.metadata.managedFields = entries;
  else delete draft.metadata.managedFields;
}

/**
 * The configuration of an apply request merged into the current object, managed fields included; not decoded yet.
 * Throws Conflict for fields that others own, unless forced.
 */
export function appliedTo(
  call: Call,
  kind: AnyKind,
  current: KubeObject | undefined,
  config: unknown,
  subresource: string | undefined,
): KubeObject {
  const options = managerOptions(call, kind, subresource);
  if (!options.manager) {
    const cause = field.required('fieldManager', 'is required for apply patch');
    throw invalid('meta.k8s.io', 'PatchOptions', '', [cause]);
  }
  const { object } = applyPatch(current, config, { ...options, force: call.op.options.force });
  return object as unknown as KubeObject;
}

function managerOptions(call: Call, kind: AnyKind, subresource: string | undefined): ManagerOptions {
  const { op, server } = call;
  const reset = resetOf(kind, subresource);
  return {
    kind,
    manager: op.options.fieldManager || managerOfUserAgent(op.userAgent ?? ''),
    subresource,
    now: server.env.clock.now(),
    ...(reset ? { reset } : {}),
    versions: (apiVersion, object) => inVersion(call, kind, apiVersion, object),
  };
}

/** The object in another served version, as an owner that wrote it in that version sees it. */
function inVersion(call: Call, kind: AnyKind, apiVersion: string, object: KubeObject): Versioned | undefined {
  const other = call.server.kinds.byKind(apiVersion, kind.kind);
  if (!other || storageKind(other) !== storageKind(kind)) return undefined;
  const stored = kind.storedAs ? kind.storedAs.to(object) : object;
  return { schema: other.schema, object: formOf(other, stored) };
}

const MAIN: FieldTree = { 'f:status': {} };
const resets = new WeakMap<AnyKind, FieldTree>();

/** What this endpoint leaves alone and so gives nobody: status in the main resource, the rest in status. */
function resetOf(kind: AnyKind, subresource: string | undefined): FieldTree | undefined {
  if (subresource !== 'status') return kind.status ? MAIN : undefined;
  let reset = resets.get(kind);
  if (!reset) {
    const out: Record<string, FieldTree> = {};
    for (const name of kind.schema.fields.keys()) {
      if (!['apiVersion', 'kind', 'metadata', 'status'].includes(name)) out[`f:${name}`] = {};
    }
    const kept = keptMetadata(kind).map((key): [string, FieldTree] => [`f:${key}`, {}]);
    if (kept.length) out['f:metadata'] = Object.fromEntries(kept);
    resets.set(kind, (reset = out));
  }
  return reset;
}
