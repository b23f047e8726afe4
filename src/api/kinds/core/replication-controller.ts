// ReplicationController: core/v1.

import { field } from '../../errors.ts';
import type { ReplicationController as ReplicationControllerObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { selectorFromLabels } from '../../selectors.ts';
import { type Errors, notNegative } from '../../validate/checks.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { validateCounters, validateTemplate } from '../../validate/workload.ts';
import { REPLICA_COUNTERS, REPLICA_LIMITS } from '../apps/replica-set.ts';
import { AGE, ageOf, CONTAINERS, IMAGES, integer, labelsText, layoutOf, NAME, SELECTOR } from '../columns.ts';
import { replicaScale } from '../scale.ts';
import { defaultPodTemplate } from './pod-defaults.ts';
import { inPodNames, templateWarnings } from './pod-warnings.ts';

export type ReplicationController = ReplicationControllerObject;

export const ReplicationController = defineKind<ReplicationControllerObject>({
  group: '',
  version: 'v1',
  kind: 'ReplicationController',
  plural: 'replicationcontrollers',
  namespaced: true,
  shortNames: ['rc'],
  categories: ['all'],
  generation: true,
  defaultPropagation: 'Orphan',

  default({ metadata, spec }) {
    const labels = spec.template?.metadata?.labels;
    if (labels) {
      if (!Object.keys(spec.selector ?? {}).length) spec.selector = { ...labels };
      if (!Object.keys(metadata.labels ?? {}).length) metadata.labels = { ...labels };
    }
    defaultPodTemplate(spec.template);
    spec.replicas ??= 1;
  },
  prepareForCreate(rc) {
    rc.status = { replicas: 0 };
  },

  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    notNegative(spec.minReadySeconds, 'spec.minReadySeconds', out);
    const selects = Object.keys(spec.selector ?? {}).length > 0;
    if (!selects) out.push(field.required('spec.selector'));
    notNegative(spec.replicas, 'spec.replicas', out);
    const selector = selects ? selectorFromLabels(spec.selector) : undefined;
    validateTemplate(spec.template, selector, 'ReplicationController', 'spec.template', out);
    return out;
  },
  warnings(rc, old) {
    return [...(old ? [] : inPodNames(rc.metadata.name)), ...templateWarnings(rc.spec.template)];
  },
  status: {
    validateUpdate({ status }) {
      const out: Errors = [];
      validateCounters(status, { counters: REPLICA_COUNTERS, atMost: REPLICA_LIMITS }, out);
      return out;
    },
  },

  scale: replicaScale<ReplicationControllerObject>(true),
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
  row(rc, now) {
    const { metadata, spec, status } = rc;
    return [
      metadata.name,
      spec.replicas ?? 0,
      status?.replicas ?? 0,
      status?.readyReplicas ?? 0,
      ageOf(rc, now),
      ...layoutOf(spec.template?.spec?.containers),
      labelsText(spec.selector),
    ];
  },
});
