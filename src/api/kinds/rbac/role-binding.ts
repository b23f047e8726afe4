// RoleBinding: rbac.authorization.k8s.io/v1.

import type { RoleBinding as RoleBindingObject } from '../../generated/rbac-v1.ts';
import { defineKind } from '../../kind.ts';
import { bindingColumns, bindingRow, defaultBinding, GROUP, validateBinding, validateRoleRefUpdate } from './common.ts';

export type RoleBinding = RoleBindingObject;

export const RoleBinding = defineKind<RoleBindingObject>({
  group: GROUP,
  version: 'v1',
  kind: 'RoleBinding',
  plural: 'rolebindings',
  namespaced: true,
  names: 'path',
  createOnUpdate: true,

  default: defaultBinding,
  validate: (binding) => validateBinding(binding, ['Role', 'ClusterRole'], true),
  validateUpdate: validateRoleRefUpdate,
  columns: bindingColumns,
  row: bindingRow,
});
