import { expect, test } from 'vitest';
import { parseCron } from './cron-schedule.ts';

const fields = (text: string) => {
  const s = parseCron(text);
  if ('every' in s) return s.every;
  return [s.minute, s.hour, s.dayOfMonth, s.month, s.dayOfWeek].map((f) => (f.any ? '*' : [...f.values].join(' ')));
};

test.each([
  ['*/15 0-2 1,31 jan-MAR sun', ['0 15 30 45', '0 1 2', '1 31', '1 2 3', '0']],
  ['50/5 ? * * *', ['50 55', '*', '*', '*', '*']],
  ['@daily', ['0', '0', '*', '*', '*']],
  ['@every 1h30m', 5_400_000],
  ['TZ=Europe/Berlin 0 12 * * 1-5', ['0', '12', '*', '*', '1 2 3 4 5']],
])('%s', (text, expected) => {
  expect(fields(text)).toEqual(expected);
});

test.each([
  ['', 'empty spec string'],
  ['* * * *', 'expected exactly 5 fields, found 4: [* * * *]'],
  ['60 * * * *', 'end of range (60) above maximum (59): 60'],
  ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
  ['5-1 * * * *', 'beginning of range (5) beyond end of range (1): 5-1'],
  ['*/0 * * * *', 'step of range should be a positive number: */0'],
  ['a * * * *', 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'],
  ['1-2-3 * * * *', 'too many hyphens: 1-2-3'],
  ['@often', 'unrecognized descriptor: @often'],
  ['@every soon', 'failed to parse duration @every soon: time: invalid duration "soon"'],
])('%j is refused', (text, message) => {
  expect(() => parseCron(text)).toThrow(message);
});
