// get, list and watch: versions, pages, selectors, initial events, and what is too old.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Deployment } from '../../api/kinds/apps/deployment.ts';
import { ConfigMap } from '../../api/kinds/core/config-map.ts';
import { Node } from '../../api/kinds/core/node.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import type { KubeObject, Status } from '../../api/object.ts';
import type { OpOptions, WatchEvent } from '../../api/op.ts';
import { drainMicrotasks } from '../../base/virtual-clock.ts';
import type { ListOptions } from '../../client/client.ts';
import { createTestServer, type TestServer } from '../../cluster/test-server.ts';
import { encodeToken } from './continue-token.ts';

let t: TestServer;
beforeEach(() => void (t = createTestServer()));
afterEach(() => t.close());

const make = (name: string, labels: Record<string, string> = {}, namespace = 'ns') =>
  t.client.create(ConfigMap, { metadata: { name, namespace, labels } });
const names = (list: { items: readonly KubeObject[] }) => list.items.map((o) => o.metadata.name);
const pod = (name: string, nodeName = '') =>
  t.client.create(Pod, {
    metadata: { name, namespace: 'ns' },
    spec: { containers: [{ name: 'c', image: 'i' }], ...(nodeName ? { nodeName } : {}) },
  });

/** What a watch tells, as short texts. */
async function follow(options: ListOptions & { kind?: typeof ConfigMap } = {}) {
  const seen: string[] = [];
  const stream = await t.client.watch(options.kind ?? ConfigMap, options);
  const text = (e: WatchEvent) => {
    const { name, annotations } = e.object.metadata;
    if (e.type === 'ERROR') return `ERROR ${(e.object as unknown as Status).message}`;
    if (e.type === 'BOOKMARK') return `BOOKMARK${annotations?.['k8s.io/initial-events-end'] ? ' end' : ''}`;
    return `${e.type} ${name}`;
  };
  stream.start({ events: (batch) => void seen.push(...batch.map(text)), closed: () => void seen.push('closed') });
  return { seen, stream };
}

