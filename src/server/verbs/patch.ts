// PATCH: the stored object with a patch applied takes the way of an update.

import { StatusError } from '../../api/errors.ts';
import { applyJsonPatch } from '../../api/json-patch.ts';
import { isObject, type JsonObject } from '../../api/json-values.ts';
import type { AnyKind } from '../../api/kind.ts';
import { applyMergePatch } from '../../api/merge-patch.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';
import { applyStrategicMerge } from '../../api/strategic-merge.ts';
import { decodeBody, matchName } from '../body.ts';
import { requiredName, type Call } from '../call.ts';
import { updateObject } from '../registry.ts';

export async function patch(call: Call): Promise<ObjectResult> {
  const { op, kind } = call;
  const name = requiredName(op);
  const { object } = await updateObject(call, kind, {
    namespace: op.namespace,
    name,
    subresource: op.subresource,
    unconditional: true,
    draft: (current) => patchedDraft(call, kind, current!, name),
  });
  return { type: 'object', object };
}

/** A fresh draft of the current object with the request's patch applied. */
export function patchedDraft(call: Call, kind: AnyKind, current: KubeObject, name: string): KubeObject {
  const draft = decodeBody(call, kind, patched(call, kind, current));
  matchName(draft, name, call.op.namespace);
  // Without a version of its own the patch may be applied to whatever is there by then.
  if (!namesVersion(call.op.body)) draft.metadata.resourceVersion = '';
  return draft;
}

/** The current object, which stays as it is, with the patch applied. */
export function patched(call: Call, kind: AnyKind, current: KubeObject): unknown {
  const { patchType, body } = call.op;
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
