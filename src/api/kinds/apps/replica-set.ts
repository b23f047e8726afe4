// ReplicaSet: apps/v1.

import type { ReplicaSet as ReplicaSetObject, ReplicaSetStatus } from '../../generated/apps-v1.ts';
import type { ReplicationController } from '../../generated/core-v1.ts';
import { type Cell, defineKind } from '../../kind.ts';
import { formatLabelSelector } from '../../selectors.ts';
import { type Errors, notNegative } from '../../validate/checks.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import {
  type CounterRule,
  selectorStays,
  validateCounters,
  validateSelector,
  validateTemplate,
} from '../../validate/workload.ts';
import { AGE, ageOf, CONTAINERS, IMAGES, integer, layoutOf, NAME, SELECTOR } from '../columns.ts';
import { defaultPodTemplate } from '../core/pod-defaults.ts';
import { workloadWarnings } from '../core/pod-warnings.ts';
import { replicaScale } from '../scale.ts';

export type ReplicaSet = ReplicaSetObject;

const COUNTERS = [
  'replicas',
  'fullyLabeledReplicas',
  'readyReplicas',
  'availableReplicas',
  'observedGeneration',
] as const;
const AT_MOST: readonly CounterRule<Omit<ReplicaSetStatus, 'conditions' | 'terminatingReplicas'>>[] = [
  ['fullyLabeledReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['readyReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['availableReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['availableReplicas', 'readyReplicas', 'cannot be greater than readyReplicas'],
];

/** Of ReplicaSet and ReplicationController. */
export function validateReplicaCounters({ status }: { readonly status?: ReplicaSetStatus }): Errors {
  const out: Errors = [];
  validateCounters(status, { counters: COUNTERS, atMost: AT_MOST }, out);
  return out;
}

/** Of ReplicaSet and ReplicationController. */
export const REPLICA_COLUMNS = [
  NAME,
  integer('Desired', 'Number of desired pods.'),
  integer('Current', 'Number of pods.'),
  integer('Ready', 'Number of pods that are ready.'),
  AGE,
  CONTAINERS,
  IMAGES,
  SELECTOR,
];

/** The cells of these columns but the last: the selectors differ. */
export function replicaCells(object: ReplicaSetObject | ReplicationController, now: number): Cell[] {
  const { metadata, spec, status } = object;
  return [
    metadata.name,
    spec.replicas ?? 0,
    status?.replicas ?? 0,
    status?.readyReplicas ?? 0,
    ageOf(object, now),
    ...layoutOf(spec.template?.spec?.containers),
  ];
}

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
  validateUpdate: selectorStays,
  warnings: workloadWarnings,
  status: { default() {}, validateUpdate: validateReplicaCounters },

  scale: replicaScale<ReplicaSetObject>(),
  selectableFields: { 'status.replicas': ({ status }) => String(status?.replicas ?? 0) },
  columns: REPLICA_COLUMNS,
  row: (set, now) => [...replicaCells(set, now), formatLabelSelector(set.spec.selector)],
});
