import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from './json.ts';

const duplicates = (text: string) => parseJson(text, { duplicates: true }).duplicates;

describe('duplicate keys', () => {
  it('names each repeated path once, and the last value wins', () => {
    const text = '{"spec":{"replicas":1,"replicas":2,"l":[{},{"a":1,"a":2,"a":3}]},"x":1}';
    expect(duplicates(text)).toEqual(['duplicate field "spec.replicas"', 'duplicate field "spec.l[1].a"']);
    expect(parseJson(text).value).toMatchObject({ spec: { replicas: 2 } });
    expect(parseJson(text).duplicates).toEqual([]);
  });

  it('sees through escapes, spaces and colons in strings', () => {
    expect(duplicates(String.raw`{"a\"":":","b\\" : "x\":","\u0061\"" : 2}`)).toEqual([
      String.raw`duplicate field "a\""`,
    ]);
    expect(duplicates(String.raw`{"a\\":"\\\"","__proto__": {"b" :1}, "c": ["\":"]}`)).toEqual([]);
  });

  it('finds none in any text JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.json(), (text) => duplicates(text).length === 0),
      { seed: 1 },
    );
  });
});

describe('errors', () => {
  it.each([
    ['', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['{"a"', 'unexpected end of JSON input'],
    ['{"a":1', 'unexpected end of JSON input'],
    ['{a}', "invalid character 'a' looking for beginning of object key string"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
    ['[1 2]', "invalid character '2' after array element"],
    ['[1,]', "invalid character ']' looking for beginning of value"],
    ['{} x', "invalid character 'x' after top-level value"],
    ['tru3', "invalid character '3' in literal true (expecting 'e')"],
    ['"a\n"', String.raw`invalid character '\n' in string literal`],
    [String.raw`"\x"`, "invalid character 'x' in string escape code"],
    [String.raw`"\u00g0"`, String.raw`invalid character 'g' in \u hexadecimal character escape`],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1ex', "invalid character 'x' in exponent of numeric literal"],
    ['01', "invalid character '1' after top-level value"],
    ["'a'", String.raw`invalid character '\'' looking for beginning of value`],
  ])('%s', (text, message) => expect(() => parseJson(text)).toThrow(message));

  it('refuses what nests too deeply', () => {
    const deep = (n: number) => '['.repeat(n) + ']'.repeat(n);
    expect(parseJson(deep(1000)).duplicates).toEqual([]);
    expect(() => parseJson(deep(1001))).toThrow('exceeded max depth');
    expect(() => parseJson('['.repeat(100_000))).toThrow('exceeded max depth');
  });
});
