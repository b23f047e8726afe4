// Role-based access control: a request is allowed when a rule of a role bound to the user matches it.
// Rules are gathered per user and namespace once, and again only after a role or binding changed.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/

import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  RoleRef,
  Subject,
} from '../../api/generated/rbac-v1.ts';
import type { UserInfo } from '../../api/op.ts';
import type { Attributes, Authorizer, Decision } from '../authorizer.ts';

/** The roles and bindings as they stand; `generation` grows with every change of any of them. */
export interface RbacSource {
  generation(): number;
  clusterRole(name: string): ClusterRole | undefined;
  role(namespace: string, name: string): Role | undefined;
  clusterRoleBindings(): readonly ClusterRoleBinding[];
  roleBindings(namespace: string): readonly RoleBinding[];
}

/** A rule and, for the message of a decision, where it comes from. */
export interface GrantedRule {
  readonly rule: PolicyRule;
  readonly via: string;
}

const ALLOWED_MASTERS: Decision = { allowed: true, reason: '' };
const NO_OPINION: Decision = { allowed: false, reason: '' };

interface UserRules {
  readonly cluster: readonly GrantedRule[];
  readonly namespaces: Map<string, readonly GrantedRule[]>;
}

export class RbacAuthorizer implements Authorizer {
  readonly #source: RbacSource;
  #generation = -1;
  #users = new Map<string, UserRules>();

  constructor(source: RbacSource) {
    this.#source = source;
  }

  authorize(attributes: Attributes): Decision {
    if (attributes.user.groups.includes('system:masters')) return ALLOWED_MASTERS;
    const { cluster, namespaced } = this.rulesFor(attributes.user, attributes.namespace);
    const found =
      cluster.find((g) => matches(g.rule, attributes)) ?? namespaced.find((g) => matches(g.rule, attributes));
    return found ? { allowed: true, reason: `RBAC: allowed by ${found.via}` } : NO_OPINION;
  }

  /** Every rule that applies to the user cluster-wide and in one namespace. */
  rulesFor(user: UserInfo, namespace: string): { cluster: readonly GrantedRule[]; namespaced: readonly GrantedRule[] } {
    const generation = this.#source.generation();
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#users = new Map();
    }
    const key = `${user.name}\n${user.groups.join('\n')}`;
    let rules = this.#users.get(key);
    if (!rules) {
      // A bound on what strangers' names can pile up here.
      if (this.#users.size > 10_000) this.#users = new Map();
      rules = { cluster: this.#clusterRules(user), namespaces: new Map() };
      this.#users.set(key, rules);
    }
    if (!namespace) return { cluster: rules.cluster, namespaced: [] };
    let namespaced = rules.namespaces.get(namespace);
    if (!namespaced) {
      namespaced = this.#namespaceRules(user, namespace);
      rules.namespaces.set(namespace, namespaced);
    }
    return { cluster: rules.cluster, namespaced };
  }

  /** The rules a role reference stands for; undefined when the role does not exist. */
  rulesOf(ref: RoleRef, namespace: string): readonly PolicyRule[] | undefined {
    const role =
      ref.kind === 'ClusterRole' ? this.#source.clusterRole(ref.name) : this.#source.role(namespace, ref.name);
    return role ? (role.rules ?? []) : undefined;
  }

  #clusterRules(user: UserInfo): GrantedRule[] {
    return this.#source.clusterRoleBindings().flatMap((binding) => {
      const subject = binding.subjects?.find((s) => applies(s, user, ''));
      if (!subject) return [];
      const via = `ClusterRoleBinding "${binding.metadata.name}" of ${describeRole(binding.roleRef)} to ${describe(subject, '')}`;
      return (this.rulesOf(binding.roleRef, '') ?? []).map((rule) => ({ rule, via }));
    });
  }

  #namespaceRules(user: UserInfo, namespace: string): GrantedRule[] {
    return this.#source.roleBindings(namespace).flatMap((binding) => {
      const subject = binding.subjects?.find((s) => applies(s, user, namespace));
      if (!subject) return [];
      const name = `${binding.metadata.name}/${namespace}`;
      const via = `RoleBinding "${name}" of ${describeRole(binding.roleRef)} to ${describe(subject, namespace)}`;
      return (this.rulesOf(binding.roleRef, namespace) ?? []).map((rule) => ({ rule, via }));
    });
  }
}

const describeRole = (ref: RoleRef) => `${ref.kind} "${ref.name}"`;

function describe(subject: Subject, namespace: string): string {
  if (subject.kind !== 'ServiceAccount') return `${subject.kind} "${subject.name}"`;
  return `ServiceAccount "${subject.name}/${subject.namespace ?? namespace}"`;
}

function applies(subject: Subject, user: UserInfo, bindingNamespace: string): boolean {
  if (subject.kind === 'User') return user.name === subject.name;
  if (subject.kind === 'Group') return user.groups.includes(subject.name);
  if (subject.kind !== 'ServiceAccount') return false;
  const namespace = subject.namespace || bindingNamespace;
  return namespace !== '' && user.name === `system:serviceaccount:${namespace}:${subject.name}`;
}

const has = (list: readonly string[] | undefined, value: string) =>
  list !== undefined && (list.includes(value) || list.includes('*'));

/** Whether one rule allows the request. */
export function matches(rule: PolicyRule, a: Attributes): boolean {
  if (!has(rule.verbs, a.verb)) return false;
  if (a.path !== undefined) return pathMatches(rule.nonResourceURLs, a.path);
  if (!has(rule.apiGroups, a.group)) return false;
  if (!resourceMatches(rule.resources, a.resource, a.subresource)) return false;
  const names = rule.resourceNames ?? [];
  return names.length === 0 || names.includes(a.name);
}

function resourceMatches(resources: readonly string[] | undefined, resource: string, subresource: string): boolean {
  const full = subresource ? `${resource}/${subresource}` : resource;
  return (resources ?? []).some((r) => r === '*' || r === full || (subresource !== '' && r === `*/${subresource}`));
}

function pathMatches(urls: readonly string[] | undefined, path: string): boolean {
  return (urls ?? []).some(
    (url) => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))),
  );
}

/** Asks authorizers in turn: the first that allows or denies decides; no opinion at all refuses. */
export class UnionAuthorizer implements Authorizer {
  readonly #authorizers: readonly Authorizer[];
  constructor(authorizers: readonly Authorizer[]) {
    this.#authorizers = authorizers;
  }
  authorize(attributes: Attributes): Decision {
    const reasons: string[] = [];
    for (const authorizer of this.#authorizers) {
      const decision = authorizer.authorize(attributes);
      if (decision.allowed || decision.denied) return decision;
      if (decision.reason) reasons.push(decision.reason);
    }
    return { allowed: false, reason: reasons.join('\n') };
  }
}

export const alwaysAllow: Authorizer = { authorize: () => ({ allowed: true, reason: '' }) };
export const alwaysDeny: Authorizer = {
  authorize: () => ({ allowed: false, reason: 'Everything is forbidden.' }),
};
