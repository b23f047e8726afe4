import { expect, test } from 'vitest';
import { Metrics } from '../base/metrics.ts';
import { metricsSummary } from './metrics-summary.ts';

test('latencies over all resources, watches, store and queues', () => {
  const metrics = new Metrics();
  const durations = metrics.histogram('apiserver_request_duration_seconds', '', ['verb', 'resource']);
  for (let i = 0; i < 99; i++) durations.of('GET', i % 2 ? 'pods' : 'nodes').observe(0.0004);
  durations.of('LIST', 'pods').observe(3);
  durations.of('POST', 'pods').observe(100);
  metrics.reading('apiserver_longrunning_requests', '', ['resource'], () => [
    [['pods'], 2],
    [['nodes'], 1],
  ]);
  metrics.reading('apiserver_watch_events_total', '', ['resource'], () => [[['pods'], 1234]]);
  metrics.reading('apiserver_storage_objects', '', ['resource'], () => [
    [['pods'], 5],
    [['nodes'], 1],
  ]);
  metrics.reading('coracle_store_revision', '', [], () => [[[], 77]]);
  metrics.reading('apiserver_storage_size_bytes', '', [], () => [[[], 274_432]]);
  metrics.reading('workqueue_depth', '', ['name'], () => [
    [['a'], 0],
    [['b'], 4],
  ]);
  expect(metricsSummary(metrics.text())).toEqual([
    ['reads', '100, p50 <= 1 ms, p99 <= 1 ms'],
    ['writes', '1, p50 over 1 min, p99 over 1 min'],
    ['watches', '3, 1,234 events sent'],
    ['store', '6 objects, revision 77, 0.3 MB on disk'],
    ['queues', '4 waiting (b 4), 0 retries'],
    ['pending pods', '0'],
  ]);
});
