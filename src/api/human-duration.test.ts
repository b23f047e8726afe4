import { expect, test } from 'vitest';
import { humanAge, humanDuration } from './human-duration.ts';

const [S, M, H, D] = [1000, 60_000, 3_600_000, 86_400_000];

test.each([
  [-2 * S, '<invalid>'],
  [-S, '0s'],
  [0, '0s'],
  [119 * S, '119s'],
  [2 * M, '2m'],
  [2 * M + 5 * S, '2m5s'],
  [10 * M + 59 * S, '10m'],
  [179 * M, '179m'],
  [3 * H, '3h'],
  [3 * H + 5 * M, '3h5m'],
  [8 * H + 5 * M, '8h'],
  [47 * H, '47h'],
  [2 * D, '2d'],
  [7 * D + 23 * H, '7d23h'],
  [8 * D + 5 * H, '8d'],
  [729 * D, '729d'],
  [2 * 365 * D, '2y'],
  [3 * 365 * D + 4 * D, '3y4d'],
  [9 * 365 * D + 4 * D, '9y'],
])('%d ms is %s', (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});

test('ages', () => {
  expect(humanAge('2024-01-01T00:00:00Z', Date.UTC(2024, 0, 1, 0, 5))).toBe('5m');
  expect(humanAge(undefined, 0)).toBe('<unknown>');
});
