// PATCH: the stored object with a patch applied takes the way of an update.

import { conflict, notFound, StatusError } from '../../api/errors.ts';
import { applyJsonPatch } from '../../api/json-patch.ts';
import { isObject, type JsonObject } from '../../api/json-values.ts';
import type { AnyKind } from '../../api/kind.ts';
import { applyMergePatch } from '../../api/merge-patch.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';
import { applyStrategicMerge } from '../../api/strategic-merge.ts';
import { decodeBody, matchName, matchNamespace } from '../body.ts';
import { requiredName, subjectOf, type Call } from '../call.ts';
import { createIfAllowed } from '../create-missing.ts';
import { appliedTo } from '../managed-fields.ts';
import { updateObject } from '../registry.ts';

export async function patch(call: Call): Promise<ObjectResult> {
  const { op, kind } = call;
  const name = requiredName(op);
  const applies = op.patchType === 'apply';
  const { object, created } = await updateObject(call, kind, {
    namespace: op.namespace,
    name,
    subresource: op.subresource,
    unconditional: true,
    managed: applies,
    draft: (current) => patchedDraft(call, kind, current, name),
    createMissing:
      applies && !op.subresource
        ? (draft) => createIfAllowed(call, newDraft(kind, draft), { managed: true })
        : undefined,
  });
  return { type: 'object', object, ...(created ? { code: 201 } : {}) };
}

/** A fresh draft of the current object with the request's patch applied; without one, what an apply makes. */
export function patchedDraft(call: Call, kind: AnyKind, current: KubeObject | undefined, name: string): KubeObject {
  const draft = decodeBody(call, kind, patched(call, kind, current), current);
  if (!current) matchNamespace(kind, call.op, draft);
  if (!current && !draft.metadata.name) draft.metadata.name = name;
  matchName(draft, name, call.op.namespace);
  // Without a version of its own the patch may be applied to whatever is there by then.
  if (!namesVersion(call.op.body)) draft.metadata.resourceVersion = '';
  return draft;
}

/** An apply that speaks of an object in particular cannot make another one. */
function newDraft(kind: AnyKind, draft: KubeObject): KubeObject {
  const { name, uid, resourceVersion } = draft.metadata;
  if (uid) {
    const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
    throw conflict(subjectOf(kind), name, why);
  }
  if (resourceVersion) throw notFound(subjectOf(kind), name);
  return draft;
}

/** The current object, which stays as it is, with the patch applied. */
export function patched(call: Call, kind: AnyKind, current: KubeObject | undefined): unknown {
  const { patchType, body, subresource } = call.op;
  if (patchType === 'apply') return appliedTo(call, kind, current, body, subresource);
  const target = current as unknown as JsonObject;
  switch (patchType) {
    case 'json':
      return applyJsonPatch(target, body);
    case 'merge':
      return applyMergePatch(target, body);
    case 'strategic':
      if (kind.schema.name !== '') return applyStrategicMerge(target, body, kind.schema);
  }
  const types = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml'];
  throw new StatusError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${types.join(', ')}`,
  );
}

/** True for a patch that sets metadata.resourceVersion itself. */
export function namesVersion(body: unknown): boolean {
  if (Array.isArray(body)) {
    return body.some((step: unknown) => isObject(step) && step['path'] === '/metadata/resourceVersion');
  }
  return isObject(body) && isObject(body['metadata']) && Boolean(body['metadata']['resourceVersion']);
}
