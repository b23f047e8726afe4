// Keys and sizes of ConfigMaps and Secrets, and what `immutable` freezes.

import { field } from '../errors.ts';
import type { Errors } from './checks.ts';
import { addFaults, configKey } from './names.ts';
import { sameValue } from './same-value.ts';

export const MAX_DATA_BYTES = 1024 * 1024;

type Data = Readonly<Record<string, string>> | undefined;

/** Answers the size by `sizeOf`. */
export function validateData(data: Data, path: string, sizeOf: (value: string) => number, out: Errors): number {
  let bytes = 0;
  for (const key in data) {
    addFaults(configKey(key), `${path}[${key}]`, key, out);
    bytes += sizeOf(data[key] ?? '');
  }
  return bytes;
}

type Freezable<K extends string> = { immutable?: boolean } & { [P in K]?: Record<string, string> };

export function validateFrozen<K extends string>(
  now: Freezable<K>,
  old: Freezable<K>,
  keys: readonly K[],
  out: Errors,
): void {
  if (!old.immutable) return;
  const text = 'field is immutable when `immutable` is set';
  if (!now.immutable) out.push(field.forbidden('immutable', text));
  for (const key of keys) if (!sameValue(now[key], old[key])) out.push(field.forbidden(key, text));
}
