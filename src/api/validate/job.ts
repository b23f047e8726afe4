// Validation of Jobs, alone and in the templates of CronJobs. https://kubernetes.io/docs/concepts/workloads/controllers/job/

import { field } from '../errors.ts';
import type { Job, JobSpec, PodFailurePolicy, PodFailurePolicyRule, SuccessPolicy } from '../generated/batch-v1.ts';
import type { PodTemplateSpec } from '../generated/core-v1.ts';
import { selectorOf, SelectorError } from '../selectors.ts';
import { type Errors, missing, notNegative, oneOf, optionalOneOf } from './checks.ts';
import { addFaults, dns1123Label, qualifiedName } from './names.ts';
import { validateImmutable, validateLabelSelector } from './object-meta.ts';
import { MAX_INT32, validatePodTemplate } from './pod-spec.ts';
import { sameValue } from './same-value.ts';

export const UID_LABEL = 'batch.kubernetes.io/controller-uid';
export const NAME_LABEL = 'batch.kubernetes.io/job-name';
/** The same labels before they had a prefix; pods have both. */
export const OLD_UID_LABEL = 'controller-uid';
export const OLD_NAME_LABEL = 'job-name';
const MAX_INDEXED = 100_000;
const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore'];

export function validateJob(job: Job): Errors {
  const out: Errors = [];
  const { spec, metadata } = job;
  validateGeneratedSelector(job, out);
  validateJobSpec(spec, 'spec', out);
  if (!spec.selector) out.push(field.required('spec.selector'));
  else {
    validateLabelSelector(spec.selector, 'spec.selector', out);
    const labels = spec.template.metadata?.labels ?? {};
    if (matches(job, labels) === false) {
      out.push(field.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
    }
  }
  if (spec.completionMode === 'Indexed' && spec.completions !== undefined) {
    // The highest index is part of a host name.
    const faults = dns1123Label(`${metadata.name}-${Math.max(spec.completions - 1, 0)}`);
    for (const fault of faults) {
      const text = `will not able to create pod with invalid DNS label: ${fault}`;
      out.push(field.invalid('metadata.name', metadata.name, text));
    }
  }
  return out;
}

/** Undefined when the selector cannot be read at all; that is told elsewhere. */
function matches({ spec }: Job, labels: Readonly<Record<string, string>>): boolean | undefined {
  try {
    return selectorOf(spec.selector).matches(labels);
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    return undefined;
  }
}

function validateGeneratedSelector(job: Job, out: Errors): void {
  const { spec, metadata } = job;
  if (spec.manualSelector || !spec.selector) return;
  const expected: Record<string, string> = {
    [OLD_UID_LABEL]: metadata.uid,
    [OLD_NAME_LABEL]: metadata.name,
    [UID_LABEL]: metadata.uid,
    [NAME_LABEL]: metadata.name,
  };
  const labels = spec.template.metadata?.labels;
  for (const key in expected) {
    const at = `spec.template.metadata.labels[${key}]`;
    const text = `must be '${expected[key]}'`;
    if (labels?.[key] === undefined) out.push(field.required(at, text));
    else if (labels[key] !== expected[key]) out.push(field.invalid(at, labels, text));
  }
  if (matches(job, expected) === false) {
    out.push(field.invalid('spec.selector', spec.selector, '`selector` not auto-generated'));
  }
}

const COUNTS = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
] as const;

export function validateJobSpec(spec: JobSpec, path: string, out: Errors): void {
  for (const key of COUNTS) notNegative(spec[key], `${path}.${key}`, out);
  validateIndexes(spec, path, out);
  if (spec.managedBy !== undefined) {
    const parts = spec.managedBy.split('/');
    addFaults(qualifiedName(spec.managedBy), `${path}.managedBy`, spec.managedBy, out);
    if (parts.length !== 2) {
      const text = 'must be a domain-prefixed path (such as "acme.io/foo")';
      out.push(field.invalid(`${path}.managedBy`, spec.managedBy, text));
    }
    if (spec.managedBy.length > 63) out.push(field.tooLong(`${path}.managedBy`, 63));
  }
  const replacement = `${path}.podReplacementPolicy`;
  if (spec.podFailurePolicy) optionalOneOf(spec.podReplacementPolicy, ['Failed'], replacement, out);
  else optionalOneOf(spec.podReplacementPolicy, ['Failed', 'TerminatingOrFailed'], replacement, out);
  if (spec.podFailurePolicy) validateFailurePolicy(spec, spec.podFailurePolicy, `${path}.podFailurePolicy`, out);
  if (spec.successPolicy) validateSuccessPolicy(spec, spec.successPolicy, `${path}.successPolicy`, out);
  validatePodTemplate(spec.template, `${path}.template`, out);
  const restart = spec.template.spec?.restartPolicy;
  const at = `${path}.template.spec.restartPolicy`;
  if (restart === 'Always' || missing(restart)) out.push(field.required(at, 'valid values: "OnFailure", "Never"'));
  else if (restart !== 'OnFailure' && restart !== 'Never') {
    out.push(field.notSupported(at, restart, ['OnFailure', 'Never']));
  } else if (spec.podFailurePolicy && restart !== 'Never') {
    out.push(field.invalid(at, restart, 'only "Never" is supported when podFailurePolicy is specified'));
  }
}

