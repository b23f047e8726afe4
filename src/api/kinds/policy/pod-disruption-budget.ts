// PodDisruptionBudget: policy/v1.

import { field } from '../../errors.ts';
import type { PodDisruptionBudget as PodDisruptionBudgetObject } from '../../generated/policy-v1.ts';
import type { IntOrString } from '../../int-or-string.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, optionalOneOf } from '../../validate/checks.ts';
import { validateFinalizerNames, validateLabelSelector } from '../../validate/object-meta.ts';
import { validateCounters, validateShare } from '../../validate/workload.ts';
import { AGE, ageOf, integer, NAME, text } from '../columns.ts';

export type PodDisruptionBudget = PodDisruptionBudgetObject;

const shown = (value: IntOrString | undefined) => (value === undefined ? 'N/A' : String(value));

export const PodDisruptionBudget = defineKind<PodDisruptionBudgetObject>({
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  namespaced: true,
  shortNames: ['pdb'],
  requireVersionOnUpdate: true,
  generation: true,

  prepareForCreate(budget) {
    budget.status = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
  },
  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    if (spec.minAvailable !== undefined && spec.maxUnavailable !== undefined) {
      out.push(field.invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
    }
    validateShare(spec.minAvailable, 'spec.minAvailable', out);
    validateShare(spec.maxUnavailable, 'spec.maxUnavailable', out);
    validateLabelSelector(spec.selector, 'spec.selector', out);
    const policies = ['AlwaysAllow', 'IfHealthyBudget'];
    optionalOneOf(spec.unhealthyPodEvictionPolicy, policies, 'spec.unhealthyPodEvictionPolicy', out);
    return out;
  },
  status: {
    validateUpdate({ status }) {
      const out: Errors = [];
      const counters = ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'] as const;
      validateCounters(status, { counters }, out);
      return out;
    },
  },

  columns: [
    NAME,
    text('Min Available', 'The minimum number of pods that must be available.'),
    text('Max Unavailable', 'The maximum number of pods that may be unavailable.'),
    integer('Allowed Disruptions', 'Calculated number of pods that may be disrupted at this time.'),
    AGE,
  ],
  row: (budget, now) => [
    budget.metadata.name,
    shown(budget.spec.minAvailable),
    shown(budget.spec.maxUnavailable),
    budget.status?.disruptionsAllowed ?? 0,
    ageOf(budget, now),
  ],
});
