// Authorization in front of every verb, in upstream's words, and what happens around it.

import { expect, test } from 'vitest';
import { StatusError } from '../api/errors.ts';
import { defineKind, type AnyKind } from '../api/kind.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import type { KubeObject } from '../api/object.ts';
import type { ApiOp, NoUser } from '../api/op.ts';
import { createLogger, type LogRecord } from '../base/log.ts';
import { createTestServer } from '../cluster/test-server.ts';
import type { Attributes } from './authorizer.ts';
import { KindRegistry } from './kind-registry.ts';

const op = (more: Partial<NoUser<ApiOp>>): NoUser<ApiOp> => ({
  verb: 'get',
  group: '',
  version: 'v1',
  resource: 'pods',
  options: {},
  ...more,
});

test.each<[Partial<NoUser<ApiOp>>, string, string]>([
  [
    { namespace: 'ns', name: 'x' },
    'get',
    'pods "x" is forbidden: User "u" cannot get resource "pods" in API group "" in the namespace "ns"',
  ],
  [
    { verb: 'list' },
    'list',
    'pods is forbidden: User "u" cannot list resource "pods" in API group "" at the cluster scope',
  ],
  [
    { verb: 'update', group: 'apps', resource: 'deployments', namespace: 'ns', name: 'x', subresource: 'status' },
    'update',
    'deployments.apps "x" is forbidden: User "u" cannot update resource "deployments/status" in API group "apps" in the namespace "ns"',
  ],
  [
    { resource: 'namespaces', name: 'x' },
    'get',
    'namespaces "x" is forbidden: User "u" cannot get resource "namespaces" in API group "" in the namespace "x"',
  ],
  [
    {
      verb: 'connect',
      name: 'p',
      namespace: 'ns',
      subresource: 'exec',
      connect: { method: 'GET', path: '', headers: {} },
    },
    'get',
    'pods "p" is forbidden: User "u" cannot get resource "pods/exec" in API group "" in the namespace "ns"',
  ],
  [
    { verb: 'connect', name: 'p', namespace: 'ns', subresource: 'exec' },
    'create',
    'pods "p" is forbidden: User "u" cannot create resource "pods/exec" in API group "" in the namespace "ns"',
  ],
])('%j', async (more, verb, message) => {
  const asked: Attributes[] = [];
  const authorizer = { authorize: (a: Attributes) => (asked.push(a), { allowed: false, reason: '' }) };
  const t = createTestServer({ authorizer });
  await expect(t.clientFor({ name: 'u', groups: [] }).do(op(more))).rejects.toMatchObject({
    code: 403,
    reason: 'Forbidden',
    message,
  });
  expect(asked[0]).toMatchObject({ verb });
  t.close();
});

test('a reason is told', async () => {
  const t = createTestServer({ authorizer: { authorize: () => ({ allowed: false, reason: 'because' }) } });
  await expect(t.client.do(op({ verb: 'list' }))).rejects.toMatchObject({
    message: expect.stringMatching(/at the cluster scope: because$/) as string,
  });
  t.close();
});

test('verbs a kind does not have', async () => {
  const t = createTestServer();
  const review = { group: 'authorization.k8s.io', resource: 'subjectaccessreviews' } as const;
  await expect(t.client.do(op({ ...review, verb: 'list' }))).rejects.toMatchObject({
    code: 405,
    message: 'the server does not allow this method on the requested resource',
  });
  await expect(t.client.do(op({ verb: 'delete', name: 'p', subresource: 'status' }))).rejects.toMatchObject({
    code: 405,
  });
  t.close();
});

