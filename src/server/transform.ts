// Objects in the other forms clients ask for: rows of a Table, or their metadata alone.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources

import { badRequest } from '../api/errors.ts';
import type { AnyKind, Cell } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import type { ListMeta } from '../api/op.ts';
import type { TableColumn } from './http-exchange.ts';
import { tables } from './table.ts';

/** What comes with each row of a Table. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableRequest {
  readonly include: IncludeObject;
  /** Milliseconds since the epoch; ages count from it. */
  readonly now: number;
}

export interface Table {
  readonly kind: 'Table';
  readonly apiVersion: string;
  readonly metadata: Partial<ListMeta>;
  readonly columnDefinitions: readonly TableColumn[] | null;
  readonly rows: readonly { readonly cells: readonly Cell[]; readonly object?: unknown }[];
}

/** Reads the query parameter `includeObject`. Throws BadRequest. */
export function includeObject(query: URLSearchParams | undefined): IncludeObject {
  const value = query?.get('includeObject') || 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw badRequest(
    `includeObject: Invalid value: ${JSON.stringify(value)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

export function partialObject(object: KubeObject, apiVersion: string): KubeObject {
  return { kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata };
}

/** `apiVersion` is that of the Table, as asked for: `meta.k8s.io/v1` or `meta.k8s.io/v1beta1`. */
export function toTable(
  kind: AnyKind,
  objects: readonly KubeObject[],
  metadata: Partial<ListMeta>,
  apiVersion: string,
  request: TableRequest,
): Table {
  const { include, now } = request;
  const embedded = (object: KubeObject) => {
    if (include === 'None') return {};
    return { object: include === 'Object' ? object : partialObject(object, apiVersion) };
  };
  return {
    kind: 'Table',
    apiVersion,
    metadata,
    columnDefinitions: tables.columns(kind),
    rows: objects.map((object) => ({ cells: tables.cells(kind, object, now), ...embedded(object) })),
  };
}

/** A bookmark as a Table: a row without content whose object carries the resource version and annotations. */
export function bookmarkTable(kind: AnyKind, bookmark: KubeObject, apiVersion: string): Table {
  const columnDefinitions = tables.columns(kind);
  const { resourceVersion = '' } = bookmark.metadata;
  const cells = columnDefinitions.map(() => null);
  const rows = [{ cells, object: partialObject(bookmark, apiVersion) }];
  return { kind: 'Table', apiVersion, metadata: { resourceVersion }, columnDefinitions, rows };
}
