// POST of an object to its collection.

import type { ObjectResult } from '../../api/op.ts';
import { decodeBody, matchNamespace } from '../body.ts';
import type { Call } from '../call.ts';
import { createObject } from '../registry.ts';

export async function create(call: Call): Promise<ObjectResult> {
  const { op, kind } = call;
  const draft = decodeBody(call, kind, op.body);
  matchNamespace(kind, op, draft);
  return { type: 'object', object: await createObject(call, kind, draft), code: 201 };
}
