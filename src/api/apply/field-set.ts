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
  /** Added or modified. */
  readonly changed: FieldTree | undefined;
  readonly removed: FieldTree | undefined;
}

/** Fields to leave out: `true`, or what to leave out below. */
export interface SkipFields {
  readonly [field: string]: true | SkipFields;
}

/** Set while looking for changes when something turns out to be gone, which is rare enough for a look of its own. */
let sawRemoval = false;

/** Parts that are the same object on both sides are not looked at, so what an update leaves alone costs nothing. */
export function differences(type: MaybeType, before: unknown, after: unknown, skip?: SkipFields): Differences {
  const [a, b] = [fieldsOf(before) ?? {}, fieldsOf(after) ?? {}];
  sawRemoval = false;
  const changed = changedFields(type, a, b, skip);
  return { changed, removed: sawRemoval ? removedFields(type, a, b, skip) : undefined };
}

const has = (fields: JsonObject, key: string) => Object.hasOwn(fields, key) && fields[key] !== undefined;

function changedFields(type: MaybeType, a: JsonObject, b: JsonObject, skip?: SkipFields): FieldTree | undefined {
  let out: Building | undefined;
  for (const key in b) {
    const after = b[key];
    const before = Object.hasOwn(a, key) ? a[key] : undefined;
    if (before === after || after === undefined) continue;
    const skipped = skip?.[key];
    if (skipped === true) continue;
    const child = childType(type, key);
    const inner = before === undefined ? wholeTree(child, after) : changedNode(child, before, after, skipped);
    if (inner) (out ??= {})[fieldElement(key)] = inner;
  }
  if (!sawRemoval)
    for (const key in a) if (a[key] !== undefined && !has(b, key) && skip?.[key] !== true) sawRemoval = true;
  return out;
}

/** Both values are there. */
function changedNode(type: MaybeType, a: unknown, b: unknown, skip?: SkipFields): FieldTree | undefined {
  const [items, fields] = partsOf(type, a, b);
  if (items) return changedItems(items.list, items.a, items.b);
  if (fields) return changedFields(type, fields.a, fields.b, skip);
  return sameJson(a, b) ? undefined : EMPTY;
}

type Pair<T> = { readonly a: T; readonly b: T };

/** How to look into two values: as items, as fields, or, where neither is there, as wholes. */
function partsOf(
  type: MaybeType,
  a: unknown,
  b: unknown,
): [items?: Pair<readonly unknown[]> & { readonly list: ListNode }, fields?: Pair<JsonObject>] {
  const list = mergingList(type);
  if (list) {
    const [left, right] = [itemsOf(a), itemsOf(b)];
    if (left && right && left.length + right.length > 0) return [{ list, a: left, b: right }];
  } else if (mergesFields(type)) {
    const [left, right] = [fieldsOf(a), fieldsOf(b)];
    if (left && right && !(isEmptyObject(left) && isEmptyObject(right))) return [undefined, { a: left, b: right }];
  }
  return [];
}

function changedItems(list: ListNode, a: readonly unknown[], b: readonly unknown[]): FieldTree | undefined {
  let out: Building | undefined;
  if (inSamePlaces(list, a, b)) {
    for (let i = 0; i < b.length; i++) {
      const inner = a[i] === b[i] ? undefined : changedNode(list.items, a[i], b[i]);
      const element = inner && itemElement(list, b[i]);
      if (inner && element !== undefined) (out ??= {})[element] = inner;
    }
    return out;
  }
  const before = byElement(list, a);
  const after = byElement(list, b);
  for (const [element, items] of after) {
    const old = before.get(element);
    let inner: FieldTree | undefined;
    if (!old) inner = wholeTree(list.items, items[0]);
    else if (old.length > 1 || items.length > 1) inner = sameJson(old, items) ? undefined : EMPTY;
    else if (old[0] !== items[0]) inner = changedNode(list.items, old[0], items[0]);
    if (inner) (out ??= {})[element] = inner;
  }
  for (const element of before.keys()) if (!after.has(element)) sawRemoval = true;
  return out;
}

function removedFields(type: MaybeType, a: JsonObject, b: JsonObject, skip?: SkipFields): FieldTree | undefined {
  let out: Building | undefined;
  for (const key in a) {
    const before = a[key];
    const skipped = skip?.[key];
    if (before === undefined || skipped === true) continue;
    const child = childType(type, key);
    const after = has(b, key) ? b[key] : undefined;
    if (before === after) continue;
    const inner = after === undefined ? wholeTree(child, before) : removedNode(child, before, after, skipped);
    if (inner) (out ??= {})[fieldElement(key)] = inner;
  }
  return out;
}

function removedNode(type: MaybeType, a: unknown, b: unknown, skip?: SkipFields): FieldTree | undefined {
  const [items, fields] = partsOf(type, a, b);
  if (items) return removedItems(items.list, items.a, items.b);
  return fields && removedFields(type, fields.a, fields.b, skip);
}

function removedItems(list: ListNode, a: readonly unknown[], b: readonly unknown[]): FieldTree | undefined {
  let out: Building | undefined;
  const after = byElement(list, b);
  for (const [element, items] of byElement(list, a)) {
    const still = after.get(element);
    let inner: FieldTree | undefined;
    if (!still) inner = wholeTree(list.items, items[0]);
    else if (items.length === 1 && still.length === 1 && items[0] !== still[0])
      inner = removedNode(list.items, items[0], still[0]);
    if (inner) (out ??= {})[element] = inner;
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
