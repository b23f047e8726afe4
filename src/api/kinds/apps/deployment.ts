// Deployment: apps/v1.

import { field } from '../../errors.ts';
import type { Deployment as DeploymentObject, DeploymentStatus, DeploymentStrategy } from '../../generated/apps-v1.ts';
import { defineKind } from '../../kind.ts';
import { formatLabelSelector } from '../../selectors.ts';
import { type Errors, notNegative } from '../../validate/checks.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { sameValue } from '../../validate/same-value.ts';
import {
  isNone,
  validateCollisions,
  validateCounters,
  validateIntOrPercent,
  selectorStays,
  validateSelector,
  validateShare,
  validateTemplate,
  type CounterRule,
} from '../../validate/workload.ts';
import { AGE, ageOf, CONTAINERS, IMAGES, layoutOf, NAME, SELECTOR, text } from '../columns.ts';
import { defaultPodTemplate } from '../core/pod-defaults.ts';
import { workloadWarnings } from '../core/pod-warnings.ts';
import { replicaScale } from '../scale.ts';

export type Deployment = DeploymentObject;

const COUNTERS = [
  'observedGeneration',
  'replicas',
  'updatedReplicas',
  'readyReplicas',
  'availableReplicas',
  'unavailableReplicas',
  'collisionCount',
  'terminatingReplicas',
] as const;
const AT_MOST: readonly CounterRule<DeploymentStatus>[] = [
  ['updatedReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['readyReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['availableReplicas', 'replicas', 'cannot be greater than status.replicas'],
  ['availableReplicas', 'readyReplicas', 'cannot be greater than readyReplicas'],
];

export const Deployment = defineKind<DeploymentObject>({
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
  shortNames: ['deploy'],
  categories: ['all'],
  generation: true,

  default({ spec }) {
    defaultPodTemplate(spec.template);
    spec.replicas ??= 1;
    const strategy = (spec.strategy ??= {});
    strategy.type ||= 'RollingUpdate';
    if (strategy.type === 'RollingUpdate') {
      strategy.rollingUpdate ??= {};
      strategy.rollingUpdate.maxUnavailable ??= '25%';
      strategy.rollingUpdate.maxSurge ??= '25%';
    }
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
  },
  prepareForCreate(deployment) {
    deployment.status = {};
  },
  // Annotations are copied to ReplicaSets: a change of theirs is work for the controller, too.
  bumpsGeneration: (draft, old) => !sameValue(draft.metadata.annotations, old.metadata.annotations),

  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    notNegative(spec.replicas, 'spec.replicas', out);
    const selector = validateSelector(spec.selector, 'deployment', 'spec.selector', out);
    validateTemplate(spec.template, selector, 'ReplicaSet', 'spec.template', out);
    validateStrategy(spec.strategy, out);
    notNegative(spec.minReadySeconds, 'spec.minReadySeconds', out);
    notNegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit', out);
    const deadline = spec.progressDeadlineSeconds;
    notNegative(deadline, 'spec.progressDeadlineSeconds', out);
    if (deadline !== undefined && deadline <= (spec.minReadySeconds ?? 0)) {
      out.push(field.invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
    }
    return out;
  },
  validateUpdate: selectorStays,
  warnings: workloadWarnings,
  status: {
    default() {},
    validateUpdate({ status }, old) {
      const out: Errors = [];
      validateCounters(status, { counters: COUNTERS, atMost: AT_MOST }, out);
      validateCollisions(status?.collisionCount, old.status?.collisionCount, out);
      return out;
    },
  },

  scale: replicaScale<DeploymentObject>(),
  columns: [
    NAME,
    text('Ready', 'Number of the pod with ready state'),
    text('Up-to-date', 'Number of pods of the newest template.'),
    text('Available', 'Number of pods that are available.'),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  row(deployment, now) {
    const { metadata, spec, status = {} } = deployment;
    return [
      metadata.name,
      `${status.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
      status.updatedReplicas ?? 0,
      status.availableReplicas ?? 0,
      ageOf(deployment, now),
      ...layoutOf(spec.template.spec?.containers),
      formatLabelSelector(spec.selector),
    ];
  },
});

function validateStrategy(strategy: DeploymentStrategy | undefined, out: Errors): void {
  const path = 'spec.strategy';
  const rolling = strategy?.rollingUpdate;
  if (strategy?.type === 'Recreate') {
    if (rolling) {
      out.push(field.forbidden(`${path}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'"));
    }
  } else if (strategy?.type !== 'RollingUpdate') {
    out.push(field.notSupported(`${path}.type`, strategy?.type ?? '', ['Recreate', 'RollingUpdate']));
  } else if (!rolling) {
    out.push(field.required(`${path}.rollingUpdate`, 'this should be defaulted and never be nil'));
  } else {
    const at = `${path}.rollingUpdate`;
    validateShare(rolling.maxUnavailable, `${at}.maxUnavailable`, out);
    validateIntOrPercent(rolling.maxSurge, `${at}.maxSurge`, out);
    if (isNone(rolling.maxUnavailable) && isNone(rolling.maxSurge)) {
      out.push(field.invalid(`${at}.maxUnavailable`, rolling.maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
    }
  }
}
