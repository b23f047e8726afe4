// What the scheduler tells of itself, by upstream's names.

import type { Metrics } from '../base/metrics.ts';
import type { SchedulingQueue } from './queue.ts';

/** What to call after each attempt to place a pod. Without metrics it does nothing. */
export function schedulerMetrics(
  metrics: Metrics | undefined,
  profile: string,
  queue: SchedulingQueue,
): (found: boolean, ms: number) => void {
  if (!metrics) return () => {};
  metrics.reading('scheduler_pending_pods', 'Number of pending pods, by the queue type.', ['queue'], () => {
    const { ready, backoff, waiting } = queue.counts();
    return [
      [['active'], ready],
      [['backoff'], backoff],
      [['unschedulable'], waiting],
    ];
  });
  const labels = ['result', 'profile'];
  const attempts = metrics.counter(
    'scheduler_schedule_attempts_total',
    'Number of attempts to schedule pods, by the result.',
    labels,
  );
  const durations = metrics.histogram(
    'scheduler_scheduling_attempt_duration_seconds',
    'Scheduling attempt latency in seconds (scheduling algorithm + binding)',
    labels,
  );
  return (found, ms) => {
    const result = found ? 'scheduled' : 'unschedulable';
    attempts.of(result, profile).add();
    durations.of(result, profile).observe(ms / 1000);
  };
}
