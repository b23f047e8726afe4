import { expect, it } from 'vitest';
import { VirtualClock } from '../base/virtual-clock.ts';
import { knowsFlags, watchIdleness } from './memory-saver.ts';

it('saves memory while the event loop is idle, and tells of changes alone', async () => {
  const clock = new VirtualClock();
  let idle = false;
  const told: boolean[] = [];
  const watch = watchIdleness({ clock, isIdle: () => idle, setSaving: (saving) => told.push(saving) });
  await clock.advance(5_000);
  expect(told).toEqual([]);
  idle = true;
  await clock.advance(5_000);
  idle = false;
  await clock.advance(5_000);
  expect(told).toEqual([true, false]);
  watch.stop();
  idle = true;
  await clock.advance(5_000);
  expect(told).toEqual([true, false]);
});

it('leaves a V8 alone that does not know the flags', () => {
  expect(['12.4.254.21-node.35', '13.6.233.17-node.53', '14.1.1'].map(knowsFlags)).toEqual([false, true, true]);
});
