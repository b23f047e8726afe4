import { describe, expect, test } from 'vitest';
import type { PolicyRule, RoleRef, Subject } from '../../api/generated/rbac-v1.ts';
import { ConfigMap } from '../../api/kinds/core/config-map.ts';
import { ClusterRole } from '../../api/kinds/rbac/cluster-role.ts';
import { ClusterRoleBinding } from '../../api/kinds/rbac/cluster-role-binding.ts';
import { Role } from '../../api/kinds/rbac/role.ts';
import { RoleBinding } from '../../api/kinds/rbac/role-binding.ts';
import type { UserInfo } from '../../api/op.ts';
import { createTestServer } from '../../cluster/test-server.ts';
import type { Attributes } from '../authorizer.ts';
import type { Caches } from '../caches.ts';
import { alwaysAllow, alwaysDeny, matches, RbacAuthorizer, UnionAuthorizer, type RbacSource } from './rbac.ts';
import { rbacSource } from './rbac-source.ts';

const bob: UserInfo = { name: 'bob', groups: ['devs', 'system:authenticated'] };
const ask = (verb: string, what: string, more: Partial<Attributes> = {}): Attributes => {
  const [full = '', group = ''] = what.split('@');
  const [resource = '', subresource = ''] = full.split('/');
  return { user: bob, verb, group, version: 'v1', resource, subresource, namespace: '', name: '', ...more };
};
const path = (verb: string, url: string): Attributes => ({ ...ask(verb, ''), path: url });
const rule = (verbs: string, groups: string, resources: string, names: string[] = []): PolicyRule => ({
  verbs: verbs.split(' '),
  apiGroups: groups.split(' ').map((g) => (g === 'core' ? '' : g)),
  resources: resources.split(' '),
  resourceNames: names,
});
const urls = (verbs: string, paths: string): PolicyRule => ({
  verbs: verbs.split(' '),
  nonResourceURLs: paths.split(' '),
});

test.each<[string, PolicyRule, Attributes, boolean]>([
  ['exact', rule('get', 'core', 'pods'), ask('get', 'pods'), true],
  ['another verb', rule('get list', 'core', 'pods'), ask('watch', 'pods'), false],
  ['any verb', rule('*', 'core', 'pods'), ask('watch', 'pods'), true],
  ['another group', rule('get', 'core', 'deployments'), ask('get', 'deployments@apps'), false],
  ['any group', rule('get', '*', 'deployments'), ask('get', 'deployments@apps'), true],
  ['any resource', rule('get', 'core', '*'), ask('get', 'pods'), true],
  ['any resource, its subresources too', rule('get', 'core', '*'), ask('get', 'pods/log'), true],
  ['a resource is not its subresource', rule('get', 'core', 'pods'), ask('get', 'pods/log'), false],
  ['a subresource is not its resource', rule('get', 'core', 'pods/log'), ask('get', 'pods'), false],
  ['a subresource of anything', rule('get', '*', '*/scale'), ask('get', 'deployments/scale@apps'), true],
  ['a subresource of anything is not anything', rule('get', '*', '*/scale'), ask('get', 'deployments@apps'), false],
  ['no wildcard inside', rule('get', 'core', 'pods/*'), ask('get', 'pods/log'), false],
  ['by name', rule('get', 'core', 'pods', ['a']), ask('get', 'pods', { name: 'a' }), true],
  ['by another name', rule('get', 'core', 'pods', ['a']), ask('get', 'pods', { name: 'b' }), false],
  ['by name, without one', rule('list', 'core', 'pods', ['a']), ask('list', 'pods'), false],
  ['a path', urls('get', '/healthz'), path('get', '/healthz'), true],
  ['a path below', urls('get', '/healthz'), path('get', '/healthz/etcd'), false],
  ['paths below', urls('get', '/healthz/*'), path('get', '/healthz/etcd'), true],
  ['paths below, not the path', urls('get', '/healthz/*'), path('get', '/healthz'), false],
  ['a prefix', urls('get', '/api*'), path('get', '/apis/apps'), true],
  ['any path', urls('*', '*'), path('post', '/x'), true],
  ['a path is no resource', rule('*', '*', '*'), path('get', '/healthz'), false],
  ['a resource is no path', urls('*', '*'), ask('get', 'pods'), false],
])('a rule matches: %s', (_, subject, attributes, wanted) => {
  expect(matches(subject, attributes)).toBe(wanted);
});

