// create, update, patch and delete: the rules, and upstream's words when they are broken.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigMap } from '../../api/kinds/core/config-map.ts';
import { Namespace } from '../../api/kinds/core/namespace.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import { Deployment } from '../../api/kinds/apps/deployment.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ApiOp, NoUser, ObjectResult } from '../../api/op.ts';
import { createTestServer, type TestServer } from '../../cluster/test-server.ts';

let t: TestServer;
beforeEach(() => void (t = createTestServer()));
afterEach(() => t.close());

const map = (metadata: object, data: Record<string, string> = {}) =>
  ({ metadata: { namespace: 'ns', ...metadata }, data }) as unknown as ConfigMap;
const maps = { group: '', version: 'v1', resource: 'configmaps', namespace: 'ns', options: {} } as const;
const send = async (op: Partial<NoUser<ApiOp>>) =>
  (await t.client.do({ ...maps, verb: 'create', ...op } as NoUser<ApiOp>)) as ObjectResult;
const ref = { namespace: 'ns', name: 'a' };
const pod = (metadata: object, spec: object = {}) =>
  ({ metadata: { namespace: 'ns', ...metadata }, spec: { containers: [{ name: 'c', image: 'i' }], ...spec } }) as Pod;
const deployment = {
  metadata: ref,
  spec: {
    replicas: 2,
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
} as unknown as Deployment;

describe('create', () => {
  test.each<[string, Partial<NoUser<ApiOp>>, number, string]>([
    ['a taken name', { body: map({ name: 'taken' }) }, 409, 'configmaps "taken" already exists'],
    [
      'another namespace',
      { body: map({ name: 'a', namespace: 'other' }) },
      400,
      'the namespace of the provided object does not match the namespace sent on the request',
    ],
    [
      'another kind',
      { body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } } },
      400,
      'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (v1.ConfigMap): unknown conversion',
    ],
    [
      'another version',
      { body: { apiVersion: 'apps/v1', kind: 'ConfigMap', metadata: { name: 'a' } } },
      400,
      'the API version in the data (apps/v1) does not match the expected API version (v1)',
    ],
    [
      'no name',
      { body: map({}) },
      422,
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ],
    [
      'a wrong type',
      { body: { metadata: { name: 'a' }, data: { x: 1 } } },
      400,
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
    ],
    [
      'an unknown field, strictly',
      { body: { metadata: { name: 'a' }, dta: {} }, options: { fieldValidation: 'Strict' } },
      400,
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dta"',
    ],
    [
      'a version',
      { body: map({ name: 'a', resourceVersion: '5' }) },
      500,
      'resourceVersion should not be set on objects to be created',
    ],
    ['an unknown resource', { resource: 'widgets', body: {} }, 404, 'the server could not find the requested resource'],
  ])('refuses %s', async (_, op, code, message) => {
    await t.client.create(ConfigMap, map({ name: 'taken' }));
    await expect(send(op)).rejects.toMatchObject({ code, message });
  });

  test('warns of unknown fields', async () => {
    const result = await send({ body: { metadata: { name: 'a' }, dta: {} } });
    expect(result.warnings).toEqual(['unknown field "dta"']);
    expect(result.code).toBe(201);
  });

  test('sets what the server owns, whatever the client says', async () => {
    const created = await t.client.create(
      ConfigMap,
      map({ name: 'a', uid: 'x', generation: 7, creationTimestamp: '2000-01-01T00:00:00Z' }),
    );
    expect(created.metadata).toMatchObject({ creationTimestamp: '2026-01-01T00:00:00Z' });
    expect(created.metadata.uid).not.toBe('x');
    expect(created.metadata.generation).toBeUndefined();
    expect(created.metadata.resourceVersion).toBe(String(t.store.revision));
  });

  test('a dry run tells what would be, and writes nothing', async () => {
    const before = t.store.revision;
    const result = await t.client.create(ConfigMap, map({ name: 'a' }), { dryRun: true });
    expect(result.metadata.uid).toBeTruthy();
    expect(result.metadata.resourceVersion).toBeUndefined();
    expect(t.store.revision).toBe(before);
    await expect(t.client.get(ConfigMap, ref)).rejects.toMatchObject({ reason: 'NotFound' });
  });

  test('owners named twice are named once, with a warning', async () => {
    const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' };
    const { object, warnings } = await send({ body: map({ name: 'a', ownerReferences: [owner, owner] }) });
    expect(object.metadata.ownerReferences).toEqual([owner]);
    expect(warnings?.[0]).toMatch(/^\.metadata\.ownerReferences contains duplicate entries.*observed: \[u\]$/);
  });
});

