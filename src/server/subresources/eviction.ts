// pods/eviction: a delete that respects PodDisruptionBudgets.
// https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/

import { badRequest, forbidden, internalError, StatusError } from '../../api/errors.ts';
import type { Pod as PodObject } from '../../api/generated/core-v1.ts';
import type { Eviction as EvictionObject, PodDisruptionBudget } from '../../api/generated/policy-v1.ts';
import { defineKind, type AnyKind } from '../../api/kind.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import type { ObjectResult, OpOptions, Propagation } from '../../api/op.ts';
import { selectorOf } from '../../api/selectors.ts';
import { rfc3339 } from '../../base/env.ts';
import { decodeBody, matchNamespace } from '../body.ts';
import { requiredName, requireVerb, type Call } from '../call.ts';
import { deleteObject } from '../verbs/delete.ts';
import { changeStored } from './store-direct.ts';
import { success } from './success.ts';

const Eviction = defineKind<EvictionObject>({
  group: 'policy',
  version: 'v1',
  kind: 'Eviction',
  plural: 'evictions',
  namespaced: true,
}) as unknown as AnyKind;

const POD = Pod as unknown as AnyKind;
/** More pods than this cannot be on their way out under one budget. */
const MAX_DISRUPTED = 2000;

export async function podEviction(call: Call): Promise<ObjectResult> {
  requireVerb(call, 'create');
  const { op } = call;
  const name = requiredName(op);
  const eviction = decodeBody(call, Eviction, op.body) as EvictionObject;
  matchNamespace(Eviction, op, eviction);
  if (eviction.metadata.name !== name) throw badRequest('name in URL does not match name in Eviction object');
  const ref = { namespace: op.namespace, name };
  const options = deleteOptions(eviction, op.options);
  const evicting: Call = { ...call, op: { ...op, options } };
  const pod = await changeStored<PodObject>(evicting, POD, ref, () => undefined);
  if (!mayGoAnyway(pod)) {
    await spendBudget(evicting, pod);
    await markDisrupted(evicting, ref);
  }
  const { uid, resourceVersion } = options.preconditions ?? {};
  const preconditions = { uid: uid ?? pod.metadata.uid, ...(resourceVersion ? { resourceVersion } : {}) };
  await deleteObject(evicting, POD, op.namespace, name, { ...options, preconditions });
  return success(201);
}

function deleteOptions({ deleteOptions: sent }: EvictionObject, options: OpOptions): OpOptions {
  if (!sent) return options;
  const { gracePeriodSeconds, propagationPolicy, preconditions, dryRun } = sent;
  return {
    ...options,
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(propagationPolicy ? { propagationPolicy: propagationPolicy as Propagation } : {}),
    ...(preconditions ? { preconditions } : {}),
    ...(dryRun?.length ? { dryRun: true } : {}),
  };
}

/** Pods that do no work, or are going already, are no loss. */
function mayGoAnyway({ metadata, status }: PodObject): boolean {
  const phase = status?.phase ?? '';
  return metadata.deletionTimestamp !== undefined || ['Succeeded', 'Failed', 'Pending'].includes(phase);
}

const isReady = (pod: PodObject) =>
  pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;

/** Takes one disruption off the pod's budget, if it has one. Throws TooManyRequests when none is left. */
async function spendBudget(call: Call, pod: PodObject): Promise<void> {
  const kind = call.server.kinds.byResource('policy', 'v1', 'poddisruptionbudgets');
  if (!kind) return;
  const storage = await call.server.caches.current(kind);
  const all = storage.cache.list(storage.scope(pod.metadata.namespace)) as unknown as PodDisruptionBudget[];
  const [budget, second] = all.filter((pdb) => selectorOf(pdb.spec.selector).matches(pod.metadata.labels));
  if (second) {
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  if (!budget || isExempt(budget, pod)) return;
  const now = rfc3339(call.server.env.clock.now());
  const { namespace, name } = budget.metadata;
  await changeStored<PodDisruptionBudget>(call, kind, { namespace, name }, (pdb) => {
    const status = pdb.status ?? {};
    const disruptedPods = { ...status.disruptedPods, [pod.metadata.name]: now };
    const allowed = requireAllowance(pdb, Object.keys(disruptedPods).length - 1);
    return { ...pdb, status: { ...status, disruptionsAllowed: allowed - 1, disruptedPods } };
  });
}

/** A pod that is not ready does not count, as long as enough others are healthy or the budget says it never does. */
function isExempt(pdb: PodDisruptionBudget, pod: PodObject): boolean {
  if (isReady(pod)) return false;
  if (pdb.spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = pdb.status ?? {};
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

function requireAllowance(pdb: PodDisruptionBudget, disrupted: number): number {
  const { name, generation = 0 } = pdb.metadata;
  const status = pdb.status ?? {};
  const { observedGeneration = 0, disruptionsAllowed = 0, desiredHealthy = 0, currentHealthy = 0 } = status;
  const subject = { group: 'policy', resource: 'poddisruptionbudgets' };
  if (observedGeneration < generation) {
    throw tooMany(`The disruption budget ${name} is still being processed by the server.`, 10);
  }
  if (disruptionsAllowed < 0) throw forbidden(subject, name, 'pdb disruptions allowed is negative');
  if (disrupted > MAX_DISRUPTED) {
    throw forbidden(subject, name, 'DisruptedPods map too big - too many evictions not confirmed by PDB controller');
  }
  if (disruptionsAllowed === 0) {
    throw tooMany(
      `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
      0,
    );
  }
  return disruptionsAllowed;
}

function tooMany(message: string, retryAfterSeconds: number): StatusError {
  return new StatusError('TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [{ reason: 'DisruptionBudget', message }],
    ...(retryAfterSeconds ? { retryAfterSeconds } : {}),
  });
}

/** Tells, in the pod's last status, why it went. */
async function markDisrupted(call: Call, ref: { namespace: string | undefined; name: string }): Promise<void> {
  const now = rfc3339(call.server.env.clock.now());
  await changeStored<PodObject>(call, POD, ref, (pod) => {
    const others = (pod.status?.conditions ?? []).filter((c) => c.type !== 'DisruptionTarget');
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'EvictionByEvictionAPI',
      message: 'Eviction API: evicting',
      lastTransitionTime: now,
    };
    return { ...pod, status: { ...pod.status, conditions: [...others, condition] } };
  });
}
