// ClusterRole: rbac.authorization.k8s.io/v1.

import type { ClusterRole as ClusterRoleObject } from '../../generated/rbac-v1.ts';
import { defineKind } from '../../kind.ts';

export type ClusterRole = ClusterRoleObject;

export const ClusterRole = defineKind<ClusterRoleObject>({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind: 'ClusterRole',
  plural: 'clusterroles',
  namespaced: false,
  names: 'path',
});
