// Strategic merge patch: a merge patch that knows from the schema how lists merge, with directives in the patch:
// `$patch`, `$retainKeys`, `$deleteFromPrimitiveList/x` and `$setElementOrder/x`.
// https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md

import { badRequest } from './errors.ts';
import { getKey, goText, isObject, plainFailure, setKey, without, type JsonObject } from './json-values.ts';
import { cleanPatch, DELETE_LIST, ELEMENT_ORDER, fieldBehind, PATCH, RETAIN_KEYS } from './strategic-directives.ts';
import { deleteScalars, mergeMaps, mergeOrder, mergeScalars } from './strategic-lists.ts';
import type { StructNode, TypeNode } from './schema.ts';
import { describe } from './typed-context.ts';

type Merge = (original: JsonObject, patch: JsonObject, type: TypeNode | undefined) => JsonObject;

/**
 * The patched object; what the patch leaves alone is shared with `original`. Neither argument changes.
 * Throws BadRequest for a patch in a wrong form, a 500 for one that does not fit the schema.
 */
export function applyStrategicMerge(original: JsonObject, patch: unknown, struct: StructNode): JsonObject {
  if (isObject(patch)) return mergeObject(original, patch, struct);
  const what = patch === null ? 'null' : describe(patch);
  throw badRequest(
    `error decoding patch: json: cannot unmarshal ${what} into Go value of type map[string]interface {}`,
  );
}

const mergeObject: Merge = (original, patch, type) => {
  const directive = patch[PATCH];
  if (directive === 'replace') return cleanPatch(without(patch, (key) => key === PATCH)) as JsonObject;
  if (directive === 'delete') return {};
  if (directive !== undefined) throw plainFailure(`unknown patch type: ${goText(directive)} in map: ${goText(patch)}`);
  const out = without(retain(original, patch), () => false);
  const ordered = applyElementOrders(out, patch, type);
  for (const key in patch) {
    const value = patch[key];
    if (key === RETAIN_KEYS || key.startsWith(ELEMENT_ORDER) || ordered.has(key)) continue;
    if (key.startsWith(DELETE_LIST)) deleteFromList(out, key, value);
    else if (value === null || value === undefined) delete out[key];
    else setKey(out, key, mergeValue(getKey(out, key), value, key, type));
  }
  return out;
};

/** What a field or map entry below `type` is, and how it merges. */
function childOf(
  type: TypeNode | undefined,
  key: string,
): { type: TypeNode | undefined; strategies: readonly string[] } {
  if (type?.node === 'map') return { type: type.values, strategies: [] };
  if (type?.node !== 'struct') return { type: undefined, strategies: [] };
  const field = type.fields.get(key);
  if (!field) {
    const struct = type.name.slice(type.name.lastIndexOf('.') + 1);
    throw plainFailure(`unable to find api field in struct ${struct} for the json field ${JSON.stringify(key)}`);
  }
  return { type: field.type, strategies: field.patchStrategy };
}

function mergeValue(original: unknown, patch: unknown, key: string, type: TypeNode | undefined): unknown {
  if (isObject(original) && isObject(patch)) {
    const child = childOf(type, key);
    return child.strategies.includes('replace') ? cleanPatch(patch) : mergeObject(original, patch, child.type);
  }
  if (Array.isArray(original) && Array.isArray(patch)) return mergeList(original, patch, childOf(type, key).type);
  return cleanPatch(patch);
}

function mergeList(original: readonly unknown[], patch: readonly unknown[], type: TypeNode | undefined): unknown[] {
  if (type?.node !== 'list' || !type.patchStrategy.includes('merge')) return cleanPatch([...patch]) as unknown[];
  if (original.length === 0 && patch.length === 0) return [];
  const first = original[0] ?? patch[0];
  if (Array.isArray(first)) throw plainFailure('lists of lists are not supported');
  if (!isObject(first)) return mergeScalars(original, patch);
  if (type.mergeKey === undefined) {
    const name = type.items.node === 'struct' ? type.items.name : '';
    throw plainFailure(`cannot merge lists without merge key for ${name}`);
  }
  return mergeMaps(original, patch, type.mergeKey, (a, b) => mergeObject(a, b, type.items));
}

/** `$retainKeys`: the original's fields that stay. */
function retain(original: JsonObject, patch: JsonObject): JsonObject {
  const list = patch[RETAIN_KEYS];
  if (list === undefined) return original;
  const wrong = () => badRequest('invalid patch format of retainKeys');
  if (!Array.isArray(list)) throw wrong();
  const keep = new Set(list as unknown[]);
  for (const key in patch) {
    if (key.startsWith('$') || patch[key] === null || keep.has(key)) continue;
    throw wrong();
  }
  return without(original, (key) => !keep.has(key));
}

function deleteFromList(out: JsonObject, directive: string, value: unknown): void {
  const key = fieldBehind(directive, DELETE_LIST);
  if (!Array.isArray(value)) throw badRequest('invalid patch format of primitive list');
  const list = getKey(out, key);
  if (Array.isArray(list)) setKey(out, key, deleteScalars(list, value));
}

/** `$setElementOrder`: merges these lists and puts them in the order the patch asks for. Answers the merged fields. */
function applyElementOrders(out: JsonObject, patch: JsonObject, type: TypeNode | undefined): Set<string> {
  const done = new Set<string>();
  for (const directive in patch) {
    if (!directive.startsWith(ELEMENT_ORDER)) continue;
    const key = fieldBehind(directive, ELEMENT_ORDER);
    const order = patch[directive];
    if (!Array.isArray(order)) throw badRequest('invalid patch format of setElementOrder list');
    const [before, changes] = [getKey(out, key), getKey(patch, key)];
    // The list is deleted or replaced as a whole; there is nothing to order.
    if (changes === null || (changes !== undefined && !Array.isArray(changes))) continue;
    const original = Array.isArray(before) ? before : undefined;
    if (!original && !changes) continue;
    const { type: listType } = childOf(type, key);
    const merged =
      original && changes ? mergeList(original, changes, listType) : (original ?? cleanPatch([...changes!]));
    const mergeKey = listType?.node === 'list' ? listType.mergeKey : undefined;
    setKey(out, key, mergeOrder(merged as unknown[], order, original ?? [], mergeKey));
    done.add(key);
  }
  return done;
}
