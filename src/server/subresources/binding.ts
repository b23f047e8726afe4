// pods/binding and bindings: the scheduler's decision, once per pod.

import { badRequest, conflict, fieldErrorText, MODIFIED, StatusError } from '../../api/errors.ts';
import type { Binding as BindingObject, Pod as PodObject, PodCondition } from '../../api/generated/core-v1.ts';
import { Binding } from '../../api/kinds/core/binding.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';
import { rfc3339 } from '../../base/env.ts';
import { validateBinding } from '../../api/validate/pod-subresources.ts';
import { admissionOf } from '../admit.ts';
import { decodeBody, matchNamespace } from '../body.ts';
import type { AnyKind } from '../../api/kind.ts';
import { requireVerb, type Call } from '../call.ts';
import { changeStored } from './store-direct.ts';
import { success } from './success.ts';

const BINDING = Binding as unknown as AnyKind;

/** POST pods/<name>/binding. */
export function podBinding(call: Call): Promise<ObjectResult> {
  requireVerb(call, 'create');
  const binding = decodeBody(call, BINDING, call.op.body);
  matchNamespace(BINDING, call.op, binding);
  if (call.op.name && binding.metadata.name !== call.op.name) {
    throw badRequest('name in URL does not match name in Binding object');
  }
  return bind(call, binding as BindingObject);
}

/** POST bindings. */
export function createBinding(call: Call): Promise<ObjectResult> {
  return bind(call, call.op.body as BindingObject);
}

async function bind(call: Call, binding: BindingObject): Promise<ObjectResult> {
  const { namespace, name, uid, resourceVersion, annotations, labels } = binding.metadata;
  const causes = validateBinding(binding);
  if (causes.length) {
    const texts = causes.map(fieldErrorText);
    // Upstream fails without a reason here.
    throw new StatusError('', texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`, undefined, 500);
  }
  const admission = admissionOf(call, 'CREATE', BINDING);
  await admission.mutate(binding as KubeObject, undefined);
  await admission.validate(binding as KubeObject, undefined);
  const now = rfc3339(call.server.env.clock.now());
  await changeStored<PodObject>(call, Pod as unknown as AnyKind, { namespace, name }, (pod) => {
    const refuse = (why: string) => conflict({ resource: 'pods/binding' }, name, why);
    if (uid && uid !== pod.metadata.uid) {
      throw refuse(`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`);
    }
    if (resourceVersion && resourceVersion !== pod.metadata.resourceVersion) throw refuse(MODIFIED);
    if (pod.metadata.deletionTimestamp) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
    if (pod.spec.nodeName) throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
    if (pod.spec.schedulingGates?.length) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
    const { nominatedNodeName: _, ...status } = pod.status ?? {};
    return {
      ...pod,
      metadata: {
        ...pod.metadata,
        ...(annotations ? { annotations: { ...pod.metadata.annotations, ...annotations } } : {}),
        ...(labels ? { labels: { ...pod.metadata.labels, ...labels } } : {}),
      },
      spec: { ...pod.spec, nodeName: binding.target.name! },
      status: { ...status, conditions: scheduled(status.conditions ?? [], now) },
    };
  });
  return success(201);
}

function scheduled(conditions: readonly PodCondition[], now: string): PodCondition[] {
  const others = conditions.filter((c) => c.type !== 'PodScheduled');
  const was = conditions.find((c) => c.type === 'PodScheduled');
  const since = was?.status === 'True' ? was.lastTransitionTime : now;
  const generation = was?.observedGeneration;
  const condition: PodCondition = {
    type: 'PodScheduled',
    status: 'True',
    ...(since ? { lastTransitionTime: since } : {}),
    ...(generation ? { observedGeneration: generation } : {}),
  };
  return [...others, condition];
}
