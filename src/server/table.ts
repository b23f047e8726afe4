// Tables: what `kubectl get` prints. The kind says its columns and makes the cells; kinds that say nothing show name and age.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables

import type { AnyKind, Cell, Column } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import type { TableColumn, Tables } from './http-exchange.ts';

const DEFAULT_COLUMNS: readonly Column[] = [
  { name: 'Name', type: 'string', format: 'name', description: 'Name must be unique within a namespace.' },
  { name: 'Created At', type: 'date', description: 'When the object was created.' },
];

function toTableColumn(column: Column): TableColumn {
  const { name, type, format = '', description = '', priority = 0 } = column;
  return { name, type, format, description, priority };
}

const columnsOf = new WeakMap<readonly Column[], readonly TableColumn[]>();

export const tables: Tables = {
  columns(kind: AnyKind): readonly TableColumn[] {
    const columns = kind.row && kind.columns ? kind.columns : DEFAULT_COLUMNS;
    let made = columnsOf.get(columns);
    if (!made) columnsOf.set(columns, (made = columns.map(toTableColumn)));
    return made;
  },
  cells(kind: AnyKind, object: KubeObject, now: number): readonly Cell[] {
    return kind.row && kind.columns ? kind.row(object, now) : [object.metadata.name, object.metadata.creationTimestamp];
  },
};
