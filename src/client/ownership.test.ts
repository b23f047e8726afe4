import { afterEach, beforeEach, expect, it } from 'vitest';
import { isReason } from '../api/errors.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import type { KubeObject } from '../api/object.ts';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { applyActions } from './apply-actions.ts';
import type { Action } from './controller.ts';
import { addFinalizer, hasFinalizer, removeFinalizer } from './ownership.ts';
import { Writes } from './write-barrier.ts';

let test: TestServer;
beforeEach(async () => {
  test = createTestServer();
  await test.client.create(Namespace, { metadata: { name: 'a' } } as never);
});
afterEach(() => test.close());

const apply = (...actions: Action[]) =>
  applyActions(actions, { client: test.client, writes: new Writes(), record: () => {} });
const get = () => test.client.get(ConfigMap, { namespace: 'a', name: 'one' });

it('holds an object back until its finalizer is removed', async () => {
  const one: KubeObject = await test.client.create(ConfigMap, { metadata: { name: 'one', namespace: 'a' } } as never);
  await apply(addFinalizer(ConfigMap, one, 'example.com/a'));
  await apply(addFinalizer(ConfigMap, await get(), 'example.com/b'));
  expect(hasFinalizer(await get(), 'example.com/a')).toBe(true);
  await test.client.delete(ConfigMap, { namespace: 'a', name: 'one' });
  const stale = await get();
  await apply(removeFinalizer(ConfigMap, stale, 'example.com/a'));
  expect((await get()).metadata.finalizers).toEqual(['example.com/b']);
  // A list read before someone else changed it must not be written back.
  await expect(apply(removeFinalizer(ConfigMap, stale, 'example.com/b'))).rejects.toSatisfy((failure: Error) =>
    isReason(failure.cause, 'Conflict'),
  );
  const last = await get();
  await apply(removeFinalizer(ConfigMap, last, 'example.com/b'));
  await apply(removeFinalizer(ConfigMap, last, 'example.com/b'));
  await expect(get()).rejects.toThrow('not found');
});
