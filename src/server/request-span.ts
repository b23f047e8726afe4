// The span of a request, by upstream's names of its handlers: every write is remembered, reads only where somebody who traces
// asks. Heartbeats and events are left out: they are many, and nothing follows from them.

import type { ApiOp } from '../api/op.ts';
import type { Span, Tracer } from '../base/trace.ts';

const NAMES: Readonly<Partial<Record<ApiOp['verb'], string>>> = {
  get: 'Get',
  list: 'List',
  create: 'Create',
  update: 'Update',
  patch: 'Patch',
  delete: 'Delete',
  deletecollection: 'DeleteCollection',
};
const READS = new Set<ApiOp['verb']>(['get', 'list']);
/** Nothing is stored, or nothing follows. */
const SILENT = new Set([
  'events',
  'leases',
  'tokenreviews',
  'subjectaccessreviews',
  'selfsubjectaccessreviews',
  'localsubjectaccessreviews',
  'selfsubjectrulesreviews',
  'selfsubjectreviews',
]);

/** Undefined for what is not remembered. */
export function spanOf(tracer: Tracer, op: ApiOp): Span | undefined {
  const name = NAMES[op.verb];
  if (!name || op.options.dryRun) return undefined;
  if (!op.trace?.sampled && (READS.has(op.verb) || SILENT.has(op.resource))) return undefined;
  const span = tracer.begin('apiserver', name, op.trace);
  span.resource = op.group ? `${op.resource}.${op.group}` : op.resource;
  span.namespace = op.namespace ?? '';
  span.objectName = op.name ?? '';
  span.user = op.user.name;
  span.agent = op.userAgent ?? '';
  span.detail = op.subresource ?? '';
  return span;
}
