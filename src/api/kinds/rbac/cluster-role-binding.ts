// ClusterRoleBinding: rbac.authorization.k8s.io/v1.

import type { ClusterRoleBinding as ClusterRoleBindingObject } from '../../generated/rbac-v1.ts';
import { defineKind } from '../../kind.ts';

export type ClusterRoleBinding = ClusterRoleBindingObject;

export const ClusterRoleBinding = defineKind<ClusterRoleBindingObject>({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  namespaced: false,
  names: 'path',
});
