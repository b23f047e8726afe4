// The span of a request, by upstream's names of its handlers: every write is remembered, reads only where somebody who traces
// asks. Heartbeats and events are left out: they are many, and nothing follows from them.

import type { ApiOp } from '../api/op.ts';
import { Span, type Tracer } from '../base/trace.ts';

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

/** Whose word is taken for what a request is part of: as upstream, of the privileged, and here of the cluster's own parts. */
const GROUPS = new Set(['system:masters', 'system:monitoring', 'system:nodes', 'system:serviceaccounts:kube-system']);
const USERS = new Set(['system:kube-controller-manager', 'system:kube-scheduler', 'system:kube-proxy']);

function trusted({ trace, user }: ApiOp): boolean {
  if (!trace || trace instanceof Span) return true;
  return USERS.has(user.name) || user.groups.some((group) => GROUPS.has(group));
}

/** Undefined for what is not remembered. */
export function spanOf(tracer: Tracer, op: ApiOp): Span | undefined {
  const name = NAMES[op.verb];
  if (!name || op.options.dryRun) return undefined;
  const parent = trusted(op) ? op.trace : undefined;
  if (!parent?.sampled && (READS.has(op.verb) || SILENT.has(op.resource))) return undefined;
  const span = tracer.begin('apiserver', name, parent);
  span.resource = op.group ? `${op.resource}.${op.group}` : op.resource;
  span.namespace = op.namespace ?? '';
  span.objectName = op.name ?? '';
  span.user = op.user.name;
  span.agent = op.userAgent ?? '';
  span.detail = op.subresource ?? '';
  return span;
}
