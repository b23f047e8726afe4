// What roles and bindings share: rules, subjects, defaults, rows. https://kubernetes.io/docs/reference/access-authn-authz/rbac/

import { field } from '../../errors.ts';
import type { ClusterRoleBinding, PolicyRule, RoleBinding, Subject } from '../../generated/rbac-v1.ts';
import type { Cell, Column } from '../../kind.ts';
import { type Errors, missing, required } from '../../validate/checks.ts';
import { addFaults, dns1123Subdomain, pathSegment } from '../../validate/names.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { sameValue } from '../../validate/same-value.ts';
import { AGE, ageOf, CREATED_AT, NAME, text, wide } from '../columns.ts';

export const GROUP = 'rbac.authorization.k8s.io';
type Binding = RoleBinding | ClusterRoleBinding;

export const roleColumns: readonly Column[] = [NAME, CREATED_AT];
export const bindingColumns: readonly Column[] = [
  NAME,
  text('Role', 'What is granted.'),
  AGE,
  wide('Users', 'Users in the binding.'),
  wide('Groups', 'Groups in the binding.'),
  wide('ServiceAccounts', 'Service accounts in the binding.'),
];

export function bindingRow(binding: Binding, now: number): Cell[] {
  const named = (kind: string, show = (s: Subject) => s.name) =>
    binding.subjects
      ?.filter((s) => s.kind === kind)
      .map(show)
      .join(', ') ?? '';
  return [
    binding.metadata.name,
    `${binding.roleRef.kind}/${binding.roleRef.name}`,
    ageOf(binding, now),
    named('User'),
    named('Group'),
    named('ServiceAccount', (s) => `${s.namespace ?? ''}/${s.name}`),
  ];
}

export function defaultBinding({ roleRef, subjects }: Binding): void {
  roleRef.apiGroup ||= GROUP;
  for (const subject of subjects ?? []) {
    if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ||= GROUP;
  }
}

/** `namespaced`: rules of a Role, which cannot speak about URLs. */
export function validateRules(rules: readonly PolicyRule[] | null | undefined, namespaced: boolean, out: Errors): void {
  rules?.forEach((rule, i) => {
    const at = `rules[${i}]`;
    const urls = rule.nonResourceURLs ?? [];
    if (!rule.verbs?.length) out.push(field.required(`${at}.verbs`, 'verbs must contain at least one value'));
    if (urls.length) {
      const path = `${at}.nonResourceURLs`;
      if (namespaced) out.push(field.invalid(path, urls, 'namespaced rules cannot apply to non-resource URLs'));
      if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length) {
        const text = 'rules cannot apply to both regular resources and non-resource URLs';
        out.push(field.invalid(path, urls, text));
      }
      return;
    }
    if (!rule.apiGroups?.length) {
      out.push(field.required(`${at}.apiGroups`, 'resource rules must supply at least one api group'));
    }
    if (!rule.resources?.length) {
      out.push(field.required(`${at}.resources`, 'resource rules must supply at least one resource'));
    }
  });
}

export function validateBinding(binding: Binding, roles: readonly string[], namespaced: boolean): Errors {
  const out: Errors = [];
  const { metadata, roleRef, subjects } = binding;
  validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
  if (roleRef.apiGroup !== GROUP) out.push(field.notSupported('roleRef.apiGroup', roleRef.apiGroup ?? '', [GROUP]));
  if (!roles.includes(roleRef.kind)) out.push(field.notSupported('roleRef.kind', roleRef.kind ?? '', roles));
  if (missing(roleRef.name)) out.push(field.required('roleRef.name'));
  else addFaults(pathSegment(roleRef.name), 'roleRef.name', roleRef.name, out);
  subjects?.forEach((subject, i) => validateSubject(subject, namespaced, `subjects[${i}]`, out));
  return out;
}

function validateSubject(subject: Subject, namespaced: boolean, path: string, out: Errors): void {
  const { kind, name, apiGroup = '', namespace } = subject;
  required(name, `${path}.name`, out);
  if (kind === 'ServiceAccount') {
    if (!missing(name)) addFaults(dns1123Subdomain(name), `${path}.name`, name, out);
    if (apiGroup !== '') out.push(field.notSupported(`${path}.apiGroup`, apiGroup, ['']));
    if (!namespaced) required(namespace, `${path}.namespace`, out);
  } else if (kind === 'User' || kind === 'Group') {
    if (missing(name)) out.push(field.invalid(`${path}.name`, '', `${kind.toLowerCase()} name cannot be empty`));
    if (apiGroup !== GROUP) out.push(field.notSupported(`${path}.apiGroup`, apiGroup, [GROUP]));
  } else {
    out.push(field.notSupported(`${path}.kind`, kind ?? '', ['ServiceAccount', 'User', 'Group']));
  }
}

/** A binding to another role is another binding. */
export function validateRoleRefUpdate(binding: Binding, old: Binding): Errors {
  if (sameValue(binding.roleRef, old.roleRef)) return [];
  return [field.invalid('roleRef', binding.roleRef, 'cannot change roleRef')];
}
