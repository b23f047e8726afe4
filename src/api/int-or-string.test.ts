import { expect, it } from 'vitest';
import { isPercent, scaledValue } from './int-or-string.ts';

it('scales percentages and passes counts through', () => {
  expect(scaledValue(3, 10, true)).toBe(3);
  expect(scaledValue('25%', 10, true)).toBe(3);
  expect(scaledValue('25%', 10, false)).toBe(2);
  expect(scaledValue('100%', 7, false)).toBe(7);
  expect([isPercent('5%'), isPercent('5'), isPercent(5)]).toEqual([true, false, false]);
});

it('refuses what is neither, in upstream words', () => {
  expect(() => scaledValue(undefined, 1, true)).toThrow('nil value for IntOrString');
  expect(() => scaledValue('3', 1, true)).toThrow(
    'invalid value for IntOrString: invalid type: string is not a percentage',
  );
  expect(() => scaledValue('x%', 1, true)).toThrow(
    'invalid value for IntOrString: invalid value "x%": strconv.Atoi: parsing "x": invalid syntax',
  );
});
