// Pod: core/v1.

import { field } from '../../errors.ts';
import { qosClass } from '../../container-resources.ts';
import type { Pod as PodObject, PodAffinityTerm, PodSpec } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import type { LabelSelector } from '../../object.ts';
import type { Errors } from '../../validate/checks.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { validatePodAnnotations, validatePodSpec } from '../../validate/pod-spec.ts';
import { validatePodStatusUpdate, validatePodUpdate } from '../../validate/pod-update.ts';
import { podColumns, podRow } from './pod-columns.ts';
import { defaultPod } from './pod-defaults.ts';
import { nameWarnings, podSpecWarnings } from './pod-warnings.ts';

export type Pod = PodObject;

export const Pod = defineKind<PodObject>({
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  namespaced: true,
  shortNames: ['po'],
  categories: ['all'],
  generation: true,

  default(pod) {
    defaultPod(pod);
    syncPodIps(pod);
  },

  prepareForCreate(pod) {
    syncServiceAccount(pod.spec);
    mergeLabelKeys(pod);
    pod.status = { phase: 'Pending', qosClass: qosClass(pod) };
    if (pod.spec.schedulingGates?.length) {
      pod.status.conditions = [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'SchedulingGated',
          message: 'Scheduling is blocked due to non-empty scheduling gates',
        },
      ];
    }
  },
  prepareForUpdate(pod) {
    syncServiceAccount(pod.spec);
  },

  validate(pod) {
    const out: Errors = [];
    validateFinalizerNames(pod.metadata.finalizers, 'metadata.finalizers', out);
    validatePodAnnotations(pod.metadata.annotations, pod.spec, 'metadata.annotations', out);
    validatePodSpec(pod.spec, pod.metadata, 'spec', out);
    validateForPodOnly(pod, out);
    return out;
  },
  validateUpdate: validatePodUpdate,
  warnings(pod, old) {
    const named = old ? [] : nameWarnings(pod.metadata.name, "the Pod's hostname");
    return [...named, ...podSpecWarnings(pod.spec, pod.metadata, '')];
  },

  status: {
    default: syncPodIps,
    prepareForUpdate(pod, old) {
      // Old kubelets write back incomplete owners.
      if (old.metadata.ownerReferences) pod.metadata.ownerReferences = old.metadata.ownerReferences;
      else delete pod.metadata.ownerReferences;
      const status = (pod.status ??= {});
      if (old.status?.qosClass !== undefined) status.qosClass ??= old.status.qosClass;
      syncPodIps(pod);
    },
    validateUpdate: validatePodStatusUpdate,
  },

  /** Pods that run nowhere, or no more, go at once. */
  gracefulDeletion(pod, requested) {
    const phase = pod.status?.phase;
    if (!pod.spec.nodeName || phase === 'Succeeded' || phase === 'Failed') return 0;
    const period = requested ?? pod.spec.terminationGracePeriodSeconds ?? 0;
    return period < 0 ? 1 : period;
  },

  subresources: {
    attach: { verbs: ['create', 'get'], kind: 'PodAttachOptions' },
    binding: { verbs: ['create'], kind: 'Binding' },
    ephemeralcontainers: { verbs: ['get', 'patch', 'update'] },
    eviction: { verbs: ['create'], group: 'policy', version: 'v1', kind: 'Eviction' },
    exec: { verbs: ['create', 'get'], kind: 'PodExecOptions' },
    log: { verbs: ['get'] },
    portforward: { verbs: ['create', 'get'], kind: 'PodPortForwardOptions' },
    proxy: { verbs: ['create', 'delete', 'get', 'patch', 'update'], kind: 'PodProxyOptions' },
    resize: { verbs: ['get', 'patch', 'update'] },
  },
  selectableFields: {
    'spec.nodeName': (pod) => pod.spec.nodeName ?? '',
    'spec.restartPolicy': (pod) => pod.spec.restartPolicy ?? '',
    'spec.schedulerName': (pod) => pod.spec.schedulerName ?? '',
    'spec.serviceAccountName': (pod) => pod.spec.serviceAccountName ?? '',
    'spec.hostNetwork': (pod) => String(pod.spec.hostNetwork ?? false),
    'status.phase': (pod) => pod.status?.phase ?? '',
    'status.podIP': (pod) => pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP ?? '',
    'status.nominatedNodeName': (pod) => pod.status?.nominatedNodeName ?? '',
  },
  columns: podColumns,
  row: podRow,
});

/** Admission may have named a service account; the old name of the field follows. */
function syncServiceAccount(spec: PodSpec): void {
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName;
}

/** `podIP` is the first of `podIPs`; whoever sets only one of them means both. */
function syncPodIps(pod: PodObject): void {
  const { status } = pod;
  if (!status?.podIP && !status?.podIPs?.length) return;
  if (!status.podIP) status.podIP = status.podIPs![0]!.ip;
  else if (status.podIPs?.[0]?.ip !== status.podIP) status.podIPs = [{ ip: status.podIP }];
}

/** Label keys to match become requirements with the pod's own values, so that nobody else has to know them. */
function mergeLabelKeys(pod: PodObject): void {
  const { affinity, topologySpreadConstraints } = pod.spec;
  for (const side of [affinity?.podAffinity, affinity?.podAntiAffinity]) {
    side?.requiredDuringSchedulingIgnoredDuringExecution?.forEach((term) => mergeTerm(pod, term));
    side?.preferredDuringSchedulingIgnoredDuringExecution?.forEach((p) => mergeTerm(pod, p.podAffinityTerm));
  }
  for (const c of topologySpreadConstraints ?? []) {
    if (c.labelSelector) require(pod, c.labelSelector, 'In', c.matchLabelKeys);
  }
}

function mergeTerm(pod: PodObject, term: PodAffinityTerm): void {
  if (!term.labelSelector) return;
  require(pod, term.labelSelector, 'In', term.matchLabelKeys);
  require(pod, term.labelSelector, 'NotIn', term.mismatchLabelKeys);
}

function require(pod: PodObject, selector: LabelSelector, operator: string, keys: readonly string[] | undefined): void {
  for (const key of keys ?? []) {
    const value = pod.metadata.labels?.[key];
    if (value !== undefined) (selector.matchExpressions ??= []).push({ key, operator, values: [value] });
  }
}

/** Rules of pods that templates need not meet yet. */
function validateForPodOnly(pod: PodObject, out: Errors): void {
  const { spec } = pod;
  if (!spec.serviceAccountName) {
    spec.volumes?.forEach((v, i) =>
      v.projected?.sources?.forEach((s, n) => {
        if (!s.serviceAccountToken) return;
        const path = `spec.volumes[${i}].projected.sources[${n}].serviceAccountToken`;
        out.push(field.forbidden(path, 'must not be specified when serviceAccountName is not set'));
      }),
    );
  }
  const isNew = !pod.metadata.resourceVersion;
  if (isNew && spec.ephemeralContainers?.length) {
    out.push(field.forbidden('spec.ephemeralContainers', 'cannot be set on create'));
  }
  if (spec.nodeName && spec.schedulingGates?.length) {
    out.push(field.forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  }
}
