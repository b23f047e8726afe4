// Merging an applied configuration into the live object, and taking out what its manager gave up.

import { getKey, setKey, type JsonObject } from '../json-values.ts';
import type { ListNode } from '../schema.ts';
import { EMPTY, isMember, type FieldTree } from './field-tree.ts';
import { fieldElement, itemElement } from './path-element.ts';
import {
  childType,
  fieldsOf,
  isEmptyObject,
  isNamedField,
  itemsOf,
  mergesFields,
  mergingList,
  type MaybeType,
} from './shape.ts';

/** The live value with the applied one merged in; the applied one wins. Neither changes. */
export function mergeApplied(type: MaybeType, live: unknown, applied: unknown): unknown {
  if (applied === undefined) return live;
  if (live === undefined) return applied;
  const list = mergingList(type);
  if (list) {
    const [left, right] = [itemsOf(live), itemsOf(applied)];
    return left && right && left.length + right.length > 0 ? mergeItems(list, left, right) : applied;
  }
  const [left, right] = mergesFields(type) ? [fieldsOf(live), fieldsOf(applied)] : [];
  if (!left || !right || (isEmptyObject(left) && isEmptyObject(right))) return applied;
  const out: JsonObject = {};
  for (const key in left) setKey(out, key, mergeApplied(childType(type, key), left[key], getKey(right, key)));
  for (const key in right) if (!Object.hasOwn(left, key)) setKey(out, key, right[key]);
  return out;
}

/**
 * The applied items in the order they are applied in; live items that are not applied keep their place before the
 * applied item they stand before.
 */
function mergeItems(list: ListNode, live: readonly unknown[], applied: readonly unknown[]): unknown[] {
  const leftElements = live.map((item) => itemElement(list, item));
  const rightElements = applied.map((item) => itemElement(list, item));
  const leftBy = new Map(live.map((item, i) => [leftElements[i], item]).reverse() as [string | undefined, unknown][]);
  const wanted = new Set(rightElements);
  const shared = rightElements.filter((element) => leftBy.has(element));
  const merged = new Set<string | undefined>();
  const out: unknown[] = [];
  let next = 0;
  const takeApplied = (r: number) => {
    const element = rightElements[r];
    merged.add(element);
    out.push(mergeApplied(list.items, leftBy.get(element), applied[r]));
    if (shared[next] === element) next++;
  };
  let l = 0;
  let r = 0;
  while (l < live.length || r < applied.length) {
    const element = leftElements[l];
    if (l < live.length && !wanted.has(element)) out.push(live[l++]);
    else if (l < live.length && merged.has(element)) l++;
    else if (l < live.length && r < applied.length && element !== rightElements[r] && shared[next] !== element) l++;
    else if (r < applied.length) {
      if (element === rightElements[r]) l++;
      takeApplied(r++);
    } else l++;
  }
  return out;
}

/** The value without the items and fields of a set; a field that becomes empty that way is null, as for upstream. */
export function removeFields(type: MaybeType, value: unknown, set: FieldTree): unknown {
  const list = mergingList(type);
  if (list && Array.isArray(value)) {
    const kept: unknown[] = [];
    for (const item of value as unknown[]) {
      const rest = removeNode(list.items, item, set[itemElement(list, item) ?? '']);
      if (rest !== undefined && rest !== null) kept.push(rest);
    }
    return kept.length ? kept : null;
  }
  const fields = mergesFields(type) && value !== null ? fieldsOf(value) : undefined;
  if (!fields) return value;
  const out: JsonObject = {};
  for (const key in fields) {
    const rest = removeNode(childType(type, key), fields[key], set[fieldElement(key)]);
    if (rest !== undefined) setKey(out, key, rest);
  }
  return isEmptyObject(out) ? null : out;
}

function removeNode(type: MaybeType, value: unknown, node: FieldTree | undefined): unknown {
  if (!node) return value;
  return isMember(node) ? undefined : removeFields(type, value, node);
}

/** The set with the named fields its paths run through: `.a.b.c` makes the struct field `a` a member, not a map's key. */
export function withNamedFields(type: MaybeType, set: FieldTree): FieldTree {
  const list = mergingList(type);
  const out: Record<string, FieldTree> = {};
  for (const element in set) {
    if (element === '.') {
      out[element] = EMPTY;
      continue;
    }
    const name = element.startsWith('f:') ? element.slice(2) : undefined;
    const child = name === undefined ? list?.items : childType(type, name);
    const node = withNamedFields(child, set[element]!);
    out[element] = name !== undefined && isNamedField(type, name) && !isMember(node) ? { '.': EMPTY, ...node } : node;
  }
  return out;
}
