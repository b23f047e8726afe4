// ReplicaSet: apps/v1.

import type { ReplicaSet as ReplicaSetObject, ReplicaSetStatus } from '../../generated/apps-v1.ts';
import { defineKind } from '../../kind.ts';
import { formatLabelSelector } from '../../selectors.ts';
import { type Errors, notNegative } from '../../validate/checks.ts';
import { validateFinalizerNames, validateImmutable } from '../../validate/object-meta.ts';
import { type CounterRule, validateCounters, validateSelector, validateTemplate } from '../../validate/workload.ts';
import { AGE, ageOf, CONTAINERS, IMAGES, integer, layoutOf, NAME, SELECTOR } from '../columns.ts';
import { defaultPodTemplate } from '../core/pod-defaults.ts';
import { inPodNames, templateWarnings } from '../core/pod-warnings.ts';
import { replicaScale } from '../scale.ts';

export type ReplicaSet = ReplicaSetObject;

export const REPLICA_COUNTERS = [
  'replicas',
  'fullyLabeledReplicas',
  'readyReplicas',
  'availableReplicas',
  'observedGeneration',
] as const;
export const REPLICA_LIMITS: readonly CounterRule<Omit<ReplicaSetStatus, 'conditions' | 'terminatingReplicas'>>[] = [
  ['fullyLabeledReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['readyReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['availableReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['availableReplicas', 'readyReplicas', 'cannot be greater than readyReplicas'],
];

export const ReplicaSet = defineKind<ReplicaSetObject>({
  group: 'apps',
  version: 'v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  namespaced: true,
  shortNames: ['rs'],
  categories: ['all'],
  generation: true,

  default({ spec }) {
    defaultPodTemplate(spec.template);
    spec.replicas ??= 1;
  },
  prepareForCreate(set) {
    set.status = { replicas: 0 };
  },

  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    notNegative(spec.replicas, 'spec.replicas', out);
    notNegative(spec.minReadySeconds, 'spec.minReadySeconds', out);
    const selector = validateSelector(spec.selector, 'deployment', 'spec.selector', out);
    validateTemplate(spec.template, selector, 'ReplicaSet', 'spec.template', out);
    return out;
  },
  validateUpdate(set, old) {
    const out: Errors = [];
    validateImmutable(set.spec.selector, old.spec.selector, 'spec.selector', out);
    return out;
  },
  warnings(set, old) {
    return [...(old ? [] : inPodNames(set.metadata.name)), ...templateWarnings(set.spec.template)];
  },
  status: {
    default() {},
    validateUpdate({ status }) {
      const out: Errors = [];
      validateCounters(status, { counters: REPLICA_COUNTERS, atMost: REPLICA_LIMITS }, out);
      return out;
    },
  },

  scale: replicaScale<ReplicaSetObject>(),
  selectableFields: { 'status.replicas': ({ status }) => String(status?.replicas ?? 0) },
  columns: [
    NAME,
    integer('Desired', 'Number of desired pods.'),
    integer('Current', 'Number of pods.'),
    integer('Ready', 'Number of pods that are ready.'),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  row(set, now) {
    const { metadata, spec, status } = set;
    return [
      metadata.name,
      spec.replicas ?? 0,
      status?.replicas ?? 0,
      status?.readyReplicas ?? 0,
      ageOf(set, now),
      ...layoutOf(spec.template?.spec?.containers),
      formatLabelSelector(spec.selector),
    ];
  },
});
