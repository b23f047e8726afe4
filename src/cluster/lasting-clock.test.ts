import { expect, test } from 'vitest';
import { VirtualClock } from '../base/virtual-clock.ts';
import { LastingClock } from './lasting-clock.ts';

test('timers go on with what was left of them, and what lasts does not go back', async () => {
  const first = new VirtualClock(10_000);
  const clock = new LastingClock(first);
  const fired: string[] = [];
  clock.setTimer(500, () => fired.push('early'));
  clock.setTimer(2_000, () => fired.push('late'));
  clock.setTimer(2_000, () => fired.push('never')).cancel();
  await first.advance(1_500);
  expect([fired, clock.now(), clock.monotonic()]).toEqual([['early'], 11_500, 1_500]);
  const second = new VirtualClock(3_000);
  clock.follow(second);
  expect([clock.now(), clock.monotonic()]).toEqual([3_000, 1_500]);
  await second.advance(499);
  expect(fired).toEqual(['early']);
  await second.advance(1);
  await first.advance(10_000);
  expect([fired, clock.monotonic()]).toEqual([['early', 'late'], 2_000]);
});
