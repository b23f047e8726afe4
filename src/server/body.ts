// From what a client sent to a fresh, typed, defaulted object of the kind the request is about.

import { badRequest } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { KubeObject, ObjectMeta } from '../api/object.ts';
import type { ApiOp } from '../api/op.ts';
import { decodeKind } from '../api/typed.ts';
import type { Call } from './call.ts';

/** Decodes the body of a create or update. Throws BadRequest in upstream's words. */
export function decodeBody(call: Call, kind: AnyKind, body: unknown): KubeObject {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badRequest(`the object provided is unrecognized (must be of type ${kind.kind}): couldn't get version/kind`);
  }
  const { apiVersion, kind: kindName } = body as Partial<KubeObject>;
  if (apiVersion && kindName && kindName !== kind.kind) {
    const [, version] = versionOf(apiVersion);
    throw badRequest(
      `${kindName} in version ${JSON.stringify(version)} cannot be handled as a ${kind.kind}: ` +
        `converting (${shortType(apiVersion)}.${kindName}) to (${shortType(kind.apiVersion)}.${kind.kind}): unknown conversion`,
    );
  }
  if (apiVersion && apiVersion !== kind.apiVersion) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${kind.apiVersion})`,
    );
  }
  const object = decodeAs(call, kind, body);
  kind.default?.(object);
  return object;
}

/** Decodes by the kind's schema: a fresh object, with field validation as the request asks for it. */
export function decodeAs(call: Call, kind: AnyKind, body: unknown): KubeObject {
  const { options, decodeWarnings } = call.op;
  const { object, warnings } = decodeKind<KubeObject>(kind, body, {
    validation: options.fieldValidation ?? 'Warn',
    ...(decodeWarnings ? { duplicates: decodeWarnings } : {}),
  });
  for (const text of warnings) call.warnings.add(text);
  object.metadata ??= {} as ObjectMeta;
  return object;
}

/** The object lives where the request says; a body that says otherwise is refused. */
export function matchNamespace(kind: AnyKind, op: ApiOp, object: KubeObject): void {
  const { metadata } = object;
  if (!kind.namespaced) {
    if (metadata.namespace) delete metadata.namespace;
    return;
  }
  if (metadata.namespace && op.namespace && metadata.namespace !== op.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (op.namespace) metadata.namespace = op.namespace;
  if (!metadata.namespace) throw badRequest('an empty namespace may not be set during creation');
}

/** The object carries the name of the request's path. */
export function matchName(object: KubeObject, name: string, namespace: string | undefined): void {
  const { metadata } = object;
  if (!metadata.name) {
    throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
  }
  if (metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
  if (namespace && metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest(
      `the namespace of the object (${metadata.namespace}) does not match the namespace on the request (${namespace})`,
    );
  }
}

function versionOf(apiVersion: string): [group: string, version: string] {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? ['', apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
}
const shortType = (apiVersion: string) => versionOf(apiVersion)[1];
