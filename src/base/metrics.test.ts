import { expect, test } from 'vitest';
import { Metrics } from './metrics.ts';

test('counters, gauges and histograms in the text form, sorted by name', () => {
  const metrics = new Metrics();
  const requests = metrics.counter('requests_total', 'Requests.', ['verb', 'code']);
  requests.of('GET', '200').add();
  requests.of('GET', '200').add(2);
  requests.of('PUT', '409').add();
  metrics.counter('plain_total', 'Plain.').of().add();
  metrics.reading('depth', 'Depth.', ['name'], () => [[['a"\\\n'], 7]]);
  metrics.reading('depth', 'Depth.', ['name'], () => [[['b'], 0]]);
  const seconds = metrics.histogram('seconds', 'Time.', ['verb'], [0.1, 1]);
  for (const value of [0.1, 0.5, 3]) seconds.of('GET').observe(value);
  metrics.counter('unused_total', 'Never counted.', ['verb']);
  expect(metrics.text().split('\n')).toEqual([
    '# HELP depth Depth.',
    '# TYPE depth gauge',
    String.raw`depth{name="a\"\\\n"} 7`,
    'depth{name="b"} 0',
    '# HELP plain_total Plain.',
    '# TYPE plain_total counter',
    'plain_total 1',
    '# HELP requests_total Requests.',
    '# TYPE requests_total counter',
    'requests_total{verb="GET",code="200"} 3',
    'requests_total{verb="PUT",code="409"} 1',
    '# HELP seconds Time.',
    '# TYPE seconds histogram',
    'seconds_bucket{verb="GET",le="0.1"} 1',
    'seconds_bucket{verb="GET",le="1"} 2',
    'seconds_bucket{verb="GET",le="+Inf"} 3',
    'seconds_sum{verb="GET"} 3.6',
    'seconds_count{verb="GET"} 3',
    '',
  ]);
});

test('a name is one family, whoever asks for it', () => {
  const metrics = new Metrics();
  metrics.counter('a_total', 'A.', ['x']).of('1').add();
  metrics.counter('a_total', 'A.', ['x']).of('1').add();
  expect(metrics.text()).toContain('a_total{x="1"} 2');
});
