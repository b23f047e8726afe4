// RoleBinding: rbac.authorization.k8s.io/v1.

import type { RoleBinding as RoleBindingObject } from '../../generated/rbac-v1.ts';
import { defineKind } from '../../kind.ts';

export type RoleBinding = RoleBindingObject;

export const RoleBinding = defineKind<RoleBindingObject>({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind: 'RoleBinding',
  plural: 'rolebindings',
  namespaced: true,
  names: 'path',
});