describe('update', () => {
  test.each<[string, object, number, string]>([
    ['another name', { name: 'b' }, 400, 'the name of the object (b) does not match the name on the URL (a)'],
    ['another uid', { uid: 'x' }, 409, 'Precondition failed: UID in precondition: x, UID in object meta: '],
    ['an old version', { resourceVersion: '1' }, 409, 'the object has been modified'],
    [
      'another creation time, silently keeping its own; a bad label',
      { creationTimestamp: '2000-01-01T00:00:00Z', labels: { '-': 'x' } },
      422,
      'ConfigMap "a" is invalid: metadata.labels: Invalid value: "-"',
    ],
  ])('refuses %s', async (_, metadata, code, message) => {
    const created = await t.client.create(ConfigMap, map({ name: 'a' }));
    const body = { ...created, metadata: { ...created.metadata, ...metadata } };
    await expect(send({ verb: 'update', name: 'a', body })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });

  test('without a version it replaces whatever is there', async () => {
    await t.client.create(ConfigMap, map({ name: 'a' }, { x: '1' }));
    const { object } = await send({ verb: 'update', name: 'a', body: map({ name: 'a' }, { y: '2' }) });
    expect(object).toMatchObject({ data: { y: '2' } });
  });

  test('of what is missing', async () => {
    const op = send({ verb: 'update', name: 'a', body: map({ name: 'a' }) });
    await expect(op).rejects.toMatchObject({ code: 404, message: 'configmaps "a" not found' });
  });

  test('status and the rest go their own ways, and only the rest counts as a generation', async () => {
    const created = await t.client.create(Deployment, { ...deployment, status: { replicas: 9 } });
    expect(created.status?.replicas).toBeUndefined();
    expect(created.metadata.generation).toBe(1);
    const status = await t.client.update(
      Deployment,
      { ...created, spec: { ...created.spec, replicas: 7 }, status: { replicas: 1, observedGeneration: 1 } },
      { subresource: 'status' },
    );
    expect(status).toMatchObject({ spec: { replicas: 2 }, status: { replicas: 1 }, metadata: { generation: 1 } });
    const main = await t.client.update(Deployment, { ...status, spec: { ...status.spec, replicas: 7 }, status: {} });
    expect(main).toMatchObject({ spec: { replicas: 7 }, status: { replicas: 1 }, metadata: { generation: 2 } });
  });

  test('that changes nothing writes nothing', async () => {
    const created = await t.client.create(ConfigMap, map({ name: 'a' }));
    const before = t.store.revision;
    expect(await t.client.update(ConfigMap, structuredClone(created))).toBe(created);
    expect(t.store.revision).toBe(before);
  });

  test('scale', async () => {
    await t.client.create(Deployment, deployment);
    const scale = { group: 'apps', resource: 'deployments', name: 'a', subresource: 'scale' } as const;
    const { object } = await send({ ...scale, verb: 'get' });
    expect(object).toMatchObject({ kind: 'Scale', spec: { replicas: 2 }, status: { replicas: 0, selector: 'a=b' } });
    const body = { ...object, spec: { replicas: 5 } };
    expect((await send({ ...scale, verb: 'update', body })).object).toMatchObject({ spec: { replicas: 5 } });
    await expect(send({ ...scale, verb: 'update', body })).rejects.toMatchObject({ code: 409 });
    const patch = { ...scale, verb: 'patch', patchType: 'merge' } as const;
    await send({ ...patch, body: { spec: { replicas: 3 } } });
    expect((await t.client.get(Deployment, ref)).spec.replicas).toBe(3);
    await expect(send({ ...patch, body: { spec: { replicas: -1 } } })).rejects.toMatchObject({
      code: 422,
      message: 'Scale.autoscaling "a" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    });
  });
});

describe('patch', () => {
  test.each<[string, 'json' | 'merge' | 'strategic', unknown, object]>([
    ['json', 'json', [{ op: 'add', path: '/data/z', value: '9' }], { x: '1', z: '9' }],
    ['merge', 'merge', { data: { x: null, y: '2' } }, { y: '2' }],
    ['strategic', 'strategic', { data: { $patch: 'replace', y: '2' } }, { y: '2' }],
  ])('%s', async (_, type, patch, data) => {
    await t.client.create(ConfigMap, map({ name: 'a' }, { x: '1' }));
    expect((await t.client.patch(ConfigMap, ref, type, patch)).data).toEqual(data);
  });

  test('is applied to whatever is there, unless it names a version', async () => {
    const created = await t.client.create(ConfigMap, map({ name: 'a' }));
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => t.client.patch(ConfigMap, ref, 'merge', { data: { [`k${i}`]: 'v' } })),
    );
    expect(Object.keys((await t.client.get(ConfigMap, ref)).data!)).toHaveLength(10);
    const metadata = { resourceVersion: created.metadata.resourceVersion };
    const old = t.client.patch(ConfigMap, ref, 'merge', { metadata, data: { x: '1' } });
    await expect(old).rejects.toMatchObject({ reason: 'Conflict' });
  });

  test.each<[string, unknown, number, string]>([
    ['a name', { metadata: { name: 'b' } }, 400, 'the name of the object (b) does not match the name on the URL (a)'],
    ['a finalizer that is no name', { metadata: { finalizers: ['a b'] } }, 422, 'metadata.finalizers'],
  ])('refuses to change %s', async (_, patch, code, message) => {
    await t.client.create(ConfigMap, map({ name: 'a' }));
    await expect(t.client.patch(ConfigMap, ref, 'merge', patch)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('delete', () => {
  const options = {
    group: '',
    version: 'v1',
    resource: 'configmaps',
    namespace: 'ns',
    name: 'a',
    verb: 'delete',
  } as const;

  test('answers with a Status, or with the object', async () => {
    const created = await t.client.create(ConfigMap, map({ name: 'a' }));
    expect((await send({ verb: 'delete', name: 'a' })).object).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: 'a', kind: 'configmaps', uid: created.metadata.uid },
    });
    const p = await t.client.create(Pod, pod({ name: 'a' }));
    expect((await send({ ...options, resource: 'pods' })).object).toBe(p);
  });

  test('preconditions', async () => {
    const created = await t.client.create(ConfigMap, map({ name: 'a' }));
    await expect(t.client.delete(ConfigMap, ref, { preconditions: { uid: 'x' } })).rejects.toMatchObject({
      code: 409,
      message: `Operation cannot be fulfilled on configmaps "a": Precondition failed: UID in precondition: x, UID in object meta: ${created.metadata.uid}`,
    });
    const wrong = t.client.delete(ConfigMap, ref, { preconditions: { resourceVersion: '1' } });
    await expect(wrong).rejects.toMatchObject({ reason: 'Conflict' });
    await t.client.delete(ConfigMap, ref, { preconditions: { uid: created.metadata.uid } });
  });

  test('finalizers hold the object', async () => {
    await t.client.create(ConfigMap, map({ name: 'a', finalizers: ['x.io/y'] }));
    const marked = await t.client.delete(ConfigMap, ref);
    expect(marked?.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:00Z',
      deletionGracePeriodSeconds: 0,
      finalizers: ['x.io/y'],
    });
    const more = t.client.patch(ConfigMap, ref, 'merge', { metadata: { finalizers: ['x.io/y', 'x.io/z'] } });
    await expect(more).rejects.toMatchObject({
      message: expect.stringContaining('no new finalizers can be added if the object is being deleted') as string,
    });
    await expect(t.client.create(ConfigMap, map({ name: 'a' }))).rejects.toMatchObject({
      message: 'object is being deleted: configmaps "a" already exists',
    });
    const before = t.store.revision;
    await t.client.delete(ConfigMap, ref);
    expect(t.store.revision).toBe(before);
    await t.client.patch(ConfigMap, ref, 'merge', { metadata: { finalizers: null } });
    await expect(t.client.get(ConfigMap, ref)).rejects.toMatchObject({ reason: 'NotFound' });
  });

  test.each([
    ['Orphan', ['orphan']],
    ['Foreground', ['foregroundDeletion']],
  ] as const)('%s becomes a finalizer', async (propagationPolicy, finalizers) => {
    await t.client.create(Deployment, deployment);
    const marked = await t.client.delete(Deployment, ref, { propagationPolicy });
    expect(marked?.metadata).toMatchObject({ finalizers, generation: 2 });
    const background = await t.client.delete(Deployment, ref, { propagationPolicy: 'Background' });
    expect(background).toBeUndefined();
  });

  test('a pod on a node gets its grace period, which can only become shorter', async () => {
    await t.client.create(Pod, pod({ name: 'a' }, { nodeName: 'n', terminationGracePeriodSeconds: 30 }));
    const marked = await t.client.delete(Pod, ref);
    expect(marked?.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:30Z',
      deletionGracePeriodSeconds: 30,
    });
    expect(await t.client.delete(Pod, ref, { gracePeriodSeconds: 60 })).toBe(marked);
    const shorter = await t.client.delete(Pod, ref, { gracePeriodSeconds: 5 });
    expect(shorter?.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:05Z',
      deletionGracePeriodSeconds: 5,
    });
    await t.client.delete(Pod, ref, { gracePeriodSeconds: 0 });
    await expect(t.client.get(Pod, ref)).rejects.toMatchObject({ reason: 'NotFound' });
  });

  test('a namespace goes when its content is gone', async () => {
    await t.client.create(Namespace, { metadata: { name: 'x' } } as Namespace);
    const marked = await t.client.delete(Namespace, { name: 'x' });
    expect(marked).toMatchObject({ status: { phase: 'Terminating' }, spec: { finalizers: ['kubernetes'] } });
    const finalize = { resource: 'namespaces', namespace: undefined, name: 'x', subresource: 'finalize' } as const;
    await send({ ...finalize, verb: 'update', body: { metadata: { name: 'x' }, spec: { finalizers: [] } } });
    await expect(t.client.get(Namespace, { name: 'x' })).rejects.toMatchObject({ reason: 'NotFound' });
  });

  test('a collection, by selector', async () => {
    for (const name of ['a', 'b', 'c']) {
      await t.client.create(ConfigMap, map({ name, labels: { keep: String(name === 'b') } }));
    }
    await t.client.deleteCollection(ConfigMap, { namespace: 'ns', labelSelector: 'keep!=true' });
    const left = await t.client.list(ConfigMap);
    expect(left.items.map((o: KubeObject) => o.metadata.name)).toEqual(['b']);
  });

  test('a dry run leaves the object', async () => {
    await t.client.create(ConfigMap, map({ name: 'a' }));
    await t.client.delete(ConfigMap, ref, { dryRun: true });
    await t.client.get(ConfigMap, ref);
  });
});
