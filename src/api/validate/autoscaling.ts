// Validation of autoscalers: what they scale, by which metrics, and how fast.

import { field } from '../errors.ts';
import type {
  CrossVersionObjectReference,
  HPAScalingRules,
  MetricIdentifier,
  MetricSpec,
  MetricTarget,
} from '../generated/autoscaling-v2.ts';
import { parseQuantity } from '../quantity.ts';
import { type Errors, missing, oneOf, required, requiredName } from './checks.ts';
import { addFaults, pathSegment } from './names.ts';
import { validateLabelSelector } from './object-meta.ts';

export function validateScaleTarget(ref: CrossVersionObjectReference, path: string, out: Errors): void {
  requiredName(ref.kind, pathSegment, `${path}.kind`, out);
  requiredName(ref.name, pathSegment, `${path}.name`, out);
}

const SOURCES = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
} as const;
type Source = keyof typeof SOURCES;

export function validateMetrics(metrics: readonly MetricSpec[] | undefined, path: string, out: Errors): void {
  metrics?.forEach((metric, i) => validateMetric(metric, `${path}[${i}]`, out));
}

function validateMetric(metric: MetricSpec, path: string, out: Errors): void {
  if (missing(metric.type)) out.push(field.required(`${path}.type`, 'must specify a metric source type'));
  const wanted = SOURCES[metric.type as Source] as (typeof SOURCES)[Source] | undefined;
  if (!wanted) out.push(field.notSupported(`${path}.type`, metric.type ?? '', Object.keys(SOURCES)));
  const present = Object.values(SOURCES).filter((key) => metric[key] !== undefined);
  const first = present[0];
  if (first) validateSource(metric, first, `${path}.${first}`, out);
  if (wanted && !present.includes(wanted)) {
    out.push(field.required(`${path}.${wanted}`, 'must populate information for the given metric source'));
  }
  if (present.length === 1) return;
  for (const key of present) {
    if (key !== wanted) out.push(field.forbidden(`${path}.${key}`, 'must populate the given metric source only'));
  }
}

function validateSource(metric: MetricSpec, key: (typeof SOURCES)[Source], path: string, out: Errors): void {
  const { object, external, pods, resource, containerResource } = metric;
  if (key === 'object') {
    validateScaleTarget(object!.describedObject, `${path}.describedObject`, out);
    validateIdentifier(object!.metric, `${path}.metric`, out);
    validateTarget(object!.target, `${path}.target`, out);
    requireValue(object!.target, ['value', 'averageValue'], path, out);
  } else if (key === 'external') {
    validateIdentifier(external!.metric, `${path}.metric`, out);
    validateTarget(external!.target, `${path}.target`, out);
    const { value, averageValue } = external!.target;
    if (value !== undefined && averageValue !== undefined) {
      const text = 'may not set both a target value for metric and a per-pod target';
      out.push(field.forbidden(`${path}.target.value`, text));
    }
    requireValue(external!.target, ['value', 'averageValue'], path, out);
  } else if (key === 'pods') {
    validateIdentifier(pods!.metric, `${path}.metric`, out);
    validateTarget(pods!.target, `${path}.target`, out);
    requireValue(pods!.target, ['averageValue'], path, out);
  } else {
    const source = key === 'resource' ? resource! : containerResource!;
    if (containerResource && key === 'containerResource') {
      required(containerResource.container, `${path}.container`, out, 'must specify a container name');
    }
    required(source.name, `${path}.name`, out, 'must specify a resource name');
    validateTarget(source.target, `${path}.target`, out);
    const { averageUtilization, averageValue } = source.target;
    const at = `${path}.target.averageUtilization`;
    if (averageUtilization === undefined && averageValue === undefined) {
      out.push(field.required(at, 'must set either a target raw value or a target utilization'));
    }
    if (averageUtilization !== undefined && averageValue !== undefined) {
      const text = 'may not set both a target raw value and a target utilization';
      out.push(field.forbidden(`${path}.target.averageValue`, text));
    }
  }
}

function requireValue(target: MetricTarget, keys: readonly (keyof MetricTarget)[], path: string, out: Errors): void {
  if (keys.some((key) => target[key] !== undefined)) return;
  const text =
    keys.length > 1 ? 'must set either a target value or averageValue' : 'must specify a positive target averageValue';
  out.push(field.required(`${path}.target.averageValue`, text));
}

function validateIdentifier(metric: MetricIdentifier, path: string, out: Errors): void {
  if (missing(metric.name)) out.push(field.required(`${path}.name`, 'must specify a metric name'));
  else addFaults(pathSegment(metric.name), `${path}.name`, metric.name, out);
  validateLabelSelector(metric.selector, `${path}.selector`, out);
}

function validateTarget(target: MetricTarget, path: string, out: Errors): void {
  const types = ['Utilization', 'Value', 'AverageValue'];
  if (missing(target.type)) out.push(field.required(`${path}.type`, 'must specify a metric target type'));
  if (!types.includes(target.type)) {
    const text = 'must be either Utilization, Value, or AverageValue';
    out.push(field.invalid(`${path}.type`, target.type ?? '', text));
  }
  for (const key of ['value', 'averageValue'] as const) {
    const quantity = target[key] === undefined ? undefined : parseQuantity(target[key]);
    if (quantity && quantity.sign <= 0)
      out.push(field.invalid(`${path}.${key}`, quantity.toString(), 'must be positive'));
  }
  const share = target.averageUtilization;
  if (share !== undefined && share < 1) {
    out.push(field.invalid(`${path}.averageUtilization`, share, 'must be greater than 0'));
  }
}

const MAX_WINDOW = 3600;
const MAX_PERIOD = 1800;

export function validateScalingRules(rules: HPAScalingRules | undefined, path: string, out: Errors): void {
  if (!rules) return;
  const seconds = rules.stabilizationWindowSeconds;
  const at = `${path}.stabilizationWindowSeconds`;
  if (seconds !== undefined && seconds < 0) {
    out.push(field.invalid(at, seconds, 'must be greater than or equal to zero'));
  }
  if (seconds !== undefined && seconds > MAX_WINDOW) {
    out.push(field.invalid(at, seconds, `must be less than or equal to ${MAX_WINDOW}`));
  }
  if (rules.selectPolicy !== undefined) {
    oneOf(rules.selectPolicy, ['Max', 'Min', 'Disabled'], `${path}.selectPolicy`, out);
  }
  if (!rules.policies?.length) out.push(field.required(`${path}.policies`, 'must specify at least one Policy'));
  rules.policies?.forEach((policy, i) => {
    const here = `${path}.policies[${i}]`;
    oneOf(policy.type, ['Pods', 'Percent'], `${here}.type`, out);
    if (policy.value <= 0) out.push(field.invalid(`${here}.value`, policy.value, 'must be greater than zero'));
    if (policy.periodSeconds <= 0) {
      out.push(field.invalid(`${here}.periodSeconds`, policy.periodSeconds, 'must be greater than zero'));
    }
    if (policy.periodSeconds > MAX_PERIOD) {
      const text = `must be less than or equal to ${MAX_PERIOD}`;
      out.push(field.invalid(`${here}.periodSeconds`, policy.periodSeconds, text));
    }
  });
  if (rules.tolerance !== undefined && parseQuantity(rules.tolerance).sign < 0) {
    out.push(field.invalid(`${path}.tolerance`, rules.tolerance, 'must be greater or equal to zero'));
  }
}