const meta = (name: string, namespace?: string) =>
  ({ name, ...(namespace ? { namespace } : {}), uid: name, resourceVersion: '1', creationTimestamp: '' }) as const;
const roleRef = (kind: string, name: string): RoleRef => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name });
const READER = [rule('get', 'core', 'pods')];

function source(
  subjects: Subject[],
  { namespace, role = 'ClusterRole', missing = false } = {} as { namespace?: string; role?: string; missing?: boolean },
): RbacSource {
  const binding = { metadata: meta('b', namespace), roleRef: roleRef(role, 'reader'), subjects };
  const found = { metadata: meta('reader', namespace), rules: READER };
  return {
    generation: () => 1,
    clusterRole: (name) => (name === 'reader' && role === 'ClusterRole' && !missing ? found : undefined),
    role: (ns, name) => (name === 'reader' && ns === namespace && role === 'Role' && !missing ? found : undefined),
    clusterRoleBindings: () => (namespace ? [] : [binding]),
    roleBindings: (ns) => (ns === namespace ? [binding] : []),
  };
}
const USER: Subject = { kind: 'User', name: 'bob' };
const account = (namespace?: string): Subject => ({
  kind: 'ServiceAccount',
  name: 'bot',
  ...(namespace ? { namespace } : {}),
});
const bot: UserInfo = { name: 'system:serviceaccount:shop:bot', groups: [] };

test.each<[string, RbacSource, Attributes, boolean, string]>([
  [
    'a user',
    source([USER]),
    ask('get', 'pods'),
    true,
    'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to User "bob"',
  ],
  [
    'everywhere',
    source([USER]),
    ask('get', 'pods', { namespace: 'shop' }),
    true,
    'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to User "bob"',
  ],
  [
    'a group',
    source([{ kind: 'Group', name: 'devs' }]),
    ask('get', 'pods'),
    true,
    'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to Group "devs"',
  ],
  ['somebody else', source([{ kind: 'User', name: 'eve' }]), ask('get', 'pods'), false, ''],
  ['a user is no group', source([{ kind: 'Group', name: 'bob' }]), ask('get', 'pods'), false, ''],
  [
    'one namespace',
    source([USER], { namespace: 'shop' }),
    ask('get', 'pods', { namespace: 'shop' }),
    true,
    'RBAC: allowed by RoleBinding "b/shop" of ClusterRole "reader" to User "bob"',
  ],
  [
    'its own role',
    source([USER], { namespace: 'shop', role: 'Role' }),
    ask('get', 'pods', { namespace: 'shop' }),
    true,
    'RBAC: allowed by RoleBinding "b/shop" of Role "reader" to User "bob"',
  ],
  ['not another namespace', source([USER], { namespace: 'shop' }), ask('get', 'pods', { namespace: 'x' }), false, ''],
  ['not all namespaces', source([USER], { namespace: 'shop' }), ask('get', 'pods'), false, ''],
  [
    'a service account',
    source([account('shop')]),
    ask('get', 'pods', { user: bot }),
    true,
    'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to ServiceAccount "bot/shop"',
  ],
  [
    "of the binding's namespace",
    source([account()], { namespace: 'shop' }),
    ask('get', 'pods', { user: bot, namespace: 'shop' }),
    true,
    'RBAC: allowed by RoleBinding "b/shop" of ClusterRole "reader" to ServiceAccount "bot/shop"',
  ],
  ['without any namespace', source([account()]), ask('get', 'pods', { user: bot }), false, ''],
  [
    'a role that is not there',
    source([USER], { missing: true }),
    ask('get', 'pods'),
    false,
    'RBAC: clusterrole.rbac.authorization.k8s.io "reader" not found',
  ],
  ['masters', source([]), ask('x', 'y', { user: { name: 'm', groups: ['system:masters'] } }), true, ''],
])('bound to %s', (_, rbac, attributes, allowed, reason) => {
  expect(new RbacAuthorizer(rbac).authorize(attributes)).toEqual({ allowed, reason });
});

