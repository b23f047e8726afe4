// Nobody gives away permissions they do not hold: roles and bindings may only grant what their author may do, unless
// the author may `escalate` or `bind`.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping

import { forbidden, notFound } from '../../api/errors.ts';
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  RoleRef,
  Role,
  RoleBinding,
} from '../../api/generated/rbac-v1.ts';
import type { UserInfo } from '../../api/op.ts';
import { sameJson } from '../../api/same-json.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { Authorizer } from '../authorizer.ts';
import { subjectOf } from '../call.ts';
import type { RbacAuthorizer } from './rbac.ts';
import { describeRules, missingRules } from './rule-coverage.ts';

const GROUP = 'rbac.authorization.k8s.io';
const EVERYTHING: readonly PolicyRule[] = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
];

export function escalationCheck(authorizer: Authorizer, rbac: RbacAuthorizer): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    validate(request) {
      const { kind, object, op } = request;
      if (kind.group !== GROUP || !object || op.user.groups.includes('system:masters')) return;
      if (kind.kind === 'Role' || kind.kind === 'ClusterRole') checkRole(request, authorizer, rbac);
      else if (kind.kind === 'RoleBinding' || kind.kind === 'ClusterRoleBinding')
        checkBinding(request, authorizer, rbac);
    },
  };
}

function checkRole(request: AdmissionRequest, authorizer: Authorizer, rbac: RbacAuthorizer): void {
  const role = request.object as Role & ClusterRole;
  const old = request.old as (Role & ClusterRole) | undefined;
  if (old && sameJson(role.rules, old.rules) && sameJson(role.aggregationRule, old.aggregationRule)) return;
  if (may(request, authorizer, 'escalate', request.kind.plural, role.metadata.name)) return;
  const wanted = role.aggregationRule ? EVERYTHING : (role.rules ?? []);
  requireHeld(request, rbac, wanted);
}

function checkBinding(request: AdmissionRequest, authorizer: Authorizer, rbac: RbacAuthorizer): void {
  const binding = request.object as RoleBinding | ClusterRoleBinding;
  const old = request.old as RoleBinding | ClusterRoleBinding | undefined;
  if (old && sameJson(binding.subjects, old.subjects) && sameJson(binding.roleRef, old.roleRef)) return;
  const { roleRef } = binding;
  const resource = resourceOf(roleRef);
  if (may(request, authorizer, 'bind', resource, roleRef.name)) return;
  const rules = rbac.rulesOf(roleRef, binding.metadata.namespace ?? '');
  if (!rules) throw notFound({ group: GROUP, resource }, roleRef.name);
  requireHeld(request, rbac, rules);
}

const resourceOf = ({ kind }: RoleRef) => (kind === 'ClusterRole' ? 'clusterroles' : 'roles');

function may(
  { op, object }: AdmissionRequest,
  authorizer: Authorizer,
  verb: 'escalate' | 'bind',
  resource: string,
  name: string,
): boolean {
  const namespace = object?.metadata.namespace ?? '';
  const base = { user: op.user, verb, group: GROUP, version: '*', resource, subresource: '' };
  return authorizer.authorize({ ...base, namespace, name }).allowed;
}

function requireHeld(request: AdmissionRequest, rbac: RbacAuthorizer, wanted: readonly PolicyRule[]): void {
  const { user } = request.op;
  const { metadata } = request.object!;
  const { cluster, namespaced } = rbac.rulesFor(user, metadata.namespace ?? '');
  const missing = missingRules(
    [...cluster, ...namespaced].map(({ rule }) => rule),
    wanted,
  );
  if (missing.length === 0) return;
  throw forbidden(
    subjectOf(request.kind),
    metadata.name,
    `user ${describeUser(user)} is attempting to grant RBAC permissions not currently held:\n${describeRules(missing)}`,
  );
}

const describeUser = ({ name, groups }: UserInfo) =>
  `${JSON.stringify(name)} (groups=[${groups.map((g) => JSON.stringify(g)).join(' ')}])`;
