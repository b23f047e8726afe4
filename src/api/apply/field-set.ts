// The fields a value has (what an applied configuration owns), and what differs between two values.

import { isObject, type JsonObject } from '../json-values.ts';
import { sameJson } from '../same-json.ts';
import type { ListNode } from '../schema.ts';
import { asMember, EMPTY, isEmptyTree, type FieldTree } from './field-tree.ts';
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

type Building = Record<string, FieldTree>;

/** The fields of a configuration: leaves, keys of maps and items of lists; fields that hold others only through them. */
export const fieldSet = (type: MaybeType, value: unknown): FieldTree => fieldNode(type, value) ?? EMPTY;

function fieldNode(type: MaybeType, value: unknown): FieldTree | undefined {
  const list = mergingList(type);
  if (list && Array.isArray(value)) return itemSet(list, value);
  const fields = mergesFields(type) ? fieldsOf(value) : undefined;
  if (!fields || value === null) return EMPTY;
  const out: Building = {};
  for (const key in fields) {
    const item = fields[key];
    if (item === undefined) continue;
    const child = childType(type, key);
    const node = isEmptyMap(item) ? EMPTY : fieldNode(child, item);
    if (isNamedField(type, key)) {
      if (node) out[fieldElement(key)] = node;
    } else out[fieldElement(key)] = asMember(node ?? EMPTY);
  }
  return isEmptyTree(out) ? undefined : out;
}

const isEmptyMap = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && isEmptyObject(value as JsonObject);

function itemSet(list: ListNode, items: readonly unknown[]): FieldTree | undefined {
  const out: Building = {};
  for (const item of items) {
    const element = itemElement(list, item);
    if (element !== undefined) out[element] = asMember(fieldNode(list.items, item) ?? EMPTY);
  }
  return isEmptyTree(out) ? undefined : out;
}

/** What differs between two values: sets of paths, or of one node what stands below it. Undefined: nothing. */
export interface Differences {
  added: FieldTree | undefined;
  modified: FieldTree | undefined;
  removed: FieldTree | undefined;
}

const NONE: Differences = Object.freeze({ added: undefined, modified: undefined, removed: undefined });
const MODIFIED: Differences = Object.freeze({ ...NONE, modified: EMPTY });

/** Enters what differs in one field or item into the sets of what holds it. */
function enter(into: Differences | undefined, element: string, inner: Differences): Differences {
  const out = into ?? { ...NONE };
  if (inner.added) ((out.added ??= {}) as Building)[element] = inner.added;
  if (inner.modified) ((out.modified ??= {}) as Building)[element] = inner.modified;
  if (inner.removed) ((out.removed ??= {}) as Building)[element] = inner.removed;
  return out;
}

/** Fields to leave out: `true`, or what to leave out below. */
export interface SkipFields {
  readonly [field: string]: true | SkipFields;
}

/** Parts that are the same object on both sides are not looked at, so what an update leaves alone costs nothing. */
export function differences(type: MaybeType, before: unknown, after: unknown, skip?: SkipFields): Differences {
  return diffFields(type, fieldsOf(before) ?? {}, fieldsOf(after) ?? {}, skip) ?? NONE;
}

function diffFields(type: MaybeType, a: JsonObject, b: JsonObject, skip?: SkipFields): Differences | undefined {
  let out: Differences | undefined;
  for (const key in b) {
    const after = b[key];
    const before = Object.hasOwn(a, key) ? a[key] : undefined;
    if (before === after || after === undefined) continue;
    const skipped = skip?.[key];
    if (skipped === true) continue;
    const child = childType(type, key);
    const inner =
      before === undefined ? { ...NONE, added: wholeTree(child, after) } : diffNode(child, before, after, skipped);
    if (inner) out = enter(out, fieldElement(key), inner);
  }
  for (const key in a) {
    if (a[key] === undefined || (Object.hasOwn(b, key) && b[key] !== undefined) || skip?.[key] === true) continue;
    out = enter(out, fieldElement(key), { ...NONE, removed: wholeTree(childType(type, key), a[key]) });
  }
  return out;
}

/** Both values are there. */
function diffNode(type: MaybeType, a: unknown, b: unknown, skip?: SkipFields): Differences | undefined {
  const list = mergingList(type);
  if (list) {
    const [left, right] = [itemsOf(a), itemsOf(b)];
    if (left && right && left.length + right.length > 0) return diffItems(list, left, right);
  } else if (mergesFields(type)) {
    const [left, right] = [fieldsOf(a), fieldsOf(b)];
    if (left && right && !(isEmptyObject(left) && isEmptyObject(right))) return diffFields(type, left, right, skip);
  }
  return sameJson(a, b) ? undefined : MODIFIED;
}

function diffItems(list: ListNode, a: readonly unknown[], b: readonly unknown[]): Differences | undefined {
  let out: Differences | undefined;
  if (inSamePlaces(list, a, b)) {
    for (let i = 0; i < b.length; i++) {
      const inner = a[i] === b[i] ? undefined : diffNode(list.items, a[i], b[i]);
      const element = inner && itemElement(list, b[i]);
      if (inner && element !== undefined) out = enter(out, element, inner);
    }
    return out;
  }
  const before = byElement(list, a);
  const after = byElement(list, b);
  for (const [element, items] of after) {
    const old = before.get(element);
    let inner: Differences | undefined;
    if (!old) inner = { ...NONE, added: wholeTree(list.items, items[0]) };
    else if (old.length > 1 || items.length > 1) inner = sameJson(old, items) ? undefined : MODIFIED;
    else if (old[0] !== items[0]) inner = diffNode(list.items, old[0], items[0]);
    if (inner) out = enter(out, element, inner);
  }
  for (const [element, items] of before) {
    if (!after.has(element)) out = enter(out, element, { ...NONE, removed: wholeTree(list.items, items[0]) });
  }
  return out;
}

/** Most updates change items where they stand; then nobody needs their elements. */
function inSamePlaces(list: ListNode, a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < b.length; i++) {
    const [left, right] = [a[i], b[i]];
    if (left === right) continue;
    if (list.listType === 'set' || !isObject(left) || !isObject(right)) return false;
    for (const key of list.listMapKeys) if (left[key] !== right[key]) return false;
  }
  return true;
}

/** Items that share their keys, which only broken lists have, stand together. */
function byElement(list: ListNode, items: readonly unknown[]): Map<string, unknown[]> {
  const map = new Map<string, unknown[]>();
  for (const item of items) {
    const element = itemElement(list, item);
    if (element === undefined) continue;
    const same = map.get(element);
    if (same) same.push(item);
    else map.set(element, [item]);
  }
  return map;
}

/** Every path of a value that is there on one side only, its own included. */
function wholeTree(type: MaybeType, value: unknown): FieldTree {
  const out: Building = {};
  const list = mergingList(type);
  if (list && Array.isArray(value)) {
    for (const item of value as unknown[]) {
      const element = itemElement(list, item);
      if (element !== undefined) out[element] = wholeTree(list.items, item);
    }
  } else if (mergesFields(type) && !Array.isArray(value)) {
    const fields = fieldsOf(value) ?? {};
    for (const key in fields) {
      const item = fields[key];
      if (item !== undefined) out[fieldElement(key)] = wholeTree(childType(type, key), item);
    }
  }
  return asMember(out);
}
