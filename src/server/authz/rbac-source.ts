// Roles and bindings out of the server's own watch caches.

import type { ClusterRole as ClusterRoleObject } from '../../api/generated/rbac-v1.ts';
import type { AnyKind } from '../../api/kind.ts';
import type { KubeObject } from '../../api/object.ts';
import { ClusterRoleBinding } from '../../api/kinds/rbac/cluster-role-binding.ts';
import { ClusterRole } from '../../api/kinds/rbac/cluster-role.ts';
import { RoleBinding } from '../../api/kinds/rbac/role-binding.ts';
import { Role } from '../../api/kinds/rbac/role.ts';
import type { Caches } from '../caches.ts';
import type { RbacSource } from './rbac.ts';

/** `ready` resolves once the caches hold what the store holds; before, nothing is allowed by RBAC. */
export function rbacSource(caches: Caches): RbacSource & { readonly ready: Promise<void> } {
  let generation = 0;
  const listen = (kind: AnyKind) => {
    const { cache, prefix } = caches.of(kind);
    const start = () => {
      generation++;
      cache.watch(prefix, cache.revision, { events: () => void generation++, closed: () => {} });
    };
    return cache.ready.then(start);
  };
  const ready = Promise.all([ClusterRole, ClusterRoleBinding, Role, RoleBinding].map((kind) => listen(kind)));
  // A server that closes before it has begun: whoever awaits `ready` is told, nobody else needs to be.
  ready.catch(() => {});
  const get = <T extends KubeObject>(kind: AnyKind, namespace: string | undefined, name: string) =>
    caches.of(kind).get(namespace, name) as T | undefined;
  const list = <T extends KubeObject>(kind: AnyKind, namespace?: string) => {
    const storage = caches.of(kind);
    return storage.cache.list(storage.scope(namespace)) as unknown as readonly T[];
  };
  return {
    ready: ready as Promise<unknown> as Promise<void>,
    generation: () => generation,
    clusterRole: (name) => get<ClusterRoleObject>(ClusterRole, undefined, name),
    role: (namespace, name) => get<Role>(Role, namespace, name),
    clusterRoleBindings: () => list<ClusterRoleBinding>(ClusterRoleBinding),
    roleBindings: (namespace) => list<RoleBinding>(RoleBinding, namespace),
  };
}
