// ClusterRoleBinding: rbac.authorization.k8s.io/v1.

import type { ClusterRoleBinding as ClusterRoleBindingObject } from '../../generated/rbac-v1.ts';
import { defineKind } from '../../kind.ts';
import { bindingColumns, bindingRow, defaultBinding, GROUP, validateBinding, validateRoleRefUpdate } from './common.ts';

export type ClusterRoleBinding = ClusterRoleBindingObject;

export const ClusterRoleBinding = defineKind<ClusterRoleBindingObject>({
  group: GROUP,
  version: 'v1',
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  namespaced: false,
  names: 'path',
  createOnUpdate: true,

  default: defaultBinding,
  validate: (binding) => validateBinding(binding, ['ClusterRole'], false),
  validateUpdate: validateRoleRefUpdate,
  columns: bindingColumns,
  row: bindingRow,
});
