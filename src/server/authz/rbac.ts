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

/** The rules of some bindings, and the roles that bindings name but nobody has made. */
interface Gathered {
  readonly rules: readonly GrantedRule[];
  readonly missing: readonly string[];
}
const NOTHING: Gathered = { rules: [], missing: [] };

interface UserRules {
  readonly cluster: Gathered;
  readonly namespaces: Map<string, Gathered>;
}

type Binding = Pick<RoleBinding, 'metadata' | 'roleRef' | 'subjects'>;

export class RbacAuthorizer implements Authorizer {
  readonly #source: RbacSource;
  #generation = -1;
  #users = new Map<string, UserRules>();
  /** The cluster-wide bindings of each subject, by `subjectKey`, with their places in the order of all. */
  #bindings: Map<string, { readonly at: number; readonly binding: Binding }[]> | undefined;

  constructor(source: RbacSource) {
    this.#source = source;
  }

  authorize(attributes: Attributes): Decision {
    if (attributes.user.groups.includes('system:masters')) return ALLOWED_MASTERS;
    const { cluster, namespaced } = this.#gathered(attributes.user, attributes.namespace);
    const allows = (g: GrantedRule) => matches(g.rule, attributes);
    const found = cluster.rules.find(allows) ?? namespaced.rules.find(allows);
    if (found) return { allowed: true, reason: `RBAC: allowed by ${found.via}` };
    const missing = [...new Set([...cluster.missing, ...namespaced.missing])];
    if (missing.length === 0) return NO_OPINION;
    return { allowed: false, reason: `RBAC: ${missing.length === 1 ? missing[0] : `[${missing.join(', ')}]`}` };
  }

  /** Every rule that applies to the user cluster-wide and in one namespace. */
  rulesFor(user: UserInfo, namespace: string): { cluster: readonly GrantedRule[]; namespaced: readonly GrantedRule[] } {
    const { cluster, namespaced } = this.#gathered(user, namespace);
    return { cluster: cluster.rules, namespaced: namespaced.rules };
  }

  #gathered(user: UserInfo, namespace: string): { cluster: Gathered; namespaced: Gathered } {
    const generation = this.#source.generation();
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#bindings = undefined;
      this.#users = new Map();
    }
    const key = `${user.name}\n${user.groups.join('\n')}`;
    let rules = this.#users.get(key);
    if (!rules) {
      // A bound on what strangers' names can pile up here.
      if (this.#users.size > 10_000) this.#users = new Map();
      rules = { cluster: this.#gather(this.#clusterBindingsOf(user), user, ''), namespaces: new Map() };
      this.#users.set(key, rules);
    }
    if (!namespace) return { cluster: rules.cluster, namespaced: NOTHING };
    let namespaced = rules.namespaces.get(namespace);
    if (!namespaced) {
      if (rules.namespaces.size > 10_000) rules.namespaces.clear();
      namespaced = this.#gather(this.#source.roleBindings(namespace), user, namespace);
      rules.namespaces.set(namespace, namespaced);
    }
    return { cluster: rules.cluster, namespaced };
  }

  /** A cluster has a hundred bindings, and a user one or two of them. */
  #clusterBindingsOf(user: UserInfo): readonly Binding[] {
    if (!this.#bindings) {
      this.#bindings = new Map();
      for (const [at, binding] of this.#source.clusterRoleBindings().entries()) {
        for (const key of new Set(binding.subjects?.map(subjectKey))) {
          const list = this.#bindings.get(key);
          if (list) list.push({ at, binding });
          else this.#bindings.set(key, [{ at, binding }]);
        }
      }
    }
    const found = new Map<number, Binding>();
    for (const key of [`user ${user.name}`, ...user.groups.map((group) => `group ${group}`)]) {
      for (const { at, binding } of this.#bindings.get(key) ?? []) found.set(at, binding);
    }
    return [...found].sort(([a], [b]) => a - b).map(([, binding]) => binding);
  }

  /** The rules a role reference stands for; undefined when the role does not exist. */
  rulesOf(ref: RoleRef, namespace: string): readonly PolicyRule[] | undefined {
    const role =
      ref.kind === 'ClusterRole' ? this.#source.clusterRole(ref.name) : this.#source.role(namespace, ref.name);
    return role ? (role.rules ?? []) : undefined;
  }

  #gather(bindings: readonly Binding[], user: UserInfo, namespace: string): Gathered {
    const rules: GrantedRule[] = [];
    const missing: string[] = [];
    for (const binding of bindings) {
      const subject = binding.subjects?.find((s) => applies(s, user, namespace));
      if (!subject) continue;
      const { roleRef, metadata } = binding;
      const granted = this.rulesOf(roleRef, namespace);
      if (!granted) missing.push(`${roleRef.kind.toLowerCase()}.rbac.authorization.k8s.io "${roleRef.name}" not found`);
      const name = namespace ? `RoleBinding "${metadata.name}/${namespace}"` : `ClusterRoleBinding "${metadata.name}"`;
      const via = `${name} of ${describeRole(roleRef)} to ${describe(subject, namespace)}`;
      for (const rule of granted ?? []) rules.push({ rule, via });
    }
    return { rules, missing };
  }
}

/** Whom a subject of a cluster-wide binding means. */
function subjectKey({ kind, name, namespace }: Subject): string {
  if (kind === 'Group') return `group ${name}`;
  if (kind === 'ServiceAccount') return namespace ? `user system:serviceaccount:${namespace}:${name}` : '';
  return kind === 'User' ? `user ${name}` : '';
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
