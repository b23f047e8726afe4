// Subresources that show the whole object and let one part of it change: GET, PUT and PATCH.

import type { FieldError } from '../../api/errors.ts';
import { notFound } from '../../api/errors.ts';
import type { AnyKind } from '../../api/kind.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';
import { decodeBody, matchName, matchNamespace } from '../body.ts';
import { requiredName, requireVerb, subjectOf, type Call, type Handler } from '../call.ts';
import { cloneJson } from '../plain.ts';
import { formOf } from '../forms.ts';
import { updateObject } from '../registry.ts';
import { patchedDraft } from '../verbs/patch.ts';

export interface Part<T extends KubeObject> {
  /** The current object with the part taken from what the client sent. Both are read only. */
  take(sent: T, current: T, call: Call): T;
  /** Judges the result; `object` and `old` differ in the part and in metadata. */
  validate(object: T, old: T, call: Call): readonly FieldError[];
}

/** GET reads the object as it is; PUT and PATCH change the part and nothing else. */
export function partHandler<T extends KubeObject>(part: Part<T>): Handler {
  return (call) => {
    requireVerb(call, 'get', 'update', 'patch');
    return call.op.verb === 'get' ? read(call) : write(call, part as unknown as Part<KubeObject>);
  };
}

async function read(call: Call): Promise<ObjectResult> {
  const { kind, op } = call;
  const name = requiredName(op);
  const stored = (await call.server.caches.latest(kind)).get(op.namespace, name);
  if (!stored) throw notFound(subjectOf(kind), name);
  return { type: 'object', object: formOf(kind, stored) };
}

async function write(call: Call, part: Part<KubeObject>): Promise<ObjectResult> {
  const { kind, op } = call;
  const name = requiredName(op);
  const { object } = await updateObject(call, kind, {
    namespace: op.namespace,
    name,
    subresource: op.subresource,
    unconditional: true,
    managed: op.patchType === 'apply',
    draft(current) {
      const sent = op.verb === 'patch' ? patchedDraft(call, kind, current!, name) : decodePut(call, kind, name);
      const draft = cloneJson(part.take(sent, current!, call));
      draft.metadata.resourceVersion = sent.metadata.resourceVersion;
      if (op.patchType === 'apply') draft.metadata.managedFields = sent.metadata.managedFields ?? [];
      return draft;
    },
    validate: (object, old) => part.validate(object, old, call),
  });
  return { type: 'object', object };
}

function decodePut(call: Call, kind: AnyKind, name: string): KubeObject {
  const sent = decodeBody(call, kind, call.op.body);
  matchNamespace(kind, call.op, sent);
  matchName(sent, name, call.op.namespace);
  return sent;
}
