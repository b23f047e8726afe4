// ControllerRevision: apps/v1. One state of a DaemonSet or StatefulSet; it never changes.

import { field } from '../../errors.ts';
import type { ControllerRevision as ControllerRevisionObject } from '../../generated/apps-v1.ts';
import { defineKind } from '../../kind.ts';
import { controllerOf, splitApiVersion } from '../../object.ts';
import { type Errors, notNegative } from '../../validate/checks.ts';
import { validateImmutable } from '../../validate/object-meta.ts';
import { AGE, ageOf, integer, NAME, NONE, text } from '../columns.ts';

export type ControllerRevision = ControllerRevisionObject;

export const ControllerRevision = defineKind<ControllerRevisionObject>({
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  namespaced: true,

  validate({ data, revision }) {
    const out: Errors = [];
    if (data === undefined || data === null) out.push(field.required('data', 'data is mandatory'));
    notNegative(revision, 'revision', out);
    return out;
  },
  validateUpdate(revision, old) {
    const out: Errors = [];
    validateImmutable(revision.data, old.data, 'data', out);
    return out;
  },

  columns: [NAME, text('Controller', 'Whose state this is.'), integer('Revision', 'The number of the state.'), AGE],
  row(revision, now) {
    return [revision.metadata.name, controllerText(revision), revision.revision, ageOf(revision, now)];
  },
});

/** `statefulset.apps/web`. */
function controllerText(revision: ControllerRevisionObject): string {
  const owner = controllerOf(revision);
  if (!owner) return NONE;
  const [group] = splitApiVersion(owner.apiVersion);
  return `${owner.kind.toLowerCase()}${group ? `.${group}` : ''}/${owner.name}`;
}
