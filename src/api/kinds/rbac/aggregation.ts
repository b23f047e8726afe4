// What an aggregated ClusterRole allows: the rules of the roles its selectors choose, by name of role, each once.

import type { ClusterRole, PolicyRule } from '../../generated/rbac-v1.ts';
import { selectorOf } from '../../selectors.ts';

type Role = Pick<ClusterRole, 'aggregationRule' | 'rules'> & {
  readonly metadata: { readonly name?: string; readonly labels?: Record<string, string> };
};

const texts = new WeakMap<PolicyRule, string>();

/** Rules are immutable, and each is looked at for every change of any role. */
function textOf(rule: PolicyRule): string {
  let text = texts.get(rule);
  if (text === undefined) texts.set(rule, (text = JSON.stringify(rule)));
  return text;
}

export function aggregatedRules(role: Role, all: readonly Role[]): PolicyRule[] {
  const { name } = role.metadata;
  const selectors = (role.aggregationRule?.clusterRoleSelectors ?? []).map((s) => selectorOf(s));
  const parts = all
    .filter((other) => other.metadata.name !== name && selectors.some((s) => s.matches(other.metadata.labels)))
    .sort((a, b) => (a.metadata.name! < b.metadata.name! ? -1 : 1));
  const rules = new Map<string, PolicyRule>();
  for (const rule of parts.flatMap((part) => part.rules ?? [])) rules.set(textOf(rule), rule);
  return [...rules.values()];
}