describe('list', () => {
  test.each<[string, OpOptions, string[]]>([
    ['everything', {}, ['a', 'b', 'c']],
    ['by label', { labelSelector: 'x in (1,2),x!=2' }, ['a']],
    ['by name', { fieldSelector: 'metadata.name=b' }, ['b']],
    ['by namespace', { fieldSelector: 'metadata.namespace!=ns' }, ['c']],
    ['from version 0', { resourceVersion: '0' }, ['a', 'b', 'c']],
  ])('%s', async (_, options, expected) => {
    await make('a', { x: '1' });
    await make('b', { x: '2' });
    await make('c', {}, 'other');
    expect(names(await t.client.list(ConfigMap, options)).sort()).toEqual(expected);
  });

  test('of one namespace, and pods of one node', async () => {
    await make('a');
    await make('b', {}, 'other');
    expect(names(await t.client.list(ConfigMap, { namespace: 'other' }))).toEqual(['b']);
    await pod('p', 'n1');
    await pod('q', 'n2');
    await pod('r');
    expect(names(await t.client.list(Pod, { fieldSelector: 'spec.nodeName=n2' }))).toEqual(['q']);
    expect(names(await t.client.list(Pod, { fieldSelector: 'spec.nodeName=' }))).toEqual(['r']);
    expect(names(await t.client.list(Pod, { fieldSelector: 'spec.nodeName!=n1,status.phase=Pending' }))).toEqual([
      'q',
      'r',
    ]);
  });

  test('as it was, and not before', async () => {
    const a = await make('a');
    await make('b');
    const exact = { resourceVersionMatch: 'Exact' } as const;
    const past = await t.client.list(ConfigMap, { ...exact, resourceVersion: a.metadata.resourceVersion });
    expect(names(past)).toEqual(['a']);
    expect(past.metadata.resourceVersion).toBe(a.metadata.resourceVersion);
    await expect(t.client.list(ConfigMap, { ...exact, resourceVersion: '1' })).resolves.toMatchObject({ items: [] });
  });

  test('a version that has not been comes, or times out', async () => {
    await make('a');
    const next = String(t.store.revision + 1);
    const waiting = t.client.list(ConfigMap, { resourceVersion: next });
    await make('b');
    expect(names(await waiting)).toEqual(['a', 'b']);
    const late = t.client.list(ConfigMap, { resourceVersion: '999' });
    const outcome = expect(late).rejects.toMatchObject({
      code: 504,
      message: 'Timeout: Too large resource version: 999, current: 3',
      details: { causes: [{ reason: 'ResourceVersionTooLarge' }], retryAfterSeconds: 1 },
    });
    await drainMicrotasks();
    await t.clock.advance(3000);
    await outcome;
  });

  test.each<[OpOptions, number, string]>([
    [{ labelSelector: 'a b' }, 400, 'unable to parse requirement: found'],
    [
      { fieldSelector: 'spec.x=1' },
      400,
      '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ],
    [{ continue: '@@' }, 400, 'invalid continue token'],
    [
      { resourceVersionMatch: 'Exact' },
      422,
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    ],
    [
      { resourceVersionMatch: 'Exact', resourceVersion: '0' },
      422,
      'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ],
    [{ sendInitialEvents: true }, 422, 'sendInitialEvents is forbidden for list'],
    [{ resourceVersion: 'x' }, 422, 'Invalid value: "x"'],
  ])('refuses %j', async (options, code, message) => {
    await expect(t.client.list(ConfigMap, options)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });

  test('a page after its list was forgotten is refused, with a way on', async () => {
    for (const name of ['a', 'b', 'c']) await make(name);
    const old = encodeToken({ revision: 0.5 as number, start: 'ns/a' });
    await expect(t.client.list(ConfigMap, { continue: old })).rejects.toMatchObject({ code: 400 });
    const store = t.store;
    t.close();
    await store.compact(store.revision);
    t = createTestServer({ store });
    const gone = encodeToken({ revision: 2, start: 'ns/a' });
    const error = await t.client.list(ConfigMap, { continue: gone, limit: 1 }).catch((e: unknown) => e);
    const status = (error as { toStatus(): Status }).toStatus();
    expect(status).toMatchObject({ code: 410, reason: 'Expired' });
    const rest = await t.client.list(ConfigMap, { continue: status.metadata.continue! });
    expect(names(rest)).toEqual(['b', 'c']);
  });

  test('pages of a selection', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await make(name, { x: name === 'b' ? '2' : '1' });
    const first = await t.client.list(ConfigMap, { limit: 2, labelSelector: 'x=1' });
    expect(names(first)).toEqual(['a', 'c']);
    expect(first.metadata.remainingItemCount).toBeUndefined();
    const next = { limit: 2, labelSelector: 'x=1', continue: first.metadata.continue! };
    const second = await t.client.list(ConfigMap, next);
    expect(names(second)).toEqual(['d']);
    expect(second.metadata.continue).toBeUndefined();
  });
});

describe('watch', () => {
  test('without a version the present comes first', async () => {
    await make('a');
    const { seen, stream } = await follow();
    await make('b');
    stream.stop();
    await make('c');
    expect(seen).toEqual(['ADDED a', 'ADDED b']);
  });

  test('from a version on', async () => {
    const a = await make('a');
    await make('b');
    const { seen } = await follow({ resourceVersion: a.metadata.resourceVersion });
    await t.client.delete(ConfigMap, { namespace: 'ns', name: 'a' });
    expect(seen).toEqual(['ADDED b', 'DELETED a']);
  });

  test('a deletion tells its own version', async () => {
    await make('a');
    const versions: string[] = [];
    const stream = await t.client.watch(ConfigMap, {});
    stream.start({
      events: (batch) => void versions.push(...batch.map((e) => e.object.metadata.resourceVersion)),
      closed: () => {},
    });
    await t.client.delete(ConfigMap, { namespace: 'ns', name: 'a' });
    expect(versions).toEqual(['2', '3']);
  });

  test('initial events end with a bookmark', async () => {
    await make('a');
    const initial = {
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: true,
    } as const;
    const { seen } = await follow(initial);
    expect(seen).toEqual(['ADDED a', 'BOOKMARK end']);
    await t.clock.advance(60_000);
    expect(seen.slice(2)).toEqual(['BOOKMARK', 'BOOKMARK']);
    expect((await follow({ sendInitialEvents: false, resourceVersionMatch: 'NotOlderThan' })).seen).toEqual([]);
  });

  test('ends in time, or with the client', async () => {
    const { seen } = await follow({ timeoutSeconds: 5 });
    await t.clock.advance(5000);
    expect(seen).toEqual(['closed']);
    const abort = new AbortController();
    const second = await follow({ signal: abort.signal });
    abort.abort();
    await make('a');
    expect(second.seen).toEqual([]);
  });

  test('one object, and a node’s pods', async () => {
    const { seen } = await follow({ namespace: 'ns', fieldSelector: 'metadata.name=a' });
    const pods = await follow({ kind: Pod as never, fieldSelector: 'spec.nodeName=n1' });
    await make('a');
    await make('b');
    await pod('p', 'n1');
    await pod('q', 'n2');
    expect(seen).toEqual(['ADDED a']);
    expect(pods.seen).toEqual(['ADDED p']);
  });

  test('from a forgotten version it fails as an event', async () => {
    await make('a');
    await make('b');
    const { store } = t;
    t.close();
    await store.compact(store.revision);
    t = createTestServer({ store });
    const { seen } = await follow({ resourceVersion: '1' });
    expect(seen).toEqual(['ERROR too old resource version: 1 (3)', 'closed']);
  });

  test('ends when the server closes', async () => {
    const { seen } = await follow();
    t.close();
    expect(seen).toEqual(['closed']);
  });

  test.each<[OpOptions, string]>([
    [
      { resourceVersionMatch: 'NotOlderThan' },
      'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    ],
    [{ sendInitialEvents: true }, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'],
  ])('refuses %j', async (options, message) => {
    await expect(t.client.watch(ConfigMap, options)).rejects.toMatchObject({
      code: 422,
      message: expect.stringContaining(message) as string,
    });
  });
});

test('get waits for the version asked for', async () => {
  const node = await t.client.create(Node, { metadata: { name: 'n' }, spec: {} });
  expect(await t.client.get(Node, { name: 'n' }, { resourceVersion: node.metadata.resourceVersion })).toBe(node);
  await expect(t.client.get(Deployment, { namespace: 'ns', name: 'x' })).rejects.toMatchObject({
    message: 'deployments.apps "x" not found',
    details: { name: 'x', group: 'apps', kind: 'deployments' },
  });
});
