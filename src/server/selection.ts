// Which objects a list, watch or deletecollection is about: label and field selectors, compiled into one predicate and
// the narrowest part of the cache that can hold matches.

import { badRequest } from '../api/errors.ts';
import { ALL_FIELDS, parseFieldSelector, type FieldSelector } from '../api/field-selectors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import type { ApiOp } from '../api/op.ts';
import { EVERYTHING, parseSelector, type Selector } from '../api/selectors.ts';
import { INDEXED_FIELD, type Storage } from './caches.ts';
import { formOf } from './forms.ts';

export interface Selection {
  /** The cache scope, and the index value within it. */
  readonly scope: string;
  readonly indexed: string | undefined;
  /** True for stored objects that are asked for; undefined when all in the scope are. */
  readonly matches: ((stored: KubeObject) => boolean) | undefined;
}

/** Throws BadRequest for selectors that cannot be parsed or name fields the kind does not offer. */
export function selectionOf(op: ApiOp, kind: AnyKind, storage: Storage): Selection {
  const labels = parse(parseSelector, op.options.labelSelector, EVERYTHING);
  const fields = parse(parseFieldSelector, op.options.fieldSelector, ALL_FIELDS);
  for (const { field } of fields.terms) checkField(kind, field);
  const name = op.name ?? fields.exactValue('metadata.name');
  const namespace = op.namespace ?? (kind.namespaced ? fields.exactValue('metadata.namespace') : undefined);
  const indexed = INDEXED_FIELD[kind.resource];
  return {
    scope: storage.scope(namespace || undefined, name || undefined),
    indexed: (indexed && fields.exactValue(indexed)) || undefined,
    matches: predicate(kind, labels, fields, op.name),
  };
}

function predicate(
  kind: AnyKind,
  labels: Selector,
  fields: FieldSelector,
  name: string | undefined,
): ((stored: KubeObject) => boolean) | undefined {
  if (labels.isEmpty && fields.isEmpty && name === undefined) return undefined;
  return (stored) => {
    if (name !== undefined && stored.metadata.name !== name) return false;
    if (!labels.matches(stored.metadata.labels)) return false;
    if (fields.isEmpty) return true;
    const object = formOf(kind, stored);
    return fields.matchesWith((field) => fieldOf(kind, field, object));
  };
}

function fieldOf(kind: AnyKind, field: string, object: KubeObject): string {
  if (field === 'metadata.name') return object.metadata.name;
  if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
  return kind.selectableFields?.[field]?.(object) ?? '';
}

function checkField(kind: AnyKind, field: string): void {
  if (field === 'metadata.name' || field === 'metadata.namespace') return;
  if (kind.selectableFields?.[field]) return;
  if (kind.selectableFields || kind.schema.name === '') throw badRequest(`field label not supported: ${field}`);
  throw badRequest(
    `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
  );
}

function parse<T>(parser: (text: string) => T, text: string | undefined, none: T): T {
  if (!text) return none;
  try {
    return parser(text);
  } catch (error) {
    throw badRequest((error as Error).message);
  }
}
