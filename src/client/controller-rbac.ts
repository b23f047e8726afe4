// The bootstrap role of a controller, derived from what it says it reads and writes: nothing to keep in step by hand.

import { ClusterRole } from '../api/kinds/rbac/cluster-role.ts';
import type { AnyKind } from '../api/kind.ts';
import type { Draft } from '../api/object.ts';
import type { ControllerDefinition } from './controller.ts';

type Rule = NonNullable<ClusterRole['rules']>[number];

/** ClusterRole `system:controller:<name>`: read what it watches, do what it declares, record events. */
export function roleOf(definition: ControllerDefinition): Draft<ClusterRole> {
  const rules: Rule[] = [];
  for (const grant of definition.grants) {
    rules.push({
      apiGroups: [...grant.groups],
      resources: [...grant.resources],
      verbs: [...grant.verbs],
      ...(grant.resourceNames ? { resourceNames: [...grant.resourceNames] } : {}),
    });
  }
  for (const [group, resources] of watched(definition.watches.map((w) => w.kind))) {
    rules.push({ apiGroups: [group], resources, verbs: ['get', 'list', 'watch'] });
  }
  rules.push({ apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch', 'update'] });
  return {
    apiVersion: ClusterRole.apiVersion,
    kind: ClusterRole.kind,
    metadata: {
      name: `system:controller:${definition.name}`,
      labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
      annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
    },
    rules,
  };
}

function watched(kinds: readonly AnyKind[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { group, plural } of kinds) {
    const resources = groups.get(group) ?? [];
    if (!resources.includes(plural)) resources.push(plural);
    groups.set(group, resources);
  }
  return groups;
}
