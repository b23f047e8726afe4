import { expect, test } from 'vitest';
import type { PolicyRule } from '../../api/generated/rbac-v1.ts';
import { ClusterRoleBinding } from '../../api/kinds/rbac/cluster-role-binding.ts';
import { ClusterRole } from '../../api/kinds/rbac/cluster-role.ts';
import { RoleBinding } from '../../api/kinds/rbac/role-binding.ts';
import { Role } from '../../api/kinds/rbac/role.ts';
import { createTestServer } from '../../cluster/test-server.ts';
import type { Caches } from '../caches.ts';
import { escalationCheck } from './escalation.ts';
import { rbacSource } from './rbac-source.ts';
import { RbacAuthorizer } from './rbac.ts';
import { describeRules, missingRules } from './rule-coverage.ts';

const rule = (groups: string[], resources: string[], verbs: string[], resourceNames?: string[]): PolicyRule => ({
  apiGroups: groups,
  resources,
  verbs,
  ...(resourceNames ? { resourceNames } : {}),
});

test.each<[string, PolicyRule[], PolicyRule[], string]>([
  ['the same', [rule([''], ['pods'], ['get'])], [rule([''], ['pods'], ['get'])], ''],
  ['all of it', [rule(['*'], ['*'], ['*'])], [rule(['apps'], ['a', 'b/c'], ['x'], ['n'])], ''],
  [
    'from several',
    [rule([''], ['pods'], ['get']), rule([''], ['pods'], ['list'])],
    [rule([''], ['pods'], ['get', 'list'])],
    '',
  ],
  [
    'a subresource of all',
    [rule([''], ['*/scale'], ['get'])],
    [rule([''], ['x/scale', 'x'], ['get'])],
    '{APIGroups:[""], Resources:["x"], Verbs:["get"]}',
  ],
  [
    'one name',
    [rule([''], ['pods'], ['get'], ['a'])],
    [rule([''], ['pods'], ['get'], ['a', 'b'])],
    '{APIGroups:[""], Resources:["pods"], ResourceNames:["b"], Verbs:["get"]}',
  ],
  [
    'names are not all',
    [rule([''], ['pods'], ['get'], ['a'])],
    [rule([''], ['pods'], ['get', 'list'])],
    '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
  ],
  [
    'paths',
    [{ nonResourceURLs: ['/a/*'], verbs: ['get'] }],
    [{ nonResourceURLs: ['/a/b', '/c'], verbs: ['get'] }],
    '{NonResourceURLs:["/c"], Verbs:["get"]}',
  ],
])('%s', (_, held, wanted, missing) => {
  expect(describeRules(missingRules(held, wanted))).toBe(missing);
});

test('nobody grants what they do not hold', async () => {
  let rbac: RbacAuthorizer | undefined;
  let ready: Promise<void> | undefined;
  const make = (caches: Caches) => {
    const source = rbacSource(caches);
    ready = source.ready;
    return (rbac = new RbacAuthorizer(source));
  };
  const authorizer = { authorize: (...args: Parameters<RbacAuthorizer['authorize']>) => rbac!.authorize(...args) };
  const t = createTestServer({ authorizer, admission: (caches) => [escalationCheck(authorizer, make(caches))] });
  await ready;
  const user = { name: 'u', groups: ['g', 'h'] };
  const roleRef = (kind: string, name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name });
  const subjects = [{ kind: 'User', name: 'u', apiGroup: 'rbac.authorization.k8s.io' }];
  const clusterRole = (name: string, ...rules: PolicyRule[]) =>
    t.client.create(ClusterRole, { metadata: { name }, rules });
  const all = ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'];
  await clusterRole(
    'author',
    rule(['rbac.authorization.k8s.io'], all, ['create', 'update', 'get']),
    rule([''], ['pods'], ['get']),
  );
  await clusterRole('strong', rule([''], ['secrets'], ['get']));
  await t.client.create(ClusterRoleBinding, {
    metadata: { name: 'u' },
    roleRef: roleRef('ClusterRole', 'author'),
    subjects,
  });
  const client = t.clientFor(user);
  const role = (name: string, ...rules: PolicyRule[]) =>
    client.create(Role, { metadata: { name, namespace: 'ns' }, rules });
  const bind = (name: string, to: string) =>
    client.create(RoleBinding, { metadata: { name, namespace: 'ns' }, roleRef: roleRef('ClusterRole', to), subjects });

  await role('ok', rule([''], ['pods'], ['get']));
  await expect(role('no', rule([''], ['pods'], ['get', 'delete']))).rejects.toMatchObject({
    code: 403,
    message:
      'roles.rbac.authorization.k8s.io "no" is forbidden: user "u" (groups=["g" "h"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}',
  });
  await expect(bind('no', 'strong')).rejects.toMatchObject({ code: 403 });
  await expect(bind('no', 'absent')).rejects.toMatchObject({
    code: 404,
    message: 'clusterroles.rbac.authorization.k8s.io "absent" not found',
  });
  const aggregated = {
    metadata: { name: 'agg' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] },
  };
  await expect(client.create(ClusterRole, { ...aggregated, rules: [] })).rejects.toMatchObject({ code: 403 });

  await clusterRole('binder', rule(['rbac.authorization.k8s.io'], ['clusterroles'], ['bind'], ['strong']));
  const binder = { metadata: { name: 'b' }, roleRef: roleRef('ClusterRole', 'binder'), subjects };
  await t.client.create(ClusterRoleBinding, binder);
  const bound = await bind('yes', 'strong');
  await client.update(RoleBinding, { ...bound, metadata: { ...bound.metadata, labels: { a: 'b' } } });
  t.close();
});
