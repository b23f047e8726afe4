// Role: rbac.authorization.k8s.io/v1.

import type { Role as RoleObject } from '../../generated/rbac-v1.ts';
import { defineKind } from '../../kind.ts';

export type Role = RoleObject;

export const Role = defineKind<RoleObject>({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind: 'Role',
  plural: 'roles',
  namespaced: true,
  names: 'path',
});
