import { expect, test } from 'vitest';
import { parseExposition } from './exposition.ts';
import { Metrics } from './metrics.ts';

test('what is written is what is read', () => {
  const metrics = new Metrics();
  metrics.counter('a_total', 'Back\\slash,\nnew line.', ['path']).of('quote " slash \\ line \n comma, }').add(2);
  const histogram = metrics.histogram('b_seconds', 'B.', ['x'], [1e-8, 0.5, 1000]);
  for (const value of [1e-9, 0.4, 0.5, 5, 5000]) histogram.of('y').observe(value);
  metrics.reading('c', 'C.', [], () => [[[], -Infinity]]);
  metrics.reading('d', 'D.', [], () => [[[], 1e22]]);
  const families = parseExposition(metrics.text());
  const [a] = families.get('a_total')!.samples;
  expect(families.get('a_total')!.help).toBe('Back\\slash,\nnew line.');
  expect([a!.labels.get('path'), a!.value]).toEqual(['quote " slash \\ line \n comma, }', 2]);
  const buckets = families.get('b_seconds')!.samples.filter((s) => s.name.endsWith('_bucket'));
  expect(buckets.map((s) => [s.labels.get('le'), s.value])).toEqual([
    ['1e-08', 1],
    ['0.5', 3],
    ['1000', 4],
    ['+Inf', 5],
  ]);
  expect(families.get('c')!.samples[0]!.value).toBe(-Infinity);
  expect(families.get('d')!.samples[0]!.value).toBe(1e22);
});

test('of two readings of one series the last counts, and one that has ended counts no more', () => {
  const metrics = new Metrics();
  metrics.reading('a', 'A.', ['x'], () => [[['1'], 1]]);
  const end = metrics.reading('a', 'A.', ['x'], () => [[['1'], 2]]);
  const value = () =>
    parseExposition(metrics.text())
      .get('a')
      ?.samples.map((s) => s.value);
  expect(value()).toEqual([2]);
  end();
  end();
  expect(value()).toEqual([1]);
});

const head = '# HELP a A.\n# TYPE a counter\n';
test.each([
  ['a 1\n', 'outside of its family'],
  [`${head}a 1`, 'does not end'],
  [`${head}a{x="1} 1\n`, 'not well formed'],
  [`${head}a{x="\\q"} 1\n`, 'not well formed'],
  [`${head}a{x="1",x="2"} 1\n`, 'given twice'],
  [`${head}a{x="1"}1\n`, 'no blank'],
  [`${head}a 0x1\n`, 'no number'],
  [`${head}a -1\n`, 'below zero'],
  [`${head}a{x="1"} 1\na{x="1"} 2\n`, 'told twice'],
  [`${head}b 1\n`, 'outside of its family'],
  [`${head}a 1\n${head}a 2\n`, 'follows samples'],
  ['# TYPE a counter\na 1\n', 'no HELP'],
  ['# HELP a A.\na 1\n', 'no TYPE'],
  ['# HELP a A\\b\n', 'not escaped'],
  ['# HELP a A.\n# TYPE a meter\n', 'no type'],
  ['# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n', '+Inf'],
  ['# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n', 'fall'],
  ['# HELP a A.\n# TYPE a histogram\na_bucket{le="+Inf"} 1\na_sum 1\na_count 2\n', 'differ'],
])('refuses %j', (text, why) => expect(() => parseExposition(text)).toThrow(why));
