// PATCH: the stored object with a patch applied takes the way of an update.

import { badRequest, StatusError } from '../../api/errors.ts';
import type { AnyKind } from '../../api/kind.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';
import { decodeBody, matchName } from '../body.ts';
import { requiredName, type Call } from '../call.ts';
import { updateObject } from '../registry.ts';

export async function patch(call: Call): Promise<ObjectResult> {
  const { op, kind } = call;
  const name = requiredName(op);
  const versioned = namesVersion(op.body);
  const { object } = await updateObject(call, kind, {
    namespace: op.namespace,
    name,
    subresource: op.subresource,
    unconditional: true,
    draft(current) {
      const draft = decodeBody(call, kind, patched(call, kind, current!));
      matchName(draft, name, op.namespace);
      // Without a version of its own the patch may be applied to whatever is there by then.
      if (!versioned) draft.metadata.resourceVersion = '';
      return draft;
    },
  });
  return { type: 'object', object };
}

/** The current object with the patch applied. */
export function patched(call: Call, _kind: AnyKind, current: KubeObject): unknown {
  const { patchType, body } = call.op;
  switch (patchType) {
    case 'merge':
      return mergePatch(current, body);
    default:
      throw new StatusError('UnsupportedMediaType', `patches of type ${String(patchType)} are not supported`);
  }
}

function mergePatch(target: unknown, change: unknown): unknown {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) return change;
  const out: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete out[key];
    else out[key] = mergePatch(out[key], value);
  }
  return out;
}

/** True for a patch that sets metadata.resourceVersion itself. */
export function namesVersion(body: unknown): boolean {
  if (Array.isArray(body)) {
    return body.some((step) => (step as { path?: unknown } | null)?.path === '/metadata/resourceVersion');
  }
  if (typeof body !== 'object' || body === null) throw badRequest('the patch must be an object or a list of steps');
  return Boolean((body as Partial<KubeObject>).metadata?.resourceVersion);
}
