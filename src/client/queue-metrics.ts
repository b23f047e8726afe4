// What work queues tell of themselves, by upstream's names.

import { Metrics, type Counter, type Histogram } from '../base/metrics.ts';
import type { QueueMetrics } from './work-queue.ts';

/** 10 ns to 1,000 s by factors of ten, as upstream. */
const BOUNDS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 0.001, 0.01, 0.1, 1, 10, 100, 1000];

/** The metrics of the queue called `name`. */
export function queueMetrics(metrics: Metrics, name: string): QueueMetrics {
  const counter = (what: string, help: string): Counter => metrics.counter(what, help, ['name']).of(name);
  const histogram = (what: string, help: string): Histogram => metrics.histogram(what, help, ['name'], BOUNDS).of(name);
  const adds = counter('workqueue_adds_total', 'Total number of adds handled by workqueue');
  const retries = counter('workqueue_retries_total', 'Total number of retries handled by workqueue');
  const waited = histogram(
    'workqueue_queue_duration_seconds',
    'How long in seconds an item stays in workqueue before being requested.',
  );
  const worked = histogram(
    'workqueue_work_duration_seconds',
    'How long in seconds processing an item from workqueue takes.',
  );
  let depth = 0;
  let running: () => Iterable<number> = () => [];
  const readings = [
    metrics.reading('workqueue_depth', 'Current depth of workqueue', ['name'], () => [[[name], depth]]),
    ...workReadings(metrics, name, () => running()),
  ];
  return {
    watch: (read) => void (running = read),
    closed: () => readings.forEach((end) => end()),
    added(now) {
      depth = now;
      adds.add();
    },
    taken(now, ms) {
      depth = now;
      waited.observe(ms / 1000);
    },
    done: (ms) => worked.observe(ms / 1000),
    retried: () => retries.add(),
  };
}

/** `running`: how many milliseconds each piece of work under way has taken so far. */
function workReadings(metrics: Metrics, name: string, running: () => Iterable<number>): (() => void)[] {
  return [
    metrics.reading(
      'workqueue_unfinished_work_seconds',
      "How many seconds of work has done that is in progress and hasn't been observed by work_duration. Large values " +
        'indicate stuck threads. One can deduce the number of stuck threads by observing the rate at which this increases.',
      ['name'],
      () => [[[name], [...running()].reduce((sum, ms) => sum + ms, 0) / 1000]],
    ),
    metrics.reading(
      'workqueue_longest_running_processor_seconds',
      'How many seconds has the longest running processor for workqueue been running.',
      ['name'],
      () => [[[name], Math.max(0, ...running()) / 1000]],
    ),
  ];
}
