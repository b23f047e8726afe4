import { afterEach, beforeEach, expect, test } from 'vitest';
import { LocalSubjectAccessReview } from '../../api/kinds/authorization/local-subject-access-review.ts';
import { SelfSubjectAccessReview } from '../../api/kinds/authorization/self-subject-access-review.ts';
import { SelfSubjectRulesReview } from '../../api/kinds/authorization/self-subject-rules-review.ts';
import { SubjectAccessReview } from '../../api/kinds/authorization/subject-access-review.ts';
import type { AnyKind } from '../../api/kind.ts';
import type { UserInfo } from '../../api/op.ts';
import { TestCluster } from '../../cluster/testing.ts';
import { ClusterRole } from '../../api/kinds/rbac/cluster-role.ts';
import { RoleBinding } from '../../api/kinds/rbac/role-binding.ts';
import { Role } from '../../api/kinds/rbac/role.ts';

/** The control plane alone, with its real roles. */
let cluster: TestCluster;
beforeEach(async () => {
  cluster = await TestCluster.start({ nodes: 0, seed: 1 });
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'ann' }];
  const bind = (name: string, roleRef: object) =>
    cluster.client.create(RoleBinding, { metadata: { name, namespace: 'default' }, roleRef, subjects } as never);
  await bind('edit', { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' });
});
afterEach(() => cluster.stop());

const ann: UserInfo = { name: 'ann', groups: ['system:authenticated'] };
const root: UserInfo = { name: 'root', groups: ['system:masters', 'system:authenticated'] };
const review = async (user: UserInfo, kind: AnyKind, spec: object, namespace?: string) =>
  (await cluster
    .clientFor(user)
    .create(kind, { metadata: namespace ? { namespace } : {}, spec } as never)) as unknown as {
    status: {
      allowed: boolean;
      reason?: string;
      denied?: boolean;
      resourceRules: object[];
      nonResourceRules: object[];
    };
    metadata: object;
  };
const pods = (verb: string, namespace = 'default') => ({ resourceAttributes: { verb, resource: 'pods', namespace } });

test('may I: everybody may ask about themselves', async () => {
  const yes = await review(ann, SelfSubjectAccessReview, pods('create'));
  expect(yes).toMatchObject({
    kind: 'SelfSubjectAccessReview',
    apiVersion: 'authorization.k8s.io/v1',
    spec: pods('create'),
    status: {
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "edit/default" of ClusterRole "edit" to User "ann"',
    },
  });
  expect((await review(ann, SelfSubjectAccessReview, pods('create', 'kube-system'))).status).toEqual({
    allowed: false,
  });
  const url = { nonResourceAttributes: { path: '/version', verb: 'get' } };
  expect((await review(ann, SelfSubjectAccessReview, url)).status.allowed).toBe(true);
});

test('may they: asked by those who may ask', async () => {
  const spec = { ...pods('get'), user: 'ann', groups: ['x'] };
  expect((await review(root, SubjectAccessReview, spec)).status.allowed).toBe(true);
  await expect(review(ann, SubjectAccessReview, spec)).rejects.toThrow('cannot create resource "subjectaccessreviews"');
  const wildcard = {
    resourceAttributes: { verb: '*', group: '*', resource: '*' },
    user: 'x',
    groups: ['system:masters'],
  };
  expect((await review(root, SubjectAccessReview, wildcard)).status.allowed).toBe(true);
  const node = {
    user: 'system:node:n',
    groups: ['system:nodes'],
    resourceAttributes: { verb: 'get', resource: 'nodes', name: 'm' },
  };
  expect((await review(root, SubjectAccessReview, node)).status.reason).toBe(
    "node 'n' cannot read 'm', only its own Node object",
  );
  const own = (fieldSelector: object) => ({
    ...node,
    resourceAttributes: { verb: 'list', resource: 'pods', fieldSelector },
  });
  const requirements = [{ key: 'spec.nodeName', operator: 'In', values: ['n'] }];
  expect((await review(root, SubjectAccessReview, own({ requirements }))).status.allowed).toBe(true);
  expect((await review(root, SubjectAccessReview, own({ rawSelector: 'spec.nodeName=m' }))).status.allowed).toBe(false);
});

