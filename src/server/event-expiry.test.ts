import { expect, test } from 'vitest';
import { Event } from '../api/kinds/core/event.ts';
import { rfc3339 } from '../base/env.ts';
import { drainMicrotasks } from '../base/virtual-clock.ts';
import { createTestServer } from '../cluster/test-server.ts';
import { expireEvents } from './event-expiry.ts';

const MINUTE = 60_000;

test('events go an hour after their last write, also those of a former process', async () => {
  let t = createTestServer({ eventTtl: 0 });
  const create = (name: string) =>
    t.client.create(Event, {
      metadata: { name, namespace: 'ns' },
      involvedObject: { kind: 'Pod', name: 'p', namespace: 'ns' },
      reason: 'R',
      type: 'Normal',
      lastTimestamp: rfc3339(t.clock.now()),
    } as Event);
  const names = async () => (await t.client.list(Event)).items.map((e) => e.metadata.name);
  await create('old');
  const { store } = t;
  t.close();
  t = createTestServer({ store, eventTtl: 0 });
  await t.clock.advance(10 * MINUTE);
  const stop = expireEvents(t.server.caches, t.env);
  await drainMicrotasks();
  await create('a');
  const b = await create('b');
  await t.clock.advance(30 * MINUTE);
  await t.client.update(Event, { ...b, count: 2 });
  await t.clock.advance(21 * MINUTE);
  expect(await names()).toEqual(['a', 'b']);
  await t.clock.advance(15 * MINUTE);
  expect(await names()).toEqual(['b']);
  await t.clock.advance(25 * MINUTE);
  expect(await names()).toEqual([]);
  await create('c');
  stop();
  await t.clock.advance(100 * MINUTE);
  expect(await names()).toEqual(['c']);
  t.close();
});
