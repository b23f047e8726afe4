import { expect, test } from 'vitest';
import { parseYaml, parseYamlDocuments, YamlError } from './yaml.ts';

test.each([
  ['0644', 420],
  ['0o17', 15],
  ['0x1F', 31],
  ['1_000', 1000],
  ['-12', -12],
  ['08', 8],
  ['toString', 'toString'],
  ['1.5', 1.5],
  ['1e3', 1000],
  ['yes', true],
  ['Off', false],
  ['y', 'y'],
  ['n', 'n'],
  ['null', null],
  ['~', null],
  ['"0644"', '0644'],
  ['2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z'],
  ['1:30', '1:30'],
])('%s is %j', (text, value) => {
  expect(parseYaml(`v: ${text}`).value).toEqual({ v: value });
});

test('documents, merges, duplicates', () => {
  expect(parseYamlDocuments('a: 1\n---\n---\n# nothing\n---\nb: 2\n')).toEqual([{ a: 1 }, { b: 2 }]);
  expect(parseYaml('x: &x {a: 1}\ny: {<<: *x, b: 2}').value).toEqual({ x: { a: 1 }, y: { a: 1, b: 2 } });
  const { value, duplicates } = parseYaml('a: 1\na: 2\n');
  expect(value).toEqual({ a: 2 });
  expect(duplicates).toEqual([expect.stringMatching(/duplicated mapping key/)]);
  expect(parseYaml('').value).toBeUndefined();
});

test('broken and hostile texts', () => {
  expect(() => parseYaml('a: [1')).toThrow(YamlError);
  expect(() => parseYaml('[' + '['.repeat(500))).toThrow(YamlError);
  const bomb = ['a: &a [1,1,1,1,1,1,1,1,1,1]'];
  for (let i = 1; i < 9; i++)
    bomb.push(
      `${'abcdefghij'[i]}: &${'abcdefghij'[i]} [${Array(10)
        .fill(`*${'abcdefghij'[i - 1]}`)
        .join(',')}]`,
    );
  expect(() => parseYaml(bomb.join('\n'))).toThrow('excessive aliasing');
  expect(Object.getPrototypeOf(parseYaml('__proto__: {a: 1}').value)).toBe(Object.prototype);
});
