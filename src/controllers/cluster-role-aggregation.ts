// Fills the rules of ClusterRoles with an aggregation rule from the ClusterRoles it selects.

import { aggregatedRules } from '../api/kinds/rbac/aggregation.ts';
import { ClusterRole } from '../api/kinds/rbac/cluster-role.ts';
import { sameJson } from '../api/same-json.ts';
import { defineController, NOTHING, watch } from '../client/controller.ts';

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
    const wanted = aggregatedRules(role, view.of(ClusterRole).list());
    if (sameJson(wanted, role.rules ?? [])) return NOTHING;
    return { actions: [{ do: 'update', kind: ClusterRole, object: { ...role, rules: wanted } as ClusterRole }] };
  },
});
