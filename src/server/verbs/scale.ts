// The scale subresource: an autoscaling/v1 Scale read from and written to any kind that has replicas.

import { field, invalid, notFound } from '../../api/errors.ts';
import type { Scale as ScaleObject } from '../../api/generated/autoscaling-v1.ts';
import { defineKind, type AnyKind, type ScaleSubresource } from '../../api/kind.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';
import { decodeBody, matchName } from '../body.ts';
import { requiredName, subjectOf, type Call } from '../call.ts';
import { formOf } from '../forms.ts';
import { appliedTo } from '../managed-fields.ts';
import { updateObject } from '../registry.ts';
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
  const stored = (await server.caches.latest(kind)).get(op.namespace, name);
  if (!stored) throw notFound(subjectOf(kind), name);
  return { type: 'object', object: scaleOf(kind, formOf(kind, stored)) };
}

export function updateScale(call: Call): Promise<ObjectResult> {
  return writeScale(call, (current) => {
    const wanted = checked(call, decodeBody(call, Scale, call.op.body));
    return withReplicas(call.kind, current, wanted, wanted.metadata.resourceVersion);
  });
}

export function patchScale(call: Call): Promise<ObjectResult> {
  const { kind, op } = call;
  const versioned = namesVersion(op.body);
  return writeScale(call, (current) => {
    const apply = op.patchType === 'apply';
    const body = apply ? op.body : patched(call, Scale, scaleOf(kind, current));
    const wanted = checked(call, decodeBody(call, Scale, body));
    const version = versioned ? wanted.metadata.resourceVersion : '';
    return apply ? applied(call, current, wanted, version) : withReplicas(kind, current, wanted, version);
  });
}

async function writeScale(call: Call, draft: (current: KubeObject) => KubeObject): Promise<ObjectResult> {
  const { op, kind } = call;
  const { object } = await updateObject(call, kind, {
    namespace: op.namespace,
    name: requiredName(op),
    subresource: 'scale',
    unconditional: true,
    managed: op.patchType === 'apply',
    draft: (current) => draft(current!),
  });
  return { type: 'object', object: scaleOf(kind, object) };
}

/** Throws BadRequest for another object's scale and Invalid for replicas that cannot be. */
function checked(call: Call, scale: KubeObject): ScaleObject {
  const name = requiredName(call.op);
  matchName(scale, name, call.op.namespace);
  const replicas = (scale as ScaleObject).spec?.replicas ?? 0;
  if (replicas >= 0) return scale as ScaleObject;
  const cause = field.invalid('spec.replicas', replicas, 'must be greater than or equal to 0');
  throw invalid('autoscaling', 'Scale', name, [cause]);
}

function withReplicas(kind: AnyKind, current: KubeObject, scale: ScaleObject, version: string): KubeObject {
  const draft = cloneJson(scaleSubresource(kind).write(current, scale.spec?.replicas ?? 0));
  draft.metadata.resourceVersion = version;
  return draft;
}

/** An applied scale owns the object's replicas and nothing else. */
function applied(call: Call, current: KubeObject, scale: ScaleObject, version: string): KubeObject {
  const { kind } = call;
  const { name } = current.metadata;
  const empty = { apiVersion: kind.apiVersion, kind: kind.kind, metadata: { name }, spec: {} } as unknown as KubeObject;
  const config = scaleSubresource(kind).write(empty, scale.spec?.replicas ?? 0);
  const draft = decodeBody(call, kind, appliedTo(call, kind, current, config, 'scale'));
  draft.metadata.resourceVersion = version;
  return draft;
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