function validateIndexes(spec: JobSpec, path: string, out: Errors): void {
  optionalOneOf(spec.completionMode, ['NonIndexed', 'Indexed'], `${path}.completionMode`, out);
  const limit = spec.backoffLimitPerIndex;
  if (spec.completionMode !== 'Indexed') {
    const text = 'requires indexed completion mode';
    if (limit !== undefined) out.push(field.invalid(`${path}.backoffLimitPerIndex`, limit, text));
    if (spec.maxFailedIndexes !== undefined) {
      out.push(field.invalid(`${path}.maxFailedIndexes`, spec.maxFailedIndexes, text));
    }
    return;
  }
  if (spec.completions === undefined) {
    out.push(field.required(`${path}.completions`, 'when completion mode is Indexed'));
  }
  const parallelism = spec.parallelism ?? 0;
  if (parallelism > MAX_INDEXED) {
    const text = `must be less than or equal to ${MAX_INDEXED} when completion mode is Indexed`;
    out.push(field.invalid(`${path}.parallelism`, parallelism, text));
  }
  if (spec.maxFailedIndexes === undefined) return;
  const at = `${path}.maxFailedIndexes`;
  if (limit === undefined)
    out.push(field.required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  if (spec.completions !== undefined && spec.maxFailedIndexes > spec.completions) {
    out.push(field.invalid(at, spec.maxFailedIndexes, 'must be less than or equal to completions'));
  }
  if (spec.maxFailedIndexes > MAX_INDEXED) {
    out.push(field.invalid(at, spec.maxFailedIndexes, `must be less than or equal to ${MAX_INDEXED}`));
  }
}

function validateFailurePolicy(spec: JobSpec, policy: PodFailurePolicy, path: string, out: Errors): void {
  const rules = policy.rules ?? [];
  if (rules.length > 20) return void out.push(field.tooMany(`${path}.rules`, rules.length, 20));
  const template = spec.template.spec;
  const names = [...(template?.containers ?? []), ...(template?.initContainers ?? [])].map((c) => c.name);
  rules.forEach((rule, i) => validateFailureRule(spec, rule, names, `${path}.rules[${i}]`, out));
}

function validateFailureRule(
  spec: JobSpec,
  rule: PodFailurePolicyRule,
  names: string[],
  path: string,
  out: Errors,
): void {
  const { action, onExitCodes: codes, onPodConditions: conditions } = rule;
  if (missing(action))
    out.push(field.required(`${path}.action`, `valid values: ${ACTIONS.map((a) => JSON.stringify(a)).join(', ')}`));
  else if (action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) {
    out.push(field.invalid(`${path}.action`, action, 'requires the backoffLimitPerIndex to be set'));
  } else if (!ACTIONS.includes(action)) out.push(field.notSupported(`${path}.action`, action, ACTIONS));
  if (codes) {
    const at = `${path}.onExitCodes`;
    oneOf(codes.operator, ['In', 'NotIn'], `${at}.operator`, out);
    if (!missing(codes.containerName) && !names.includes(codes.containerName)) {
      const text = 'must be one of the container or initContainer names in the pod template';
      out.push(field.invalid(`${at}.containerName`, codes.containerName, text));
    }
    const values = codes.values ?? [];
    if (!values.length) out.push(field.invalid(`${at}.values`, values, 'at least one value is required'));
    else if (values.length > 255) out.push(field.tooMany(`${at}.values`, values.length, 255));
    values.forEach((value, i) => {
      if (value === 0 && codes.operator === 'In') {
        out.push(field.invalid(`${at}.values[${i}]`, value, 'must not be 0 for the In operator'));
      }
      if (values.indexOf(value) < i) out.push(field.duplicate(`${at}.values[${i}]`, value));
      else if (i > 0 && value < values[i - 1]!) out.push(field.invalid(`${at}.values`, values, 'must be ordered'));
    });
  }
  if (conditions && conditions.length > 20) out.push(field.tooMany(`${path}.onPodConditions`, conditions.length, 20));
  conditions?.forEach((pattern, i) => {
    const at = `${path}.onPodConditions[${i}]`;
    addFaults(qualifiedName(pattern.type ?? ''), `${at}.type`, pattern.type ?? '', out);
    oneOf(pattern.status, ['False', 'True', 'Unknown'], `${at}.status`, out);
  });
  if (codes && conditions?.length) {
    out.push(field.invalid(path, rule, 'specifying both OnExitCodes and OnPodConditions is not supported'));
  }
  if (!codes && !conditions?.length) {
    out.push(field.invalid(path, rule, 'specifying one of OnExitCodes and OnPodConditions is required'));
  }
}

function validateSuccessPolicy(spec: JobSpec, policy: SuccessPolicy, path: string, out: Errors): void {
  const rules = policy.rules ?? [];
  if (spec.completionMode !== 'Indexed') {
    return void out.push(field.invalid(path, policy, 'requires indexed completion mode'));
  }
  if (!rules.length)
    return void out.push(
      field.required(`${path}.rules`, 'at least one rules must be specified when the successPolicy is specified'),
    );
  if (rules.length > 20) out.push(field.tooMany(`${path}.rules`, rules.length, 20));
  rules.forEach((rule, i) => {
    const at = `${path}.rules[${i}]`;
    const { succeededCount: count, succeededIndexes: indexes } = rule;
    if (count === undefined && indexes === undefined) {
      out.push(field.required(at, 'at least one of succeededCount or succeededIndexes must be specified'));
    }
    let total = spec.completions ?? 0;
    if (indexes !== undefined) {
      const parsed = countIndexes(indexes, spec.completions ?? MAX_INT32);
      if (parsed === undefined) {
        const text = 'error parsing succeededIndexes: must be ordered numbers and ranges below completions, like 1,3-5';
        out.push(field.invalid(`${at}.succeededIndexes`, indexes, text));
      } else total = parsed;
    }
    if (count === undefined) return;
    notNegative(count, `${at}.succeededCount`, out);
    if (count > total) {
      const what = indexes === undefined ? 'completions' : 'indexes';
      const text = `must be less than or equal to ${total} (the number of specified ${what})`;
      out.push(field.invalid(`${at}.succeededCount`, count, text));
    }
  });
}

/** How many indexes `1,3-5` names, or undefined when it is no such text or not ascending below `end`. */
function countIndexes(text: string, end: number): number | undefined {
  if (text === '') return 0;
  let count = 0;
  let last = -1;
  for (const part of text.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!match) return undefined;
    const from = Number(match[1]);
    const to = match[2] === undefined ? from : Number(match[2]);
    if (from <= last || (match[2] !== undefined && to <= from) || to >= end) return undefined;
    count += to - from + 1;
    last = to;
  }
  return count;
}

