// DaemonSet: apps/v1.

import { field } from '../../errors.ts';
import type {
  DaemonSet as DaemonSetObject,
  DaemonSetStatus,
  DaemonSetUpdateStrategy,
} from '../../generated/apps-v1.ts';
import { defineKind } from '../../kind.ts';
import { formatLabelSelector } from '../../selectors.ts';
import { type Errors, notNegative } from '../../validate/checks.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { sameValue } from '../../validate/same-value.ts';
import {
  isNone,
  validateCollisions,
  validateCounters,
  selectorStays,
  validateSelector,
  validateShare,
  validateTemplate,
} from '../../validate/workload.ts';
import { AGE, ageOf, CONTAINERS, IMAGES, integer, labelsText, layoutOf, NAME, SELECTOR, text } from '../columns.ts';
import { defaultPodTemplate } from '../core/pod-defaults.ts';
import { workloadWarnings } from '../core/pod-warnings.ts';

export type DaemonSet = DaemonSetObject;

/** Where the generation of the template alone is counted: old clients read it. */
const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';
const COUNTERS: readonly (keyof DaemonSetStatus & string)[] = [
  'currentNumberScheduled',
  'numberMisscheduled',
  'desiredNumberScheduled',
  'numberReady',
  'observedGeneration',
  'updatedNumberScheduled',
  'numberAvailable',
  'numberUnavailable',
  'collisionCount',
];

export const DaemonSet = defineKind<DaemonSetObject>({
  group: 'apps',
  version: 'v1',
  kind: 'DaemonSet',
  plural: 'daemonsets',
  namespaced: true,
  shortNames: ['ds'],
  categories: ['all'],
  generation: true,

  default({ spec }) {
    defaultPodTemplate(spec.template);
    const strategy = (spec.updateStrategy ??= {});
    strategy.type ||= 'RollingUpdate';
    if (strategy.type === 'RollingUpdate') {
      strategy.rollingUpdate ??= {};
      strategy.rollingUpdate.maxUnavailable ??= 1;
      strategy.rollingUpdate.maxSurge ??= 0;
    }
    spec.revisionHistoryLimit ??= 10;
  },
  prepareForCreate(set) {
    set.status = { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 };
    set.metadata.annotations = { ...set.metadata.annotations, [TEMPLATE_GENERATION]: '1' };
  },
  prepareForUpdate(set, old) {
    const count = Number(old.metadata.annotations?.[TEMPLATE_GENERATION] ?? 0);
    const next = sameValue(set.spec.template, old.spec.template) ? count : count + 1;
    set.metadata.annotations = { ...set.metadata.annotations, [TEMPLATE_GENERATION]: String(next) };
  },

  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    const selector = validateSelector(spec.selector, 'daemonset', 'spec.selector', out);
    validateTemplate(spec.template, selector, 'DaemonSet', 'spec.template', out);
    notNegative(spec.minReadySeconds, 'spec.minReadySeconds', out);
    validateStrategy(spec.updateStrategy, out);
    notNegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit', out);
    return out;
  },
  validateUpdate: selectorStays,
  warnings: workloadWarnings,
  status: {
    default() {},
    validateUpdate({ status }, old) {
      const out: Errors = [];
      validateCounters(status, { counters: COUNTERS }, out);
      validateCollisions(status?.collisionCount, old.status?.collisionCount, out);
      return out;
    },
  },

  columns: [
    NAME,
    integer('Desired', 'Number of nodes that should run the pod.'),
    integer('Current', 'Number of nodes that run the pod and should.'),
    integer('Ready', 'Number of nodes where the pod is ready.'),
    integer('Up-to-date', 'Number of nodes with the newest pod.'),
    integer('Available', 'Number of nodes where the pod is available.'),
    text('Node Selector', 'The nodes the pods may run on.'),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  row(set, now) {
    const { metadata, spec, status } = set;
    return [
      metadata.name,
      status?.desiredNumberScheduled ?? 0,
      status?.currentNumberScheduled ?? 0,
      status?.numberReady ?? 0,
      status?.updatedNumberScheduled ?? 0,
      status?.numberAvailable ?? 0,
      labelsText(spec.template.spec?.nodeSelector),
      ageOf(set, now),
      ...layoutOf(spec.template.spec?.containers),
      formatLabelSelector(spec.selector),
    ];
  },
});

function validateStrategy(strategy: DaemonSetUpdateStrategy | undefined, out: Errors): void {
  const path = 'spec.updateStrategy';
  if (strategy?.type === 'OnDelete') return;
  if (strategy?.type !== 'RollingUpdate') {
    out.push(field.notSupported(`${path}.type`, strategy?.type ?? '', ['RollingUpdate', 'OnDelete']));
    return;
  }
  const rolling = strategy.rollingUpdate;
  const at = `${path}.rollingUpdate`;
  if (!rolling) return void out.push(field.required(at));
  validateShare(rolling.maxUnavailable, `${at}.maxUnavailable`, out);
  validateShare(rolling.maxSurge, `${at}.maxSurge`, out);
  const [none, noSurge] = [isNone(rolling.maxUnavailable), isNone(rolling.maxSurge)];
  if (none && noSurge) out.push(field.required(`${at}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
  if (!none && !noSurge) {
    out.push(field.invalid(`${at}.maxSurge`, rolling.maxSurge, 'may not be set when maxUnavailable is non-zero'));
  }
}
