// The scale subresource: an autoscaling/v1 Scale read from and written to any kind that has replicas.

import { field, invalid, notFound, type FieldError } from '../../api/errors.ts';
import type { Scale as ScaleObject } from '../../api/generated/autoscaling-v1.ts';
import { defineKind, type AnyKind, type ScaleSubresource } from '../../api/kind.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';
import { decodeBody, matchName } from '../body.ts';
import { requiredName, subjectOf, type Call } from '../call.ts';
import { formOf, updateObject } from '../registry.ts';
import { cloneJson } from '../plain.ts';
import { namesVersion, patched } from './patch.ts';

export const Scale = defineKind<ScaleObject>({
  group: 'autoscaling',
  version: 'v1',
  kind: 'Scale',
  plural: 'scales',
  namespaced: true,
  verbs: [],
}) as unknown as AnyKind;

export async function getScale(call: Call): Promise<ObjectResult> {
  const { op, kind, server } = call;
  const name = requiredName(op);
  const stored = (await server.caches.current(kind)).get(op.namespace, name);
  if (!stored) throw notFound(subjectOf(kind), name);
  return { type: 'object', object: scaleOf(kind, formOf(kind, stored)) };
}

export function updateScale(call: Call): Promise<ObjectResult> {
  return writeScale(call, () => decodeBody(call, Scale, call.op.body), false);
}

export function patchScale(call: Call): Promise<ObjectResult> {
  const versioned = namesVersion(call.op.body);
  return writeScale(call, (current) => decodeBody(call, Scale, patched(call, Scale, current)), !versioned);
}

async function writeScale(
  call: Call,
  wantedScale: (current: KubeObject) => KubeObject,
  unconditional: boolean,
): Promise<ObjectResult> {
  const { op, kind } = call;
  const name = requiredName(op);
  const { object } = await updateObject(call, kind, {
    namespace: op.namespace,
    name,
    subresource: 'scale',
    unconditional: true,
    draft(current) {
      const wanted = wantedScale(scaleOf(kind, current!)) as ScaleObject;
      matchName(wanted, name, op.namespace);
      const replicas = wanted.spec?.replicas ?? 0;
      const causes: FieldError[] = [];
      if (replicas < 0) causes.push(field.invalid('spec.replicas', replicas, 'must be greater than or equal to 0'));
      if (causes.length) throw invalid('autoscaling', 'Scale', name, causes);
      const next = scaleSubresource(kind).write(current!, replicas);
      const draft = cloneJson(next);
      draft.metadata.resourceVersion = unconditional ? '' : (wanted.metadata.resourceVersion ?? '');
      return draft;
    },
  });
  return { type: 'object', object: scaleOf(kind, object) };
}

function scaleOf(kind: AnyKind, object: KubeObject): KubeObject {
  const { replicas, statusReplicas, selector } = scaleSubresource(kind).read(object);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const scale: ScaleObject = {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, ...(namespace ? { namespace } : {}), uid, resourceVersion, creationTimestamp },
    spec: replicas ? { replicas } : {},
    status: { replicas: statusReplicas, ...(selector ? { selector } : {}) },
  };
  return scale;
}

function scaleSubresource(kind: AnyKind): ScaleSubresource {
  if (!kind.scale) throw new Error(`${kind.resource} has no scale`);
  return kind.scale;
}
