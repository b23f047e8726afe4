// PUT and apply of an object that is not there make it, for users who may create.

import type { KubeObject } from '../api/object.ts';
import { requireAllowed } from './authorize.ts';
import type { Call } from './call.ts';
import { createObject } from './registry.ts';

/** Throws Forbidden, in the words of a create, when the user may not. */
export async function createIfAllowed(
  call: Call,
  draft: KubeObject,
  options: { readonly managed?: boolean } = {},
): Promise<KubeObject> {
  requireAllowed(call.server.authorizer, { ...call.op, verb: 'create' });
  return createObject(call, call.kind, draft, options);
}
