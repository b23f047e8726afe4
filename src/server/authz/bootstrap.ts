// Writes the default roles and bindings when the server starts: missing ones are made, and roles that may be updated by the
// system get the rules and subjects they lack. Nothing a user added is taken away.

import type {
  ClusterRole as ClusterRoleObject,
  ClusterRoleBinding as BindingObject,
  PolicyRule,
  Subject,
} from '../../api/generated/rbac-v1.ts';
import type { AnyKind } from '../../api/kind.ts';
import { aggregatedRules } from '../../api/kinds/rbac/aggregation.ts';
import { ClusterRoleBinding } from '../../api/kinds/rbac/cluster-role-binding.ts';
import { ClusterRole } from '../../api/kinds/rbac/cluster-role.ts';
import { RoleBinding } from '../../api/kinds/rbac/role-binding.ts';
import { Role } from '../../api/kinds/rbac/role.ts';
import type { Draft, KubeObject } from '../../api/object.ts';
import { sameJson } from '../../api/same-json.ts';
import { ensureObject } from '../ensure.ts';
import type { ApiServer } from '../pipeline.ts';
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from './bootstrap-policy.ts';

const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate';

export interface BootstrapRoles {
  /** Of controllers, derived from their definitions. */
  readonly clusterRoles?: readonly Draft<ClusterRoleObject>[];
  readonly clusterRoleBindings?: readonly Draft<BindingObject>[];
}

/** The namespaces kube-system and kube-public must exist. */
export async function bootstrapRbac(server: ApiServer, more: BootstrapRoles = {}): Promise<void> {
  const all: [AnyKind, Draft<KubeObject>][] = [
    ...[...clusterRoleBindings, ...(more.clusterRoleBindings ?? [])].map((o): [AnyKind, Draft<KubeObject>] => [
      ClusterRoleBinding,
      o,
    ]),
    ...roles.map((o): [AnyKind, Draft<KubeObject>] => [Role, o]),
    ...roleBindings.map((o): [AnyKind, Draft<KubeObject>] => [RoleBinding, o]),
  ];
  await Promise.all([
    ...withAggregates([...clusterRoles, ...(more.clusterRoles ?? [])]).map((role) => ensure(server, ClusterRole, role)),
    ...all.map(([kind, object]) => ensure(server, kind, object)),
  ]);
}

/**
 * A new cluster's aggregated roles are made complete, so that they hold from the first moment and nobody writes them
 * thrice; later they are the controller's.
 */
function withAggregates(all: readonly Draft<ClusterRoleObject>[]): readonly Draft<ClusterRoleObject>[] {
  for (;;) {
    const next = all.map((role) => (role.aggregationRule ? { ...role, rules: aggregatedRules(role, all) } : role));
    if (sameJson(next, all)) return all;
    all = next;
  }
}

function ensure(server: ApiServer, kind: AnyKind, wanted: Draft<KubeObject>): Promise<unknown> {
  return ensureObject<KubeObject>(server, kind, wanted, (existing) => {
    if (existing.metadata.annotations?.[AUTOUPDATE] !== 'true' || 'aggregationRule' in wanted) return undefined;
    return withMissing(existing, wanted as Grants);
  });
}

interface Grants {
  rules?: PolicyRule[];
  subjects?: Subject[];
}

/** The existing object with what it lacks, or undefined when it lacks nothing. */
function withMissing(existing: KubeObject & Grants, wanted: Grants): KubeObject | undefined {
  const lacking = <T>(have: readonly T[] | undefined, want: readonly T[] | undefined) => {
    const known = new Set((have ?? []).map((item) => canonical(item)));
    return (want ?? []).filter((item) => !known.has(canonical(item)));
  };
  const rules = lacking(existing.rules, wanted.rules);
  const subjects = lacking(existing.subjects, wanted.subjects);
  if (rules.length === 0 && subjects.length === 0) return undefined;
  return {
    ...existing,
    ...(rules.length ? { rules: [...(existing.rules ?? []), ...rules] } : {}),
    ...(subjects.length ? { subjects: [...(existing.subjects ?? []), ...subjects] } : {}),
  } as KubeObject;
}

/** The same text for the same rule, whatever the order of keys and words. */
const canonical = (item: unknown) =>
  JSON.stringify(
    Object.entries(item as Record<string, unknown>)
      .map(([key, value]) => [key, Array.isArray(value) ? [...(value as string[])].sort() : value])
      .sort((a, b) => (a[0]! < b[0]! ? -1 : 1)),
  );
