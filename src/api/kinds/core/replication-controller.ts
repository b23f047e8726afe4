// ReplicationController: core/v1.

import { field } from '../../errors.ts';
import type { ReplicationController as ReplicationControllerObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { selectorFromLabels } from '../../selectors.ts';
import { type Errors, notNegative } from '../../validate/checks.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { validateTemplate } from '../../validate/workload.ts';
import { REPLICA_COLUMNS, replicaCells, validateReplicaCounters } from '../apps/replica-set.ts';
import { labelsText } from '../columns.ts';
import { replicaScale } from '../scale.ts';
import { defaultPodTemplate } from './pod-defaults.ts';
import { workloadWarnings } from './pod-warnings.ts';

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
  warnings: workloadWarnings,
  status: { validateUpdate: validateReplicaCounters },

  scale: replicaScale<ReplicationControllerObject>(true),
  selectableFields: { 'status.replicas': ({ status }) => String(status?.replicas ?? 0) },
  columns: REPLICA_COLUMNS,
  row: (rc, now) => [...replicaCells(rc, now), labelsText(rc.spec.selector)],
});
