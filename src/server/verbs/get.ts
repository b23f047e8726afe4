// GET of one object: from the watch cache, which holds every write made so far.

import { notFound } from '../../api/errors.ts';
import type { ObjectResult } from '../../api/op.ts';
import { requiredName, subjectOf, type Call } from '../call.ts';
import { formOf } from '../forms.ts';
import { waitForVersion } from './resource-version.ts';

export async function get(call: Call): Promise<ObjectResult> {
  const { op, kind, server } = call;
  const name = requiredName(op);
  const storage = await (op.options.resourceVersion ? server.caches.current(kind) : server.caches.latest(kind));
  if (op.options.resourceVersion) await waitForVersion(call, storage, op.options.resourceVersion);
  const stored = storage.get(op.namespace, name);
  if (!stored) throw notFound(subjectOf(kind), name);
  return { type: 'object', object: formOf(kind, stored) };
}
