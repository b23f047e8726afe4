// Order, cancellation and the two sorts of timers of the virtual clock.

import { describe, expect, it } from 'vitest';
import { drainMicrotasks, seededRandom, VirtualClock } from './virtual-clock.ts';

const setup = () => {
  const clock = new VirtualClock(0);
  const fired: string[] = [];
  const timer = (name: string, ms: number, unref = false) =>
    clock.setTimer(ms, () => void fired.push(`${name}@${clock.now()}`), { unref });
  return { clock, fired, timer };
};

describe('VirtualClock', () => {
  it('fires timers in order of time, then of creation, foreground and background alike', async () => {
    const { clock, fired, timer } = setup();
    timer('b', 10, true);
    timer('a', 10);
    timer('early', 5);
    timer('late', 11);
    await clock.advance(10);
    expect(fired).toEqual(['early@5', 'b@10', 'a@10']);
    expect(clock.now()).toBe(10);
  });

  it('runs all continuations after the timers of an instant, before timers set meanwhile', async () => {
    const { clock, fired, timer } = setup();
    clock.setTimer(1, () => {
      timer('meanwhile', 0);
      void Promise.resolve().then(() => fired.push('continued'));
    });
    const cancelled = timer('cancelled', 2);
    clock.setTimer(1, () => {
      fired.push('second');
      cancelled.cancel();
    });
    await clock.advance(2);
    expect(fired).toEqual(['second', 'continued', 'meanwhile@1']);
  });

  it('rounds up to whole milliseconds, and fires timers set meanwhile', async () => {
    const { clock, fired, timer } = setup();
    clock.setTimer(0.2, () => void timer('inner', 0.3));
    await clock.advance(2);
    expect(fired).toEqual(['inner@2']);
  });

  it('tells the next foreground timer, past cancelled ones', () => {
    const { clock, timer } = setup();
    timer('background', 1, true);
    const first = timer('x', 2);
    timer('y', 3);
    expect(clock.nextForeground()).toBe(2);
    first.cancel();
    first.cancel();
    expect(clock.nextForeground()).toBe(3);
  });

  it('forgets cancelled timers', async () => {
    const { clock, fired, timer } = setup();
    for (let i = 0; i < 5000; i++) timer('never', 1_000_000 - i, i % 2 === 0).cancel();
    timer('one', 1);
    await clock.advance(1);
    expect(fired).toEqual(['one@1']);
    expect(clock.nextForeground()).toBeUndefined();
  });
});

it('drains chains of promises', async () => {
  let steps = 0;
  void (async () => {
    for (; steps < 1000; steps++) await undefined;
  })();
  await drainMicrotasks();
  expect(steps).toBe(1000);
});

it('draws the same numbers from the same seed, others from another', () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return [random.next(), random.next(), ...random.bytes(4)];
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  expect(
    draw(7)
      .slice(0, 2)
      .every((n) => n >= 0 && n < 1),
  ).toBe(true);
});
