// How a value merges: as one piece, as fields, or as items. Undefined types are those the schema says nothing about
// (in custom resources that preserve unknown fields): there objects merge by field, and all else is one piece.

import { isObject, type JsonObject } from '../json-values.ts';
import type { ListNode, TypeNode } from '../schema.ts';

export type MaybeType = TypeNode | undefined;

/** A list whose items merge. */
export const mergingList = (type: MaybeType): ListNode | undefined =>
  type?.node === 'list' && type.listType !== 'atomic' ? type : undefined;

/** Objects of this type merge field by field. */
export const mergesFields = (type: MaybeType): boolean =>
  type === undefined || ((type.node === 'struct' || type.node === 'map') && !type.atomic);

export function childType(type: MaybeType, key: string): MaybeType {
  if (type?.node === 'struct') return type.fields.get(key)?.type;
  return type?.node === 'map' ? type.values : undefined;
}

/** A field the schema names, as opposed to a key of a map. */
export const isNamedField = (type: MaybeType, key: string): boolean => type?.node === 'struct' && type.fields.has(key);

const NO_FIELDS: JsonObject = Object.freeze({});
const NO_ITEMS: readonly unknown[] = Object.freeze([]);

/** The fields of a value that may be null or missing; undefined for one that has no fields. */
export function fieldsOf(value: unknown): JsonObject | undefined {
  if (value === null || value === undefined) return NO_FIELDS;
  return isObject(value) ? value : undefined;
}

export function itemsOf(value: unknown): readonly unknown[] | undefined {
  if (value === null || value === undefined) return NO_ITEMS;
  return Array.isArray(value) ? value : undefined;
}

export function isEmptyObject(object: JsonObject): boolean {
  for (const key in object) if (object[key] !== undefined) return false;
  return true;
}
