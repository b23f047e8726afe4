import { describe, expect, it } from 'vitest';
import { parseFieldSelector } from './field-selectors.ts';
import { formatLabelSelector, NOTHING, parseSelector, selectorFromLabels, selectorOf } from './selectors.ts';

describe('label selector text', () => {
  it.each([
    ['a=b', { a: 'b' }, { a: 'c' }],
    ['a==b', { a: 'b' }, {}],
    ['a!=b', {}, { a: 'b' }],
    ['a in (b,c)', { a: 'c' }, { a: 'd' }],
    ['a notin (b)', {}, { a: 'b' }],
    ['in in (in,notin)', { in: 'notin' }, { in: 'x' }],
    ['a', { a: '' }, {}],
    ['!a', {}, { a: 'x' }],
    ['a>5', { a: '6' }, { a: 'x' }],
    ['a<5', { a: '-1' }, { a: '5' }],
    ['a=', { a: '' }, { a: 'x' }],
    ['a,b=c , d', { a: '', b: 'c', d: '' }, { a: '', b: 'c' }],
    ['constructor', { constructor: 'x' }, {}],
    ['!constructor', {}, { constructor: 'x' }],
  ] as [string, Record<string, string>, Record<string, string>][])('%s', (text, yes, no) => {
    expect(parseSelector(text).matches(yes)).toBe(true);
    expect(parseSelector(text).matches(no)).toBe(false);
  });

  it('prints in key order with sorted values', () => {
    const text = 'z notin (), x in (c,b,,a),!y, a!=b,c>1,e==f,w';
    expect(parseSelector(text).toString()).toBe('a!=b,c>1,e==f,w,x in (,a,b,c),!y,z notin ()');
    expect(parseSelector(parseSelector(text).toString()).toString()).toBe(parseSelector(text).toString());
  });

  it.each([
    ['a=b=c', "found '=', expected: ',' or 'end of string'"],
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    [',a', "found ',', expected: !, identifier, or 'end of string'"],
    ['a,', "found '', expected: identifier after ','"],
    ['a in b', "unable to parse requirement: found 'b' expected: '('"],
    ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['a=!', "unable to parse requirement: found '!', expected: identifier"],
    ['!', "unable to parse requirement: found '', expected: identifier"],
    ['a>b', "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators"],
    ['-a', 'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of alphanumeric'],
    ['a=b/c', 'unable to parse requirement: values[0][a]: Invalid value: "b/c": a valid label must be an empty'],
  ])('refuses %s', (text, message) => expect(() => parseSelector(text)).toThrow(message));
});

describe('LabelSelector objects', () => {
  it('compiles labels and expressions', () => {
    const selector = selectorOf({
      matchLabels: { a: 'b' },
      matchExpressions: [
        { key: 'c', operator: 'In', values: ['d', 'e'] },
        { key: 'f', operator: 'DoesNotExist' },
      ],
    });
    expect(selector.toString()).toBe('a=b,c in (d,e),!f');
    expect(selector.matches({ a: 'b', c: 'e' })).toBe(true);
    expect(selector.matches({ a: 'b', c: 'e', f: '' })).toBe(false);
    expect(selector.exactValue('a')).toBe('b');
  });

  it('distinguishes absent from empty', () => {
    expect([selectorOf(undefined).matches({}), selectorOf({}).matches({})]).toEqual([false, true]);
    expect([NOTHING.isEmpty, selectorOf({}).isEmpty]).toEqual([false, true]);
    expect(formatLabelSelector({})).toBe('<none>');
    expect(selectorFromLabels({ a: 'b' }).matches({ a: 'b', c: 'd' })).toBe(true);
  });

  it('refuses bad operators and values', () => {
    expect(() => selectorOf({ matchExpressions: [{ key: 'a', operator: 'Is' }] })).toThrow(
      '"Is" is not a valid label selector operator',
    );
    expect(() => selectorOf({ matchExpressions: [{ key: 'a', operator: 'In' }] })).toThrow(
      "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
    );
  });
});

describe('field selectors', () => {
  it('matches, unescapes and prints', () => {
    const selector = parseFieldSelector('b!=c,a==x\\,y\\\\,');
    expect(selector.matches({ a: 'x,y\\', b: 'd' })).toBe(true);
    expect(selector.matches({ a: 'x,y\\', b: 'c' })).toBe(false);
    expect(selector.matchesWith((field) => (field === 'a' ? 'x' : ''))).toBe(false);
    expect(selector.toString()).toBe('a=x\\,y\\\\,b!=c');
    expect([selector.exactValue('a'), selector.exactValue('b')]).toEqual(['x,y\\', undefined]);
    expect(parseFieldSelector('metadata.name=').matches({})).toBe(true);
  });

  it.each([
    ['abc', "invalid selector: 'abc'; can't understand 'abc'"],
    ['a=b=c', 'invalid field selector: unescaped character in value: 61'],
    ['a=\\x', 'invalid field selector: invalid escape sequence: \\x'],
  ])('refuses %s', (text, message) => expect(() => parseFieldSelector(text)).toThrow(message));
});
