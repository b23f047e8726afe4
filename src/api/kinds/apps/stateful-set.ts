// StatefulSet: apps/v1.

import { field } from '../../errors.ts';
import type { StatefulSet as StatefulSetObject, StatefulSetSpec, StatefulSetStatus } from '../../generated/apps-v1.ts';
import type { PodTemplateSpec, Volume } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, missing, notNegative, optionalName, optionalOneOf } from '../../validate/checks.ts';
import { dns1123Subdomain } from '../../validate/names.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { sameValue } from '../../validate/same-value.ts';
import {
  type CounterRule,
  isNone,
  validateCollisions,
  validateCounters,
  validateSelector,
  validateShare,
  validateTemplate,
} from '../../validate/workload.ts';
import { AGE, ageOf, CONTAINERS, IMAGES, layoutOf, NAME, text } from '../columns.ts';
import { defaultPodTemplate } from '../core/pod-defaults.ts';
import { workloadWarnings } from '../core/pod-warnings.ts';
import { replicaScale } from '../scale.ts';

export type StatefulSet = StatefulSetObject;

const COUNTERS = [
  'replicas',
  'readyReplicas',
  'currentReplicas',
  'updatedReplicas',
  'observedGeneration',
  'collisionCount',
  'availableReplicas',
] as const;
const AT_MOST: readonly CounterRule<StatefulSetStatus>[] = [
  ['readyReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['currentReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['updatedReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['availableReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['availableReplicas', 'readyReplicas', 'cannot be greater than status.readyReplicas'],
];
const MUTABLE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

export const StatefulSet = defineKind<StatefulSetObject>({
  group: 'apps',
  version: 'v1',
  kind: 'StatefulSet',
  plural: 'statefulsets',
  namespaced: true,
  shortNames: ['sts'],
  categories: ['all'],
  generation: true,

  default({ spec }) {
    defaultPodTemplate(spec.template);
    spec.podManagementPolicy ||= 'OrderedReady';
    const strategy = (spec.updateStrategy ??= {});
    if (missing(strategy.type)) {
      strategy.type = 'RollingUpdate';
      strategy.rollingUpdate ??= {};
    }
    if (strategy.type === 'RollingUpdate' && strategy.rollingUpdate) {
      strategy.rollingUpdate.partition ??= 0;
      strategy.rollingUpdate.maxUnavailable ??= 1;
    }
    const retention = (spec.persistentVolumeClaimRetentionPolicy ??= {});
    retention.whenDeleted ||= 'Retain';
    retention.whenScaled ||= 'Retain';
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    for (const claim of spec.volumeClaimTemplates ?? []) {
      claim.apiVersion = 'v1';
      claim.kind = 'PersistentVolumeClaim';
      claim.spec.volumeMode ??= 'Filesystem';
      (claim.status ??= {}).phase ||= 'Pending';
    }
  },
  prepareForCreate(set) {
    set.status = { replicas: 0 };
  },

  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    validatePolicies(spec, out);
    notNegative(spec.replicas, 'spec.replicas', out);
    notNegative(spec.minReadySeconds, 'spec.minReadySeconds', out);
    notNegative(spec.ordinals?.start, 'spec.replicas.ordinalStart', out);
    notNegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit', out);
    optionalName(spec.serviceName, dns1123Subdomain, 'spec.serviceName', out);
    const selector = validateSelector(spec.selector, 'statefulset', 'spec.selector', out);
    validateTemplate(withClaims(spec), selector, 'StatefulSet', 'spec.template', out);
    return out;
  },
  validateUpdate(set, old) {
    const fixed = (spec: StatefulSetSpec) => {
      const rest: Partial<StatefulSetSpec> = { ...spec };
      for (const key of MUTABLE) delete rest[key];
      return rest;
    };
    if (sameValue(fixed(set.spec), fixed(old.spec))) return [];
    const last = MUTABLE.length - 1;
    const names = `${MUTABLE.slice(0, last)
      .map((key) => `'${key}'`)
      .join(', ')} and '${MUTABLE[last]}'`;
    return [field.forbidden('spec', `updates to statefulset spec for fields other than ${names} are forbidden`)];
  },
  warnings(set, old) {
    const out = workloadWarnings(set, old);
    if ((set.spec.revisionHistoryLimit ?? 0) < 0) {
      out.push(
        'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended',
      );
    }
    return out;
  },
  status: {
    default() {},
    validateUpdate({ status }, old) {
      const out: Errors = [];
      validateCounters(status, { counters: COUNTERS, atMost: AT_MOST }, out);
      validateCollisions(status?.collisionCount, old.status?.collisionCount, out);
      return out;
    },
  },

  scale: replicaScale<StatefulSetObject>(),
  columns: [NAME, text('Ready', 'Number of the pod with ready state'), AGE, CONTAINERS, IMAGES],
  row(set, now) {
    const { metadata, spec, status } = set;
    return [
      metadata.name,
      `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
      ageOf(set, now),
      ...layoutOf(spec.template.spec?.containers),
    ];
  },
});

/** The template as pods will have it: with a volume for each claim. */
function withClaims({ template, volumeClaimTemplates = [] }: StatefulSetSpec): PodTemplateSpec {
  if (!template.spec || !volumeClaimTemplates.length) return template;
  const names = volumeClaimTemplates.map((claim) => claim.metadata.name);
  const claimed = names.map((name): Volume => ({ name, persistentVolumeClaim: { claimName: name } }));
  const own = template.spec.volumes?.filter((v) => !names.includes(v.name)) ?? [];
  return { ...template, spec: { ...template.spec, volumes: [...own, ...claimed] } };
}

function validatePolicies(spec: StatefulSetSpec, out: Errors): void {
  const management = spec.podManagementPolicy;
  if (missing(management)) out.push(field.required('spec.podManagementPolicy'));
  else if (management !== 'OrderedReady' && management !== 'Parallel') {
    out.push(field.invalid('spec.podManagementPolicy', management, "must be 'OrderedReady' or 'Parallel'"));
  }
  const path = 'spec.updateStrategy';
  const strategy = spec.updateStrategy ?? {};
  const rolling = strategy.rollingUpdate;
  if (missing(strategy.type)) out.push(field.required(path));
  else if (strategy.type === 'OnDelete') {
    if (rolling) {
      out.push(field.invalid(`${path}.rollingUpdate`, rolling, "only allowed for updateStrategy 'RollingUpdate'"));
    }
  } else if (strategy.type !== 'RollingUpdate') {
    out.push(field.invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'"));
  } else if (rolling) {
    const at = `${path}.rollingUpdate`;
    notNegative(rolling.partition, `${at}.partition`, out);
    if (rolling.maxUnavailable !== undefined) {
      validateShare(rolling.maxUnavailable, `${at}.maxUnavailable`, out);
      if (isNone(rolling.maxUnavailable)) {
        out.push(field.invalid(`${at}.maxUnavailable`, rolling.maxUnavailable, 'cannot be 0'));
      }
    }
  }
  for (const key of ['whenDeleted', 'whenScaled'] as const) {
    const value = spec.persistentVolumeClaimRetentionPolicy?.[key];
    optionalOneOf(value, ['Retain', 'Delete'], `spec.persistentVolumeClaimRetentionPolicy.${key}`, out);
  }
}
