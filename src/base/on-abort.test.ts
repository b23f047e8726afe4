import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { aborted, onAbort } from './on-abort.ts';

test('many wait behind one listener, in order, until they are taken back', () => {
  const abort = new AbortController();
  const called: number[] = [];
  const off = Array.from({ length: 20 }, (_, i) => onAbort(abort.signal, () => called.push(i)));
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1);
  for (let i = 3; i < 20; i++) off[i]!();
  off[3]!();
  abort.abort();
  expect(called).toEqual([0, 1, 2]);
  onAbort(abort.signal, () => called.push(99));
  off[0]!();
  expect(called).toEqual([0, 1, 2]);
});

test('the end of waiting for a signal: when it aborts, and at once when it has', async () => {
  const abort = new AbortController();
  let over = false;
  const waiting = aborted(abort.signal).then(() => (over = true));
  await Promise.resolve();
  expect(over).toBe(false);
  abort.abort();
  await waiting;
  await aborted(abort.signal);
});
