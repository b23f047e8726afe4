// PUT of an object or of its status.

import type { ObjectResult } from '../../api/op.ts';
import { decodeBody, matchName, matchNamespace } from '../body.ts';
import { requiredName, type Call } from '../call.ts';
import { createIfAllowed } from '../create-missing.ts';
import { updateObject } from '../registry.ts';

export async function update(call: Call): Promise<ObjectResult> {
  const { op, kind } = call;
  const name = requiredName(op);
  const { object, created } = await updateObject(call, kind, {
    namespace: op.namespace,
    name,
    subresource: op.subresource,
    unconditional: !kind.requireVersionOnUpdate,
    draft(current) {
      const draft = decodeBody(call, kind, op.body, current);
      matchNamespace(kind, op, draft);
      matchName(draft, name, op.namespace);
      return draft;
    },
    createMissing: kind.createOnUpdate && !op.subresource ? (draft) => createIfAllowed(call, draft) : undefined,
  });
  return { type: 'object', object, ...(created ? { code: 201 } : {}) };
}