const FIXED = ['completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy'] as const;

export function validateJobUpdate(job: Job, old: Job): Errors {
  const out: Errors = [];
  const { spec } = job;
  const before = old.spec;
  // Indexed jobs may grow and shrink, all indexes at once.
  const elastic =
    spec.completionMode === 'Indexed' && before.completions !== undefined && spec.completions !== undefined;
  if (!elastic) validateImmutable(spec.completions, before.completions, 'spec.completions', out);
  else if (spec.completions !== before.completions && spec.completions !== spec.parallelism) {
    const text = 'can only be modified in tandem with spec.parallelism';
    out.push(field.invalid('spec.completions', spec.completions, text));
  }
  validateImmutable(spec.selector, before.selector, 'spec.selector', out);
  const mayMove = before.suspend === true && old.status?.startTime === undefined;
  const template = mayMove ? withDirectivesOf(spec.template, before.template) : spec.template;
  validateImmutable(template, before.template, 'spec.template', out);
  for (const key of FIXED) validateImmutable(spec[key], before[key], `spec.${key}`, out);
  return out;
}

/** A suspended job that has not begun may still be told where to run. */
function withDirectivesOf(template: PodTemplateSpec, before: PodTemplateSpec): PodTemplateSpec {
  const merged: PodTemplateSpec = { ...template, metadata: { ...template.metadata } };
  for (const key of ['labels', 'annotations'] as const) {
    const value = before.metadata?.[key];
    if (value) merged.metadata![key] = value;
    else delete merged.metadata![key];
  }
  if (!template.spec || !before.spec) return merged;
  const spec = { ...template.spec };
  for (const key of ['nodeSelector', 'tolerations', 'schedulingGates'] as const) {
    if (before.spec[key]) Object.assign(spec, { [key]: before.spec[key] });
    else delete spec[key];
  }
  const { nodeAffinity: _, ...others } = spec.affinity ?? {};
  const was = before.spec.affinity;
  const affinity = { ...others, ...(was?.nodeAffinity ? { nodeAffinity: was.nodeAffinity } : {}) };
  if (sameValue(affinity, undefined)) delete spec.affinity;
  else spec.affinity = affinity;
  return { ...merged, spec };
}
