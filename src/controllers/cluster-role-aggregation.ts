// Fills the rules of ClusterRoles with an aggregation rule from the ClusterRoles it selects.

import type { PolicyRule } from '../api/generated/rbac-v1.ts';
import { ClusterRole } from '../api/kinds/rbac/cluster-role.ts';
import { sameJson } from '../api/same-json.ts';
import { selectorOf } from '../api/selectors.ts';
import { defineController, NOTHING, watch } from '../client/controller.ts';

const texts = new WeakMap<PolicyRule, string>();

/** Rules are immutable, and each is looked at for every change of any role. */
function textOf(rule: PolicyRule): string {
  let text = texts.get(rule);
  if (text === undefined) texts.set(rule, (text = JSON.stringify(rule)));
  return text;
}

export const clusterRoleAggregation = defineController({
  name: 'clusterrole-aggregation-controller',
  watches: [
    watch({
      kind: ClusterRole,
      // Any role may be part of any aggregate.
      keys: (_, __, view) =>
        view
          .of(ClusterRole)
          .list()
          .filter((r) => r.aggregationRule)
          .map((r) => r.metadata.name),
    }),
  ],
  grants: [
    {
      groups: ['rbac.authorization.k8s.io'],
      resources: ['clusterroles'],
      verbs: ['escalate', 'get', 'list', 'patch', 'update', 'watch'],
    },
  ],
  plan(name, view) {
    const role = view.of(ClusterRole).get(name);
    if (!role?.aggregationRule || role.metadata.deletionTimestamp) return NOTHING;
    const selectors = (role.aggregationRule.clusterRoleSelectors ?? []).map((s) => selectorOf(s));
    const parts = view
      .of(ClusterRole)
      .list()
      .filter((other) => other !== role && selectors.some((s) => s.matches(other.metadata.labels)))
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const rules = new Map<string, PolicyRule>();
    for (const rule of parts.flatMap((part) => part.rules ?? [])) rules.set(textOf(rule), rule);
    const wanted = [...rules.values()];
    if (sameJson(wanted, role.rules ?? [])) return NOTHING;
    return { actions: [{ do: 'update', kind: ClusterRole, object: { ...role, rules: wanted } as ClusterRole }] };
  },
});
