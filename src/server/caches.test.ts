// Keys and reads of a store that others write to as well.

import { expect, test } from 'vitest';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Node } from '../api/kinds/core/node.ts';
import { silentLogger } from '../base/log.ts';
import { createTestServer } from '../cluster/test-server.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { StoreError, type Store } from '../store/store.ts';
import { Caches, prefixOf, translateStoreError } from './caches.ts';

test('keys and scopes', () => {
  const caches = new Caches({ store: new MemoryStore(), log: silentLogger });
  const maps = caches.of(ConfigMap);
  expect(prefixOf(ConfigMap)).toBe('/registry/core/configmaps/');
  expect(maps.key('ns', 'a')).toBe('/registry/core/configmaps/ns/a');
  expect([maps.scope(undefined), maps.scope('ns'), maps.scope('ns', 'a'), maps.scope(undefined, 'a')]).toEqual([
    '/registry/core/configmaps/',
    '/registry/core/configmaps/ns/',
    '/registry/core/configmaps/ns/a',
    '/registry/core/configmaps/',
  ]);
  expect(caches.of(Node).scope(undefined, 'n')).toBe('/registry/core/nodes/n');
  caches.close();
});

test('bytes of a former process are read; what cannot be read is there by name and can be deleted', async () => {
  const store = new MemoryStore();
  const bytes = (text: string) => ({ bytes: new TextEncoder().encode(text) });
  const good =
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"ns","uid":"u"},"data":{"x":"1"}}';
  await store.txn([], [{ put: '/registry/core/configmaps/ns/a', value: bytes(good) }]);
  await store.txn([], [{ put: '/registry/core/configmaps/ns/b', value: bytes('{') }]);
  const t = createTestServer({ store });
  expect(await t.client.get(ConfigMap, { namespace: 'ns', name: 'a' })).toMatchObject({
    data: { x: '1' },
    metadata: { resourceVersion: '2' },
  });
  expect((await t.client.list(ConfigMap)).items.map((o) => o.metadata.name)).toEqual(['a', 'b']);
  await t.client.delete(ConfigMap, { namespace: 'ns', name: 'b' });
  expect((await t.client.list(ConfigMap)).items).toHaveLength(1);
  t.close();
});

test('a shared store is asked how far it is', async () => {
  const store: MemoryStore & { latest?: () => Promise<number> } = new MemoryStore();
  const asked: number[] = [];
  store.latest = async () => {
    asked.push(store.revision);
    return store.revision;
  };
  const t = createTestServer({ store });
  const made = await t.client.create(ConfigMap, { metadata: { name: 'a', namespace: 'ns' } });
  expect(asked).toHaveLength(0);
  await t.client.get(ConfigMap, made.metadata);
  await t.client.list(ConfigMap);
  await t.client.list(ConfigMap, { resourceVersion: '0' });
  await t.client.patch(ConfigMap, made.metadata, 'merge', { data: { x: '1' } });
  expect(asked).toHaveLength(3);
  store.latest = () => Promise.reject(new StoreError('closed', 'no quorum'));
  await expect(t.client.list(ConfigMap)).rejects.toMatchObject({ code: 503 });
  t.close();
});

test.each([
  ['compacted', 410],
  ['closed', 503],
  ['full', 503],
  ['readonly', 503],
  ['unknown', 504],
  ['corrupt', 500],
] as const)('a store that is %s answers %d', (fault, code) => {
  expect(translateStoreError(new StoreError(fault, 'x'))).toMatchObject({ code });
});

test('a store that fails a write', async () => {
  const store = new MemoryStore();
  const broken: Store['txn'] = () => Promise.reject(new StoreError('full', 'no space left'));
  const t = createTestServer({ store });
  store.txn = broken;
  const create = t.client.create(ConfigMap, { metadata: { name: 'a', namespace: 'ns' } });
  await expect(create).rejects.toMatchObject({ code: 503, details: { retryAfterSeconds: 1 } });
  t.close();
});
