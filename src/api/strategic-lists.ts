// How lists merge in a strategic merge patch: scalars as sets, objects by their merge key, and in which order.

import { goText, isObject, plainFailure, type JsonObject } from './json-values.ts';
import { sameJson } from './same-json.ts';
import { cleanPatch, PATCH } from './strategic-directives.ts';

export const deleteScalars = (list: readonly unknown[], gone: readonly unknown[]): unknown[] =>
  list.filter((item) => !gone.includes(item));

export function mergeScalars(original: readonly unknown[], patch: readonly unknown[]): unknown[] {
  return mergeOrder([...new Set([...original, ...patch])], patch, original, undefined);
}

/** `merge` merges an item of the patch into the one with the same key. */
export function mergeMaps(
  original: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
  merge: (original: JsonObject, patch: JsonObject) => JsonObject,
): unknown[] {
  const special = (item: unknown) => isObject(item) && item[PATCH] !== undefined;
  let merged = [...original];
  let replace = false;
  for (const item of patch) {
    if (!isObject(item)) throw plainFailure(`unexpected list element: ${goText(item)}`);
    switch (item[PATCH]) {
      case undefined:
        break;
      case 'delete': {
        const value = keyOf(item, mergeKey);
        merged = merged.filter((other) => !isObject(other) || !sameJson(other[mergeKey], value));
        break;
      }
      case 'replace':
        replace = true;
        break;
      case 'merge':
        throw plainFailure('merging lists cannot yet be specified in the patch');
      default:
        throw plainFailure(`unknown patch type: ${goText(item[PATCH])} in map: ${goText(item)}`);
    }
  }
  const rest = patch.filter((item) => !special(item)) as JsonObject[];
  if (replace) return rest.map(cleanPatch);
  for (const item of rest) {
    const value = keyOf(item, mergeKey);
    const at = merged.findIndex((other) => isObject(other) && sameJson(other[mergeKey], value));
    if (at >= 0) merged[at] = merge(merged[at] as JsonObject, item);
    else merged.push(cleanPatch(item));
  }
  return mergeOrder(merged, rest, original, mergeKey);
}

function keyOf(item: JsonObject, mergeKey: string): unknown {
  const value = item[mergeKey];
  if (value === undefined) throw plainFailure(`map: ${goText(item)} does not contain declared merge key: ${mergeKey}`);
  return value;
}

/**
 * Items named in `order` come in that order; the others keep the places they had in `server` relative to them.
 * Items of `order` and `server` are compared by merge key, scalars by value.
 */
export function mergeOrder(
  merged: readonly unknown[],
  order: readonly unknown[],
  server: readonly unknown[],
  mergeKey: string | undefined,
): unknown[] {
  const id = (item: unknown) => goText(mergeKey !== undefined && isObject(item) ? item[mergeKey] : item);
  const places = (list: readonly unknown[]) => new Map(list.map((item, i) => [id(item), i]));
  const [wanted, had] = [places(order), places(server)];
  const byPlace = (place: Map<string, number>) => (a: unknown, b: unknown) =>
    (place.get(id(a)) ?? Infinity) - (place.get(id(b)) ?? Infinity) || 0;
  const patched = merged.filter((item) => wanted.has(id(item))).sort(byPlace(wanted));
  const others = merged.filter((item) => !wanted.has(id(item))).sort(byPlace(had));
  const out: unknown[] = [];
  let next = 0;
  for (const item of patched) {
    const place = had.get(id(item));
    if (place !== undefined) {
      while (next < others.length && (had.get(id(others[next])) ?? Infinity) < place) out.push(others[next++]);
    }
    out.push(item);
  }
  return [...out, ...others.slice(next)];
}
