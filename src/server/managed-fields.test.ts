// Server-side apply and managed fields, over the real pipeline. The merge itself is tested in api/apply.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import type { KubeObject } from '../api/object.ts';
import type { ObjectResult, UserInfo } from '../api/op.ts';
import { ADMIN, createTestServer, type TestServer } from '../cluster/test-server.ts';

let t: TestServer;
beforeEach(() => void (t = createTestServer()));
afterEach(() => t.close());

const ref = { namespace: 'ns', name: 'a' };
const owners = (object: KubeObject) =>
  (object.metadata.managedFields ?? []).map((m) =>
    [m.operation, m.manager, m.subresource, JSON.stringify(m.fieldsV1)].filter(Boolean).join(' '),
  );
const apply = (data: Record<string, string>, fieldManager = 'one', more: object = {}) =>
  t.client.apply(ConfigMap, { metadata: ref, data }, { fieldManager, ...more });
const deployment = {
  metadata: ref,
  spec: {
    replicas: 2,
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
} as unknown as Deployment;

test('every writer owns what it wrote', async () => {
  const created = await t.client.create(ConfigMap, { metadata: ref, data: { x: '1' } });
  expect(owners(created)).toEqual(['Update test {"f:data":{".":{},"f:x":{}}}']);
  const patched = await t.client.patch(
    ConfigMap,
    ref,
    'merge',
    { data: { x: '2', y: '3' } },
    { fieldManager: 'other' },
  );
  expect(owners(patched)).toEqual(['Update other {"f:data":{"f:x":{},"f:y":{}}}', 'Update test {"f:data":{}}']);
  const put = await t.client.update(ConfigMap, { ...patched, metadata: { ...patched.metadata, managedFields: [] } });
  expect(put.metadata.managedFields).toEqual(patched.metadata.managedFields);
  const reset = await t.client.patch(ConfigMap, ref, 'json', [
    { op: 'replace', path: '/metadata/managedFields', value: [{}] },
  ]);
  expect(owners(reset)).toEqual([]);
});

test('apply creates, merges, prunes, and writes nothing when nothing changes', async () => {
  const created = await apply({ x: '1', y: '1' });
  expect(created).toMatchObject({ data: { x: '1', y: '1' } });
  expect(owners(created)).toEqual(['Apply one {"f:data":{"f:x":{},"f:y":{}}}']);
  const before = t.store.revision;
  expect(await apply({ x: '1', y: '1' })).toBe(created);
  await t.clock.advance(5000);
  expect(await apply({ x: '1', y: '1' })).toBe(created);
  expect(t.store.revision).toBe(before);
  await apply({ z: '1' }, 'two');
  expect((await apply({ x: '2' })).data).toEqual({ x: '2', z: '1' });
});

test('apply does not take what others own, unless forced', async () => {
  await apply({ x: '1' });
  await expect(apply({ x: '2' }, 'two')).rejects.toMatchObject({
    code: 409,
    message: 'Apply failed with 1 conflict: conflict with "one": .data.x',
    details: { causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.x' }] },
  });
  const forced = await apply({ x: '2' }, 'two', { force: true });
  expect(owners(forced)).toEqual(['Apply two {"f:data":{"f:x":{}}}']);
});

test('apply names its version, its manager and its right to create', async () => {
  const created = await apply({ x: '1' });
  const metadata = { ...ref, resourceVersion: created.metadata.resourceVersion };
  await apply({ x: '2' });
  const old = t.client.apply(ConfigMap, { metadata, data: { x: '3' } }, { fieldManager: 'one' });
  await expect(old).rejects.toMatchObject({ reason: 'Conflict' });
  const absent = t.client.apply(ConfigMap, { metadata: { ...ref, name: 'b', uid: 'u' } }, { fieldManager: 'one' });
  await expect(absent).rejects.toMatchObject({
    message: expect.stringContaining('the provided object specified uid u, and no existing object was found') as string,
  });
  const nobody = t.clientFor(ADMIN, '').apply(ConfigMap, { metadata: ref, data: {} });
  await expect(nobody).rejects.toMatchObject({
    message: 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
  });
  t.close();
  const authorizer = {
    authorize: ({ verb, user }: { verb: string; user: UserInfo }) => ({
      allowed: verb !== 'create' || user.name === '',
      reason: '',
    }),
  };
  t = createTestServer({ authorizer });
  await expect(apply({ x: '1' })).rejects.toMatchObject({
    code: 403,
    message:
      'configmaps "a" is forbidden: User "admin" cannot create resource "configmaps" in API group "" in the namespace "ns"',
  });
});

test('status and scale are owned apart from the rest', async () => {
  const created = await t.client.create(Deployment, deployment);
  expect(owners(created)[0]).not.toContain('f:status');
  const ready = await t.client.update(
    Deployment,
    { ...created, status: { replicas: 1 } },
    { subresource: 'status', fieldManager: 'ctl' },
  );
  expect(owners(ready)).toContainEqual('Update ctl status {"f:status":{"f:replicas":{}}}');
  const scale = (patchType: 'merge' | 'apply', body: object, force = false) =>
    t.client.do({
      verb: 'patch',
      group: 'apps',
      version: 'v1',
      resource: 'deployments',
      ...ref,
      subresource: 'scale',
      patchType,
      body,
      options: { fieldManager: 'hpa', force },
    }) as Promise<ObjectResult>;
  await scale('merge', { spec: { replicas: 3 } });
  expect(owners(await t.client.get(Deployment, ref))).toContainEqual('Update hpa scale {"f:spec":{"f:replicas":{}}}');
  const body = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'a' }, spec: { replicas: 4 } };
  expect((await scale('apply', body, true)).object).toMatchObject({ spec: { replicas: 4 } });
  expect(owners(await t.client.get(Deployment, ref))).toContainEqual('Apply hpa scale {"f:spec":{"f:replicas":{}}}');
});

test('an apply of status changes status alone', async () => {
  await t.client.create(Deployment, deployment);
  const body = { metadata: ref, spec: { replicas: 9 }, status: { replicas: 1 } } as unknown as Deployment;
  const object = await t.client.apply(Deployment, body, { subresource: 'status', fieldManager: 'ctl', force: true });
  expect(object).toMatchObject({ spec: { replicas: 2 }, status: { replicas: 1 } });
  expect(owners(object)).toContainEqual('Apply ctl status {"f:status":{"f:replicas":{}}}');
});