test('the first opinion of several authorizers counts', () => {
  const denies = { authorize: () => ({ allowed: false, denied: true, reason: 'never' }) };
  const a = ask('get', 'pods');
  expect(new UnionAuthorizer([alwaysDeny, alwaysAllow]).authorize(a)).toMatchObject({ allowed: true });
  expect(new UnionAuthorizer([denies, alwaysAllow]).authorize(a)).toMatchObject({ allowed: false, reason: 'never' });
  expect(new UnionAuthorizer([alwaysDeny, alwaysDeny]).authorize(a).reason).toBe(
    'Everything is forbidden.\nEverything is forbidden.',
  );
});

describe('on a server', () => {
  async function start() {
    let rbac: RbacAuthorizer | undefined;
    let ready: Promise<void> = Promise.resolve();
    const t = createTestServer({
      authorizer: { authorize: (a) => rbac!.authorize(a) },
      admission: (caches: Caches) => {
        const roles = rbacSource(caches);
        ready = roles.ready;
        rbac = new RbacAuthorizer(roles);
        return [];
      },
    });
    await ready;
    return { ...t, user: t.clientFor(bob) };
  }
  const namespace = 'shop';

  test('every change of roles and bindings counts at once', async () => {
    const t = await start();
    const list = async (ns: string | undefined = namespace) => {
      try {
        await t.user.list(ConfigMap, { namespace: ns });
        return true;
      } catch (error) {
        return (error as Error).message;
      }
    };
    const no =
      'configmaps is forbidden: User "bob" cannot list resource "configmaps" in API group "" in the namespace "shop"';
    expect(await list()).toBe(no);
    const role = { metadata: { name: 'maps', namespace }, rules: [rule('list', 'core', 'configmaps')] };
    const subjects = [{ kind: 'Group', name: 'devs', apiGroup: 'rbac.authorization.k8s.io' }];
    await t.client.create(RoleBinding, {
      metadata: { name: 'maps', namespace },
      roleRef: roleRef('Role', 'maps'),
      subjects,
    } as never);
    expect(await list()).toBe(`${no}: RBAC: role.rbac.authorization.k8s.io "maps" not found`);
    await t.client.create(Role, role as never);
    expect(await list()).toBe(true);
    expect(await list('other')).toContain('in the namespace "other"');
    await t.client.patch(Role, role.metadata, 'merge', { rules: [] });
    expect(await list()).toBe(no);
    await t.client.create(ClusterRole, { ...role, metadata: { name: 'maps' } } as never);
    await t.client.create(ClusterRoleBinding, {
      metadata: { name: 'maps' },
      roleRef: roleRef('ClusterRole', 'maps'),
      subjects,
    } as never);
    expect([await list(), await list('other')]).toEqual([true, true]);
    await t.client.delete(ClusterRoleBinding, { name: 'maps' });
    expect(await list()).toBe(no);
    t.close();
  });

  test('one object by name: to get, list and watch it', async () => {
    const t = await start();
    const rules = [rule('get list watch', 'core', 'configmaps', ['mine'])];
    await t.client.create(ClusterRole, { metadata: { name: 'one' }, rules } as never);
    const subjects = [{ ...USER, apiGroup: 'rbac.authorization.k8s.io' }];
    await t.client.create(ClusterRoleBinding, {
      metadata: { name: 'one' },
      roleRef: roleRef('ClusterRole', 'one'),
      subjects,
    } as never);
    await t.client.create(ConfigMap, { metadata: { name: 'mine', namespace } } as never);
    expect((await t.user.get(ConfigMap, { namespace, name: 'mine' })).metadata.name).toBe('mine');
    const fieldSelector = 'metadata.name=mine';
    expect((await t.user.list(ConfigMap, { namespace, fieldSelector })).items).toHaveLength(1);
    (await t.user.watch(ConfigMap, { namespace, fieldSelector })).stop();
    await expect(t.user.list(ConfigMap, { namespace })).rejects.toThrow('forbidden');
    await expect(t.user.list(ConfigMap, { namespace, fieldSelector: 'metadata.name!=mine' })).rejects.toThrow(
      'forbidden',
    );
    t.close();
  });
});
