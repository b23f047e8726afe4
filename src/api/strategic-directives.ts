// The directives of a strategic merge patch.

import { badRequest } from './errors.ts';
import { isObject, setKey, type JsonObject } from './json-values.ts';

export const PATCH = '$patch';
export const RETAIN_KEYS = '$retainKeys';
export const DELETE_LIST = '$deleteFromPrimitiveList';
export const ELEMENT_ORDER = '$setElementOrder';

const isDirective = (key: string) =>
  key === PATCH || key === RETAIN_KEYS || key.startsWith(DELETE_LIST) || key.startsWith(ELEMENT_ORDER);

/** The field a directive is about: `$setElementOrder/ports` -> `ports`. Throws BadRequest. */
export function fieldBehind(directive: string, prefix: string): string {
  if (directive[prefix.length] === '/') return directive.slice(prefix.length + 1);
  const what = prefix === DELETE_LIST ? 'primitive list' : 'setElementOrder list';
  throw badRequest(`invalid patch format of ${what}`);
}

/** A patch that meets nothing to merge with, as a value: without directives, nulls and deleted items. */
export function cleanPatch(patch: unknown): unknown {
  if (Array.isArray(patch)) {
    return patch
      .filter((item) => !isObject(item) || (item[PATCH] !== 'delete' && !isReplaceMark(item)))
      .map(cleanPatch);
  }
  if (!isObject(patch)) return patch;
  const out: JsonObject = {};
  for (const key in patch) {
    const value = patch[key];
    if (value !== null && value !== undefined && !isDirective(key)) setKey(out, key, cleanPatch(value));
  }
  return out;
}

/** `{$patch: replace}` among list items says that the list replaces the other. */
const isReplaceMark = (item: JsonObject) => item[PATCH] === 'replace';
