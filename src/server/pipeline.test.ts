// All verbs over the real pipeline on the memory store.

import { afterEach, expect, test } from 'vitest';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import type { WatchEvent } from '../api/op.ts';
import { createTestServer } from '../cluster/test-server.ts';

let t = createTestServer();
afterEach(() => {
  t.close();
  t = createTestServer();
});

const map = (name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) => ({
  metadata: { name, namespace: 'default', labels },
  data,
});

test('an object is created, read, changed and deleted', async () => {
  const created = await t.client.create(ConfigMap, map('a', { x: '1' }));
  expect(created).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', data: { x: '1' } });
  expect(created.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
  expect(created.metadata.creationTimestamp).toBe('2026-01-01T00:00:00Z');
  const ref = { namespace: 'default', name: 'a' };
  expect(await t.client.get(ConfigMap, ref)).toBe(created);

  const updated = await t.client.update(ConfigMap, { ...created, data: { x: '2' } });
  expect(Number(updated.metadata.resourceVersion)).toBeGreaterThan(Number(created.metadata.resourceVersion));
  const same = await t.client.update(ConfigMap, { ...updated, data: { x: '2' } });
  expect(same).toBe(updated);

  await expect(t.client.update(ConfigMap, { ...created, data: {} })).rejects.toMatchObject({
    reason: 'Conflict',
    message:
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  });
  const patched = await t.client.patch(ConfigMap, ref, 'merge', { data: { y: '3' } });
  expect(patched.data).toEqual({ x: '2', y: '3' });
  await t.client.delete(ConfigMap, ref);
  await expect(t.client.get(ConfigMap, ref)).rejects.toMatchObject({
    code: 404,
    message: 'configmaps "a" not found',
    details: { name: 'a', kind: 'configmaps' },
  });
});

test('lists select and page over one consistent picture', async () => {
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    await t.client.create(ConfigMap, map(name, {}, { even: String(name === 'b' || name === 'd') }));
  }
  const even = await t.client.list(ConfigMap, { labelSelector: 'even=true' });
  expect(even.items.map((o) => o.metadata.name)).toEqual(['b', 'd']);
  expect(even.kind).toBe('ConfigMapList');

  const first = await t.client.list(ConfigMap, { limit: 2 });
  expect(first.metadata).toMatchObject({ remainingItemCount: 3 });
  await t.client.delete(ConfigMap, { namespace: 'default', name: 'c' });
  const second = await t.client.list(ConfigMap, { limit: 2, continue: first.metadata.continue! });
  expect(second.items.map((o) => o.metadata.name)).toEqual(['c', 'd']);
  expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  const third = await t.client.list(ConfigMap, { limit: 2, continue: second.metadata.continue! });
  expect(third.items.map((o) => o.metadata.name)).toEqual(['e']);
  expect(third.metadata.continue).toBeUndefined();
});

test('a watch follows a selection', async () => {
  const events: string[] = [];
  const stream = await t.client.watch(ConfigMap, { labelSelector: 'app=x', resourceVersion: '0' });
  const sink = (batch: readonly WatchEvent<ConfigMap>[]) =>
    void events.push(...batch.map((e) => `${e.type} ${e.object.metadata.name} ${e.object.data?.v ?? ''}`.trim()));
  stream.start({ events: sink, closed: () => events.push('closed') });
  const a = await t.client.create(ConfigMap, map('a', { v: '1' }, { app: 'x' }));
  await t.client.create(ConfigMap, map('b', {}, { app: 'y' }));
  const a2 = await t.client.update(ConfigMap, { ...a, data: { v: '2' } });
  const a3 = await t.client.update(ConfigMap, { ...a2, metadata: { ...a2.metadata, labels: {} }, data: { v: '3' } });
  await t.client.update(ConfigMap, { ...a3, metadata: { ...a3.metadata, labels: { app: 'x' } }, data: { v: '4' } });
  await t.client.delete(ConfigMap, { namespace: 'default', name: 'a' });
  stream.stop();
  expect(events).toEqual(['ADDED a 1', 'MODIFIED a 2', 'DELETED a 2', 'ADDED a 4', 'DELETED a 4']);
});

test('generated names are unique', async () => {
  const names = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const pod = await t.client.create(Pod, {
      metadata: { generateName: 'p-', namespace: 'default' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });
    names.add(pod.metadata.name);
  }
  expect(names.size).toBe(20);
});
