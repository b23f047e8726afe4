// Role: rbac.authorization.k8s.io/v1.

import type { Role as RoleObject } from '../../generated/rbac-v1.ts';
import { defineKind } from '../../kind.ts';
import type { Errors } from '../../validate/checks.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { GROUP, roleColumns, validateRules } from './common.ts';

export type Role = RoleObject;

export const Role = defineKind<RoleObject>({
  group: GROUP,
  version: 'v1',
  kind: 'Role',
  plural: 'roles',
  namespaced: true,
  names: 'path',
  createOnUpdate: true,

  validate({ metadata, rules }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    validateRules(rules, true, out);
    return out;
  },
  columns: roleColumns,
  row: ({ metadata }) => [metadata.name, metadata.creationTimestamp],
});
