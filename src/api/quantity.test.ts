import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalQuantity,
  compareQuantities,
  parseQuantity,
  Quantity,
  quantityError,
  QuantityError,
} from './quantity.ts';

describe('canonical text', () => {
  it.each([
    ['0', '0'],
    ['0Gi', '0'],
    ['-', '0'],
    ['1000m', '1'],
    ['0.5', '500m'],
    ['.5', '500m'],
    ['1.', '1'],
    ['+1', '1'],
    ['00100', '100'],
    ['100000', '100k'],
    ['1500', '1500'],
    ['0.5Gi', '512Mi'],
    ['1024Ki', '1Mi'],
    ['1023', '1023'],
    ['1Ki', '1Ki'],
    ['0.5Ki', '512'],
    ['1.1Ki', '1126400m'],
    ['0.0001Ki', '102400u'],
    ['1e3', '1e3'],
    ['12e6', '12e6'],
    ['1E3', '1e3'],
    ['1E', '1E'],
    ['1000E', '1e21'],
    ['1e-12', '1e-9'],
    ['0.1n', '1n'],
    ['-0.1n', '-1n'],
    ['-1.5', '-1500m'],
    ['99999Ei', '9223372036854775807'],
  ])('%s -> %s', (text, canonical) => expect(canonicalQuantity(text)).toBe(canonical));

  it('takes JSON numbers', () => expect([1, 0.25, 1e21].map(canonicalQuantity)).toEqual(['1', '250m', '1e21']));
});

describe('errors', () => {
  const format = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
  it.each([
    ['', format],
    ['abc', format],
    ['1.2.3', format],
    ['1 Gi', format],
    ['1Gb', format],
    ['1mm', "unable to parse quantity's suffix"],
    ['1K', "unable to parse quantity's suffix"],
    ['1e', "unable to parse quantity's suffix"],
  ])('%s', (text, message) => expect(quantityError(text)).toBe(message));
});

describe('arithmetic', () => {
  it('rounds values away from zero', () => {
    expect(parseQuantity('1500m').value).toBe(2);
    expect(parseQuantity('-1500m').value).toBe(-2);
    expect(parseQuantity('1u').milliValue).toBe(1);
    expect(parseQuantity('2Gi').value).toBe(2 ** 31);
    expect(parseQuantity('1u').roundedToMilli().toString()).toBe('1m');
  });

  it('keeps the format of the left side, or the right one when that is zero', () => {
    expect(parseQuantity('1Gi').add(parseQuantity('1M')).toString()).toBe('1074741824');
    expect(new Quantity(0n).add(parseQuantity('1Gi')).toString()).toBe('1Gi');
    expect(parseQuantity('1').sub(parseQuantity('1500m')).toString()).toBe('-500m');
  });

  it('compares across suffixes', () => {
    expect(compareQuantities('1', '1000m')).toBe(0);
    expect(compareQuantities('1Ki', '1k')).toBe(1);
    expect(compareQuantities('-1', '1n')).toBe(-1);
  });

  it('canonical text keeps the amount and is a fixed point', () => {
    const suffix = fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'Ki', 'Mi', 'Gi', 'e3', 'e-2');
    const quantity = fc
      .tuple(fc.integer({ min: -1e6, max: 1e6 }), fc.nat(999), suffix)
      .map(([a, b, s]) => `${a}.${b}${s}`);
    fc.assert(
      fc.property(quantity, (text) => {
        const q = parseQuantity(text);
        const again = parseQuantity(q.toString());
        return again.nano === q.nano && again.toString() === q.toString();
      }),
      { seed: 1 },
    );
  });

  it.each(['1', '0', '.', ' ', '-'])('refuses a text of a million times %j at once', (character) => {
    expect(() => parseQuantity(`${character.repeat(1_000_000)}x`)).toThrow(QuantityError);
  });
});
