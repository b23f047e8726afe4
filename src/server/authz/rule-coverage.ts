// Which of some rules a set of other rules does not cover, and how that is told. Pure.

import type { PolicyRule } from '../../api/generated/rbac-v1.ts';

type List = readonly string[] | undefined;

/** The single permissions in `wanted` that no rule of `held` covers. */
export function missingRules(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(singles).filter((one) => !held.some((rule) => covers(rule, one)));
}

/** A rule as rules of one verb on one thing each. */
function singles(rule: PolicyRule): PolicyRule[] {
  const out: PolicyRule[] = [];
  for (const group of rule.apiGroups ?? []) {
    for (const resource of rule.resources ?? []) {
      for (const verb of rule.verbs) {
        const one = { apiGroups: [group], resources: [resource], verbs: [verb] };
        const names = rule.resourceNames ?? [];
        if (names.length === 0) out.push(one);
        for (const name of names) out.push({ ...one, resourceNames: [name] });
      }
    }
  }
  for (const url of rule.nonResourceURLs ?? []) {
    for (const verb of rule.verbs) out.push({ nonResourceURLs: [url], verbs: [verb] });
  }
  return out;
}

function covers(rule: PolicyRule, one: PolicyRule): boolean {
  const names = rule.resourceNames ?? [];
  return (
    hasAll(rule.verbs, one.verbs) &&
    hasAll(rule.apiGroups, one.apiGroups) &&
    (one.resources ?? []).every((r) => coversResource(rule.resources ?? [], r)) &&
    (one.nonResourceURLs ?? []).every((url) => coversUrl(rule.nonResourceURLs ?? [], url)) &&
    (names.length === 0 || (Boolean(one.resourceNames?.length) && one.resourceNames!.every((n) => names.includes(n))))
  );
}

const hasAll = (held: List, wanted: List) => held?.includes('*') || (wanted ?? []).every((w) => held?.includes(w));

function coversResource(held: readonly string[], wanted: string): boolean {
  const slash = wanted.indexOf('/');
  return held.includes('*') || held.includes(wanted) || (slash >= 0 && held.includes(`*/${wanted.slice(slash + 1)}`));
}

const coversUrl = (held: readonly string[], wanted: string) =>
  held.some((url) => url === wanted || (url.endsWith('*') && wanted.startsWith(url.slice(0, -1))));

/** One line per rule, those on the same thing together, in upstream's form and order. */
export function describeRules(rules: readonly PolicyRule[]): string {
  const merged = new Map<string, PolicyRule>();
  for (const rule of rules) {
    const { verbs: _, ...thing } = rule;
    const key = JSON.stringify(thing);
    const known = merged.get(key);
    merged.set(key, known ? { ...known, verbs: [...known.verbs, ...rule.verbs] } : rule);
  }
  return [...merged.values()].map(ruleText).sort().join('\n');
}

function ruleText(rule: PolicyRule): string {
  const parts: string[] = [];
  const add = (name: string, list: List) => {
    if (list?.length) parts.push(`${name}:[${list.map((s) => JSON.stringify(s)).join(' ')}]`);
  };
  add('APIGroups', rule.apiGroups);
  add('Resources', rule.resources);
  add('NonResourceURLs', rule.nonResourceURLs);
  add('ResourceNames', rule.resourceNames);
  add('Verbs', rule.verbs);
  return `{${parts.join(', ')}}`;
}