test('every outcome is observed, and what nobody expected becomes an internal error', async () => {
  const seen: (string | undefined)[] = [];
  const logged: LogRecord[] = [];
  const t = createTestServer({
    observe: (o, { error }) => seen.push(`${o.verb} ${error?.reason ?? 'ok'}`),
    log: createLogger({ sink: (r) => logged.push(r) }),
    handlers: [
      ['pods/boom', () => Promise.reject(new TypeError('oops'))],
      ['pods/gone', () => Promise.reject(new StatusError('Gone', 'x'))],
    ],
  });
  await t.client.list(ConfigMap);
  const call = (subresource: string) => t.client.do(op({ namespace: 'ns', name: 'p', subresource }));
  await expect(call('boom')).rejects.toMatchObject({ code: 500, message: 'Internal error occurred: oops' });
  await expect(call('gone')).rejects.toMatchObject({ code: 410 });
  expect(seen).toEqual(['list ok', 'get InternalError', 'get Gone']);
  expect(logged).toMatchObject([{ message: 'unexpected error', component: 'apiserver' }]);
  const aborted = AbortSignal.abort();
  await expect(t.client.list(ConfigMap, { signal: aborted })).rejects.toMatchObject({ message: 'context canceled' });
  t.close();
});

test('kinds come and go', async () => {
  const t = createTestServer();
  const Widget = defineKind<KubeObject>({
    group: 'x.io',
    version: 'v1',
    kind: 'Widget',
    plural: 'widgets',
    namespaced: false,
    type: 'core.v1.ConfigMap',
  });
  const { kinds } = t.server;
  const [generation, fingerprint] = [kinds.generation, kinds.fingerprint];
  const changes: unknown[] = [];
  const stop = kinds.onChange((change) => changes.push(change));
  kinds.add(Widget as AnyKind);
  expect(kinds.generation).toBeGreaterThan(generation);
  expect(kinds.fingerprint).not.toBe(fingerprint);
  expect(kinds.byKind('x.io/v1', 'Widget')).toBe(Widget);
  await t.client.create(Widget, { metadata: { name: 'w' } });
  const ended: string[] = [];
  (await t.client.watch(Widget)).start({ events: () => {}, closed: () => void ended.push('closed') });
  kinds.remove(Widget as AnyKind);
  expect(ended).toEqual(['closed']);
  expect(kinds.fingerprint).toBe(fingerprint);
  await expect(t.client.get(Widget, { name: 'w' })).rejects.toMatchObject({ code: 404 });
  stop();
  kinds.add(Widget as AnyKind);
  expect(changes).toEqual([{ added: Widget }, { removed: Widget }]);
  expect(await t.client.get(Widget, { name: 'w' })).toBeTruthy();
  expect(new KindRegistry(kinds.list()).fingerprint).toBe(kinds.fingerprint);
  expect(kinds.versions('x.io', 'widgets')).toEqual([Widget]);
  t.close();
});

test('one stored object in two forms', async () => {
  const Other: AnyKind = defineKind<KubeObject>({
    group: 'x.io',
    version: 'v1',
    kind: 'OtherMap',
    plural: 'othermaps',
    namespaced: true,
    type: 'core.v1.ConfigMap',
    storedAs: {
      kind: ConfigMap as AnyKind,
      to: (object) => ({ ...object, apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...object.metadata } }),
      from: (stored) => ({ ...stored, apiVersion: 'x.io/v1', kind: 'OtherMap' }),
    },
  });
  const t = createTestServer({ extraKinds: [Other] });
  const ref = { namespace: 'ns', name: 'a' };
  const made = await t.client.create(Other, { metadata: ref });
  expect(made).toMatchObject({ apiVersion: 'x.io/v1', kind: 'OtherMap' });
  const plain = await t.client.get(ConfigMap, ref);
  expect(plain).toMatchObject({ kind: 'ConfigMap', metadata: { uid: made.metadata.uid } });
  await t.client.update(ConfigMap, { ...plain, data: { x: '1' } });
  expect(await t.client.get(Other, ref)).toMatchObject({ kind: 'OtherMap', data: { x: '1' } });
  expect(await t.client.get(Other, ref)).toBe(await t.client.get(Other, ref));
  await t.client.patch(Other, ref, 'merge', { metadata: { labels: { a: 'b' } } });
  expect((await t.client.get(ConfigMap, ref)).metadata.labels).toEqual({ a: 'b' });
  expect((await t.client.list(Other)).items).toHaveLength(1);
  await t.client.delete(Other, ref);
  await expect(t.client.get(ConfigMap, ref)).rejects.toMatchObject({ reason: 'NotFound' });
  t.close();
});
