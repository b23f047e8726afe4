// Small checks that most validations share. All append to `out`.

import { field, type FieldError } from '../errors.ts';
import { addFaults, rangeText, type NameCheck } from './names.ts';
import { NOT_NEGATIVE } from './object-meta.ts';

export type Errors = FieldError[];

/** Whether there is nothing: missing or an empty text. */
export const missing = (value: string | null | undefined): value is '' | null | undefined =>
  value === undefined || value === null || value === '';

export function notNegative(value: number | undefined, path: string, out: Errors): void {
  if (value !== undefined && value < 0) out.push(field.invalid(path, value, NOT_NEGATIVE));
}

export function inRange(value: number, low: number, high: number, path: string, out: Errors): void {
  if (!(value >= low && value <= high)) out.push(field.invalid(path, value, rangeText(low, high)));
}

export function required(value: string | undefined, path: string, out: Errors, detail = ''): void {
  if (missing(value)) out.push(field.required(path, detail));
}

/** A named text out of a closed set; missing is an error. */
export function oneOf(value: string | undefined, values: readonly string[], path: string, out: Errors): void {
  if (missing(value)) out.push(field.required(path));
  else if (!values.includes(value)) out.push(field.notSupported(path, value, values));
}

/** As `oneOf`, but missing is fine. */
export function optionalOneOf(value: string | undefined, values: readonly string[], path: string, out: Errors): void {
  if (value !== undefined && !values.includes(value)) out.push(field.notSupported(path, value, values));
}

/** A name in a format; missing is an error. */
export function requiredName(value: string | undefined, check: NameCheck, path: string, out: Errors): void {
  if (missing(value)) out.push(field.required(path));
  else addFaults(check(value), path, value, out);
}

/** A name in a format; missing is fine. */
export function optionalName(value: string | undefined, check: NameCheck, path: string, out: Errors): void {
  if (!missing(value)) addFaults(check(value), path, value, out);
}

/** One error for each value that occurred before. */
export function unique(values: readonly string[], pathOf: (index: number) => string, out: Errors): void {
  const seen = new Set<string>();
  values.forEach((value, i) => {
    if (value !== '' && seen.has(value)) out.push(field.duplicate(pathOf(i), value));
    seen.add(value);
  });
}
