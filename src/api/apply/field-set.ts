// The fields a value has (what an applied configuration owns), and what differs between two values.

import type { JsonObject } from '../json-values.ts';
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

/** What differs between two values. Each part is a set of paths; nothing of it, undefined. */
export interface Differences {
  added: FieldTree | undefined;
  modified: FieldTree | undefined;
  removed: FieldTree | undefined;
}
type Part = keyof Differences;

const none = (): Differences => ({ added: undefined, modified: undefined, removed: undefined });

function put(into: Differences, part: Part, element: string, node: FieldTree): void {
  const tree = (into[part] ??= {}) as Building;
  tree[element] = node;
}

/** Skips the same parts by identity, so what an update leaves alone costs nothing. */
export function differences(type: MaybeType, before: unknown, after: unknown, skip?: SkipFields): Differences {
  const into = none();
  diffFields(type, fieldsOf(before) ?? {}, fieldsOf(after) ?? {}, into, skip);
  return into;
}

/** Fields to leave out: `true`, or what to leave out below. */
export interface SkipFields {
  readonly [field: string]: true | SkipFields;
}

function diffFields(type: MaybeType, a: JsonObject, b: JsonObject, into: Differences, skip?: SkipFields): void {
  for (const key in b) {
    const skipped = skip?.[key];
    if (skipped === true) continue;
    const after = b[key];
    const before = Object.hasOwn(a, key) ? a[key] : undefined;
    if (before !== after) diffNode(childType(type, key), before, after, fieldElement(key), into, skipped);
  }
  for (const key in a) {
    if (skip?.[key] === true || a[key] === undefined || (Object.hasOwn(b, key) && b[key] !== undefined)) continue;
    put(into, 'removed', fieldElement(key), wholeTree(childType(type, key), a[key]));
  }
}

function diffNode(
  type: MaybeType,
  a: unknown,
  b: unknown,
  element: string,
  into: Differences,
  skip?: SkipFields,
): void {
  if (b === undefined) return;
  if (a === undefined) return put(into, 'added', element, wholeTree(type, b));
  const list = mergingList(type);
  const inner = none();
  if (list) {
    const [left, right] = [itemsOf(a), itemsOf(b)];
    if (!left || !right || left.length + right.length === 0) return diffLeaf(a, b, element, into);
    diffItems(list, left, right, inner);
  } else {
    const [left, right] = mergesFields(type) ? [fieldsOf(a), fieldsOf(b)] : [];
    if (!left || !right || (isEmptyObject(left) && isEmptyObject(right))) return diffLeaf(a, b, element, into);
    diffFields(type, left, right, inner, skip);
  }
  if (inner.added) put(into, 'added', element, inner.added);
  if (inner.modified) put(into, 'modified', element, inner.modified);
  if (inner.removed) put(into, 'removed', element, inner.removed);
}

function diffLeaf(a: unknown, b: unknown, element: string, into: Differences): void {
  if (!sameJson(a, b)) put(into, 'modified', element, EMPTY);
}

function diffItems(list: ListNode, a: readonly unknown[], b: readonly unknown[], into: Differences): void {
  const before = byElement(list, a);
  const after = byElement(list, b);
  for (const [element, items] of after) {
    const old = before.get(element);
    if (!old) put(into, 'added', element, wholeTree(list.items, items[0]));
    else if (old.length === 1 && items.length === 1) {
      if (old[0] !== items[0]) diffNode(list.items, old[0], items[0], element, into);
    } else diffLeaf(old, items, element, into);
  }
  for (const [element, items] of before) {
    if (!after.has(element)) put(into, 'removed', element, wholeTree(list.items, items[0]));
  }
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
