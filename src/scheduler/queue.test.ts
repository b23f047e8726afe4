import { expect, test } from 'vitest';
import type { Pod } from '../api/generated/core-v1.ts';
import { VirtualClock } from '../base/virtual-clock.ts';
import { defaultPlugins } from './plugins/index.ts';
import { SchedulingQueue } from './queue.ts';

function pod(name: string, priority = 0): Pod {
  const metadata = { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: '' };
  return { metadata, spec: { containers: [], priority } };
}

function make() {
  const clock = new VirtualClock();
  let wakes = 0;
  const queue = new SchedulingQueue(clock, defaultPlugins, () => wakes++);
  return { clock, queue, woken: () => wakes };
}

test('higher priority first, then the older', () => {
  const { queue } = make();
  for (const p of [pod('a'), pod('b', 10), pod('c')]) queue.set(p);
  expect([queue.pop(), queue.pop(), queue.pop(), queue.pop()].map((p) => p?.metadata.name)).toEqual([
    'b',
    'a',
    'c',
    undefined,
  ]);
});

test('a refused pod waits for an event its plugin cares about, and for its backoff', async () => {
  const { clock, queue } = make();
  queue.set(pod('a'));
  queue.pop();
  queue.failed('a', ['NodeAffinity']);
  queue.event('PodDelete');
  await clock.advance(20_000);
  expect(queue.pop()).toBeUndefined();
  queue.event('NodeAdd');
  expect(queue.pop()?.metadata.name).toBe('a');
  queue.failed('a', ['NodeResourcesFit']);
  queue.event('PodDelete');
  expect(queue.pop()).toBeUndefined();
  await clock.advance(2_000);
  expect(queue.pop()?.metadata.name).toBe('a');
});

test('a node that comes or changes ends the back-off, too', () => {
  const { queue } = make();
  queue.set(pod('a'));
  for (const event of ['NodeAdd', 'NodeUpdate'] as const) {
    queue.pop();
    queue.failed('a', ['NodeResourcesFit']);
    queue.event(event);
    expect(queue.pop()?.metadata.name).toBe('a');
    queue.failed('a', ['NodeResourcesFit']);
    queue.event('NodeAdd');
  }
});

test('an event that cannot help the pod leaves it waiting, and its back-off as it is', async () => {
  const { clock, queue } = make();
  queue.set(pod('a'));
  queue.set(pod('b'));
  queue.pop();
  queue.pop();
  for (const name of ['a', 'b']) queue.failed(name, ['NodeAffinity']);
  await clock.advance(2_000);
  queue.event('NodeUpdate', (p) => p.metadata.name === 'b');
  expect(queue.pop()?.metadata.name).toBe('b');
  expect(queue.pop()).toBeUndefined();
  queue.event('NodeUpdate');
  expect(queue.pop()?.metadata.name).toBe('a');
});

test('an event during the attempt is not lost', async () => {
  const { clock, queue } = make();
  queue.set(pod('a'));
  queue.pop();
  queue.event('NodeAdd');
  queue.failed('a', ['NodeResourcesFit']);
  await clock.advance(1_000);
  expect(queue.pop()?.metadata.name).toBe('a');
});

test('after five minutes anything is tried again; deleted pods are not', async () => {
  const { clock, queue, woken } = make();
  queue.set(pod('a'));
  queue.set(pod('b'));
  queue.pop();
  queue.pop();
  queue.failed('a', ['NodeAffinity']);
  queue.failed('b', ['NodeAffinity']);
  queue.delete('b');
  await clock.advance(10 * 60_000);
  expect(queue.pop()?.metadata.name).toBe('a');
  expect(queue.pop()).toBeUndefined();
  expect(woken()).toBe(3);
});
