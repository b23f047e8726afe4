// HorizontalPodAutoscaler: autoscaling/v2.

import { field } from '../../errors.ts';
import type {
  HorizontalPodAutoscaler as HorizontalPodAutoscalerObject,
  HPAScalingRules,
} from '../../generated/autoscaling-v2.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, notNegative } from '../../validate/checks.ts';
import { validateMetrics, validateScaleTarget, validateScalingRules } from '../../validate/autoscaling.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { AGE, ageOf, integer, NAME, text } from '../columns.ts';
import { metricsText } from './metrics-text.ts';

export type HorizontalPodAutoscaler = HorizontalPodAutoscalerObject;

export const HorizontalPodAutoscaler = defineKind<HorizontalPodAutoscalerObject>({
  group: 'autoscaling',
  version: 'v2',
  kind: 'HorizontalPodAutoscaler',
  plural: 'horizontalpodautoscalers',
  namespaced: true,
  shortNames: ['hpa'],
  categories: ['all'],
  generation: true,

  default({ spec }) {
    spec.minReplicas ??= 1;
    if (!spec.metrics?.length) {
      const target = { type: 'Utilization', averageUtilization: 80 };
      spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target } }];
    }
    if (!spec.behavior) return;
    spec.behavior.scaleUp = withDefaults(spec.behavior.scaleUp, {
      stabilizationWindowSeconds: 0,
      selectPolicy: 'Max',
      policies: [
        { type: 'Pods', value: 4, periodSeconds: 15 },
        { type: 'Percent', value: 100, periodSeconds: 15 },
      ],
    });
    spec.behavior.scaleDown = withDefaults(spec.behavior.scaleDown, {
      selectPolicy: 'Max',
      policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
    });
  },
  prepareForCreate(autoscaler) {
    autoscaler.status = { currentReplicas: 0, desiredReplicas: 0 };
  },

  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    const { minReplicas: min, maxReplicas: max } = spec;
    if (min !== undefined && min < 1) {
      out.push(field.invalid('spec.minReplicas', min, 'must be greater than or equal to 1'));
    }
    if (max < 1) out.push(field.invalid('spec.maxReplicas', max, 'must be greater than 0'));
    if (min !== undefined && max < min) {
      out.push(field.invalid('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`'));
    }
    validateScaleTarget(spec.scaleTargetRef, 'spec.scaleTargetRef', out);
    validateMetrics(spec.metrics, 'spec.metrics', out);
    validateScalingRules(spec.behavior?.scaleUp, 'spec.behavior.scaleUp', out);
    validateScalingRules(spec.behavior?.scaleDown, 'spec.behavior.scaleDown', out);
    return out;
  },
  status: {
    validateUpdate({ status }) {
      const out: Errors = [];
      notNegative(status?.currentReplicas, 'status.currentReplicas', out);
      notNegative(status?.desiredReplicas, 'status.desiredReplicas', out);
      return out;
    },
  },

  columns: [
    NAME,
    text('Reference', 'What is scaled.'),
    text('Targets', 'Metrics as they are and as they should be.'),
    text('MinPods', 'The fewest replicas.'),
    text('MaxPods', 'The most replicas.'),
    integer('Replicas', 'Replicas there are.'),
    AGE,
  ],
  row(autoscaler, now) {
    const { metadata, spec, status } = autoscaler;
    return [
      metadata.name,
      `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`,
      metricsText(spec.metrics, status?.currentMetrics),
      spec.minReplicas === undefined ? '<unset>' : String(spec.minReplicas),
      String(spec.maxReplicas),
      status?.currentReplicas ?? 0,
      ageOf(autoscaler, now),
    ];
  },
});

function withDefaults(rules: HPAScalingRules | undefined, defaults: HPAScalingRules): HPAScalingRules {
  const given: HPAScalingRules = { ...rules };
  if (!given.policies?.length) delete given.policies;
  return { ...defaults, ...given };
}
