// What the controllers of pods have in common: a selector that fits a template, replica counts, counts or percentages.

import { field } from '../errors.ts';
import type { PodTemplateSpec } from '../generated/core-v1.ts';
import { scaledValue, type IntOrString } from '../int-or-string.ts';
import type { LabelSelector } from '../object.ts';
import { type Selector, SelectorError, selectorOf } from '../selectors.ts';
import { type Errors, notNegative } from './checks.ts';
import { addFaults, percent } from './names.ts';
import { validateImmutable, validateLabelSelector } from './object-meta.ts';
import { validatePodTemplate } from './pod-spec.ts';

/** Answers the compiled selector, or undefined when there is none to speak of. `kind` stands in the text. */
export function validateSelector(
  selector: LabelSelector | undefined | null,
  kind: string,
  path: string,
  out: Errors,
): Selector | undefined {
  if (!selector) {
    out.push(field.required(path));
    return undefined;
  }
  validateLabelSelector(selector, path, out);
  if (!Object.keys(selector.matchLabels ?? {}).length && !selector.matchExpressions?.length) {
    out.push(field.invalid(path, selector, `empty selector is invalid for ${kind}`));
    return undefined;
  }
  try {
    return selectorOf(selector);
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    out.push(field.invalid(path, selector, 'invalid label selector'));
    return undefined;
  }
}

/** For updates: pods that are there must stay found. */
export function selectorStays(object: Selecting, old: Selecting): Errors {
  const out: Errors = [];
  validateImmutable(object.spec.selector, old.spec.selector, 'spec.selector', out);
  return out;
}
interface Selecting {
  readonly spec: { readonly selector?: LabelSelector };
}

/** A template whose pods the selector finds again, and that run for ever. `kind` stands in the text. */
export function validateTemplate(
  template: PodTemplateSpec | undefined,
  selector: Selector | undefined,
  kind: string,
  path: string,
  out: Errors,
): void {
  if (!template) return void out.push(field.required(path));
  const labels = template.metadata?.labels ?? {};
  if (selector && !selector.matches(labels)) {
    out.push(field.invalid(`${path}.metadata.labels`, labels, '`selector` does not match template `labels`'));
  }
  validatePodTemplate(template, path, out);
  const { spec } = template;
  if (spec && spec.restartPolicy !== 'Always') {
    out.push(field.notSupported(`${path}.spec.restartPolicy`, spec.restartPolicy ?? '', ['Always']));
  }
  if (spec?.activeDeadlineSeconds !== undefined) {
    const text = `activeDeadlineSeconds in ${kind} is not Supported`;
    out.push(field.forbidden(`${path}.spec.activeDeadlineSeconds`, text));
  }
}

export function validateIntOrPercent(value: IntOrString | undefined, path: string, out: Errors): void {
  if (typeof value === 'string') addFaults(percent(value), path, value, out);
  else notNegative(value, path, out);
}

/** As above, and no more than all of it. */
export function validateShare(value: IntOrString | undefined, path: string, out: Errors): void {
  validateIntOrPercent(value, path, out);
  if (typeof value === 'string' && percent(value).length === 0 && Number.parseInt(value, 10) > 100) {
    out.push(field.invalid(path, value, 'must not be greater than 100%'));
  }
}

/** True for 0, 0% and nothing. */
export const isNone = (value: IntOrString | undefined): boolean =>
  value === undefined ||
  (typeof value === 'string' && percent(value).length > 0) ||
  scaledValue(value, 100, true) === 0;

/** Counters of a status: none is negative, and some cannot exceed others. */
export function validateCounters<T extends object>(
  status: T | undefined,
  rules: { readonly counters: readonly (keyof T & string)[]; readonly atMost?: readonly CounterRule<T>[] },
  out: Errors,
): void {
  const values = (status ?? {}) as Record<string, number | undefined>;
  for (const key of rules.counters) notNegative(values[key], `status.${key}`, out);
  for (const [key, limit, text] of rules.atMost ?? []) {
    const value = values[key] ?? 0;
    if (value > (values[limit] ?? 0)) out.push(field.invalid(`status.${key}`, value, text));
  }
}
export type CounterRule<T> = readonly [key: keyof T & string, limit: keyof T & string, text: string];

/** `collisionCount` names a next try; going back would repeat one. */
export function validateCollisions(now: number | undefined, before: number | undefined, out: Errors): void {
  if (before !== undefined && (now ?? -1) < before) {
    out.push(field.invalid('status.collisionCount', now ?? null, 'cannot be decremented'));
  }
}
