// Asks the authorizer about an operation, and says no in upstream's words.

import { forbidden } from '../api/errors.ts';
import type { ApiOp } from '../api/op.ts';
import type { Attributes, Authorizer } from './authorizer.ts';

/** The verb that permissions name: connects count by their HTTP method. */
export function permissionVerb(op: ApiOp): string {
  if (op.verb !== 'connect') return op.verb;
  switch (op.connect?.method.toUpperCase() ?? 'POST') {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
      return 'get';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return 'delete';
    default:
      return 'create';
  }
}

/** `metadata.name=x` in a field selector: a list or watch of one object, which rights to that object allow. */
const NAMED = /(?:^|,)metadata\.name==?([^,]+)/;

export function attributesOf(op: ApiOp): Attributes {
  // A namespace counts as being inside itself: who may read a namespace's content may be allowed to read it.
  const itself = op.resource === 'namespaces' && !op.group ? op.name : undefined;
  const { fieldSelector } = op.options;
  return {
    user: op.user,
    verb: permissionVerb(op),
    group: op.group,
    version: op.version,
    resource: op.resource,
    subresource: op.subresource ?? '',
    namespace: op.namespace ?? itself ?? '',
    name: op.name ?? (fieldSelector && NAMED.exec(fieldSelector)?.[1]) ?? '',
    ...(fieldSelector ? { fieldSelector } : {}),
  };
}

/** Throws Forbidden when the authorizer does not allow the operation. */
export function requireAllowed(authorizer: Authorizer, op: ApiOp): void {
  const attributes = attributesOf(op);
  const decision = authorizer.authorize(attributes);
  if (decision.allowed) return;
  const why = forbiddenMessage(attributes);
  const { group, resource, name } = attributes;
  throw forbidden({ group, resource }, name, decision.reason ? `${why}: ${decision.reason}` : why);
}

/** `User "u" cannot get resource "pods" in API group "" in the namespace "ns"`; for other paths `... cannot get path "/x"`. */
export function forbiddenMessage(a: Attributes): string {
  const quote = JSON.stringify;
  const who = `User ${quote(a.user.name)} cannot ${a.verb}`;
  if (a.path !== undefined) return `${who} path ${quote(a.path)}`;
  const resource = a.subresource ? `${a.resource}/${a.subresource}` : a.resource;
  const where = a.namespace ? `in the namespace ${quote(a.namespace)}` : 'at the cluster scope';
  return `${who} resource ${quote(resource)} in API group ${quote(a.group)} ${where}`;
}
