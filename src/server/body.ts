// From what a client sent to a fresh, typed, defaulted object of the kind the request is about.

import { badRequest } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { KubeObject, ObjectMeta } from '../api/object.ts';
import type { ApiOp } from '../api/op.ts';
import { decodeKind } from '../api/typed.ts';
import type { Call } from './call.ts';

/**
 * Decodes the body of a create or update. Throws BadRequest in upstream's words. What the body shares with `old`, the
 * object to be replaced, and the request leaves alone is taken over: callers in this process send most of it back as they
 * got it.
 */
export function decodeBody(call: Call, kind: AnyKind, body: unknown, old?: KubeObject): KubeObject {
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
  const known = old && sharedParts(call.op, kind, body as KubeObject, old);
  const object = decodeAs(call, kind, body, known?.parts);
  if (known?.main) kind.status?.default?.(object);
  else kind.default?.(object);
  return object;
}

/** Decodes by the kind's schema: a fresh object, with field validation as the request asks for it. */
export function decodeAs(call: Call, kind: AnyKind, body: unknown, known?: ReadonlyMap<unknown, string>): KubeObject {
  const { options, decodeWarnings } = call.op;
  const { object, warnings } = decodeKind<KubeObject>(kind, body, {
    validation: options.fieldValidation ?? 'Warn',
    ...(decodeWarnings ? { duplicates: decodeWarnings } : {}),
    known,
  });
  for (const text of warnings) call.warnings.add(text);
  object.metadata ??= {} as ObjectMeta;
  return object;
}

const SHARED_METADATA = ['labels', 'annotations', 'ownerReferences', 'finalizers', 'managedFields'] as const;

interface Shared {
  readonly parts: ReadonlyMap<unknown, string>;
  /** The part besides metadata and status is among them. */
  readonly main: boolean;
}

/** Only what no later step changes in place: lists and maps of metadata, and the half the endpoint does not write. */
function sharedParts({ subresource }: ApiOp, kind: AnyKind, body: KubeObject, old: KubeObject): Shared {
  const parts = new Map<unknown, string>();
  const toStatus = subresource === 'status' && (kind.status?.default !== undefined || !kind.default);
  let main = false;
  const [sent, stored] = [body as unknown as Record<string, unknown>, old as unknown as Record<string, unknown>];
  for (const key in sent) {
    const value = sent[key];
    if (typeof value !== 'object' || value !== stored[key] || key === 'metadata') continue;
    if (key === 'status' ? subresource === 'status' : !toStatus) continue;
    parts.set(value, key);
    main ||= key !== 'status';
  }
  for (const key of SHARED_METADATA) {
    const value = body.metadata?.[key];
    if (value && value === old.metadata[key]) parts.set(value, key);
  }
  return { parts, main };
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
