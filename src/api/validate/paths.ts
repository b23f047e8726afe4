// Paths and modes of files inside volumes and containers.

import { field } from '../errors.ts';
import type { KeyToPath } from '../generated/core-v1.ts';
import { type Errors, required } from './checks.ts';

/** No `..` among the parts. */
export function noBacksteps(path: string, at: string, out: Errors): void {
  if (path.split('/').includes('..')) out.push(field.invalid(at, path, "must not contain '..'"));
}

/** Relative, and never upwards. */
export function localDescendingPath(path: string, at: string, out: Errors): void {
  if (path.startsWith('/')) out.push(field.invalid(at, path, 'must be a relative path'));
  noBacksteps(path, at, out);
}

/** As above, and the first part does not begin with two dots: those names are the volume writer's own. */
export function localNonReservedPath(path: string, at: string, out: Errors): void {
  localDescendingPath(path, at, out);
  if (path.startsWith('..') && !path.startsWith('../')) {
    out.push(field.invalid(at, path, "must not start with '..'"));
  }
}

export function validateMode(mode: number | undefined, path: string, out: Errors): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777)) {
    out.push(field.invalid(path, mode, 'must be a number between 0 and 0777 (octal), both inclusive'));
  }
}

export function validateKeyToPath(items: readonly KeyToPath[] | undefined, path: string, out: Errors): void {
  items?.forEach((item, i) => {
    const at = `${path}[${i}]`;
    required(item.key, `${at}.key`, out);
    required(item.path, `${at}.path`, out);
    localNonReservedPath(item.path ?? '', `${at}.path`, out);
    validateMode(item.mode, `${at}.mode`, out);
  });
}