test.each<[string, AnyKind, object, string]>([
  [
    'nothing asked',
    SelfSubjectAccessReview,
    {},
    'exactly one of nonResourceAttributes or resourceAttributes must be specified',
  ],
  [
    'two questions',
    SelfSubjectAccessReview,
    { ...pods('get'), nonResourceAttributes: { path: '/', verb: 'get' } },
    'cannot be specified in combination with resourceAttributes',
  ],
  ['about nobody', SubjectAccessReview, pods('get'), 'at least one of user or group must be specified'],
  [
    'another namespace',
    LocalSubjectAccessReview,
    { ...pods('get', 'x'), user: 'ann' },
    'must match metadata.namespace',
  ],
  [
    'a path in a namespace',
    LocalSubjectAccessReview,
    { user: 'ann', nonResourceAttributes: { path: '/', verb: 'get' } },
    'disallowed on this kind of request',
  ],
])('refused: %s', async (_, kind, spec, message) => {
  const asked = review(root, kind, spec, kind.namespaced ? 'default' : undefined);
  await expect(asked).rejects.toMatchObject({ code: 422, message: expect.stringContaining(message) as string });
});

test('in a namespace, by its administrator', async () => {
  const spec = { ...pods('get'), user: 'ann' };
  expect((await review(root, LocalSubjectAccessReview, spec, 'default')).status.allowed).toBe(true);
});

test('what may I', async () => {
  const { status } = await review(ann, SelfSubjectRulesReview, { namespace: 'default' });
  expect(status.resourceRules).toContainEqual({ verbs: ['create'], apiGroups: [''], resources: ['pods/eviction'] });
  expect(status.nonResourceRules).toContainEqual({
    verbs: ['get'],
    nonResourceURLs: expect.arrayContaining(['/version']) as string[],
  });
  const all = (await review(root, SelfSubjectRulesReview, { namespace: 'default' })).status;
  expect(all.resourceRules.filter((r) => JSON.stringify(r).includes('"resources":["*"]'))).toHaveLength(1);
  await expect(review(ann, SelfSubjectRulesReview, {})).rejects.toThrow('no namespace on request');
});

test('aggregated roles are complete from the first moment', () => {
  const changes = cluster.history().filter((c) => c.resource === 'clusterroles.rbac.authorization.k8s.io');
  const admin = changes.filter((c) => c.name === 'admin');
  expect(admin.map((c) => `${c.type} ${c.author?.user}`)).toEqual(['ADDED system:apiserver']);
  for (const what of ['rolebindings', 'secrets', 'pods/log'])
    expect(JSON.stringify(admin[0]!.object), what).toContain(what);
});

test('roles gather what is labelled for them, and give it up again', async () => {
  const { client } = cluster;
  const rules = async (name: string) => JSON.stringify((await client.get(ClusterRole, { name })).rules);
  expect(await rules('view')).toContain('pods/log');
  expect(await rules('view')).not.toContain('secrets');
  expect(await rules('admin')).toContain('rolebindings');
  const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' };
  const extra = [{ apiGroups: ['example.org'], resources: ['widgets'], verbs: ['get'] }];
  await client.create(ClusterRole, { metadata: { name: 'widgets', labels }, rules: extra } as never);
  await cluster.settle();
  for (const name of ['view', 'edit', 'admin']) expect(await rules(name)).toContain('widgets');
  await client.delete(ClusterRole, { name: 'widgets' });
  await cluster.settle();
  for (const name of ['view', 'edit', 'admin']) expect(await rules(name)).not.toContain('widgets');
});

test('an administrator of a namespace gives away what they hold, and no more', async () => {
  const admin: UserInfo = { name: 'adm', groups: ['system:authenticated'] };
  const bind = (user: string, roleRef: object, client = cluster.client) =>
    client.create(RoleBinding, {
      metadata: { name: `for-${user}`, namespace: 'default' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', ...roleRef },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    } as never);
  await bind('adm', { name: 'admin' });
  const client = cluster.clientFor(admin);
  await bind('bob', { name: 'view' }, client);
  const text =
    'user "adm" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:';
  await expect(bind('eve', { name: 'cluster-admin' }, client)).rejects.toThrow(text);
  const role = (rules: object[]) =>
    client.create(Role, { metadata: { name: `r${rules.length}`, namespace: 'default' }, rules } as never);
  await role([{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }]);
  const nodes = [
    { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list'] },
    { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
  ];
  await expect(role(nodes)).rejects.toThrow(`${text}\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}`);
});
