// What the scheduler tells of itself, by upstream's names.

import type { Counter, Family, Histogram, Metrics } from '../base/metrics.ts';
import type { ClusterState } from './node-state.ts';
import type { SchedulingQueue } from './queue.ts';

const doubling = (first: number, count: number) => Array.from({ length: count }, (_, i) => first * 2 ** i);
/** Seconds: 1 ms and upwards, 10 ms and upwards. */
const ATTEMPT = doubling(0.001, 15);
const WHOLE = doubling(0.01, 20);
const TRIES = [1, 2, 4, 8, 16];
const VICTIMS = doubling(1, 7);

export class SchedulerMetrics {
  readonly #profile: string;
  readonly #attempts: Family<Counter>;
  readonly #durations: Family<Histogram>;
  readonly #algorithm: Histogram;
  readonly #whole: Family<Histogram>;
  readonly #tries: Histogram;
  readonly #preemptions: Counter;
  readonly #victims: Histogram;
  readonly #readings: readonly (() => void)[];

  constructor(metrics: Metrics, profile: string, queue: SchedulingQueue, state: ClusterState) {
    this.#profile = profile;
    const labels = ['result', 'profile'];
    this.#attempts = metrics.counter(
      'scheduler_schedule_attempts_total',
      "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, while " +
        "'error' means an internal scheduler problem.",
      labels,
    );
    this.#durations = metrics.histogram(
      'scheduler_scheduling_attempt_duration_seconds',
      'Scheduling attempt latency in seconds (scheduling algorithm + binding)',
      labels,
      ATTEMPT,
    );
    this.#whole = metrics.histogram(
      'scheduler_pod_scheduling_sli_duration_seconds',
      'E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue and might involve ' +
        'multiple scheduling attempts.',
      ['attempts'],
      WHOLE,
    );
    const one = (name: string, help: string, bounds: readonly number[]) =>
      metrics.histogram(`scheduler_${name}`, help, [], bounds).of();
    this.#algorithm = one('scheduling_algorithm_duration_seconds', 'Scheduling algorithm latency in seconds', ATTEMPT);
    this.#tries = one('pod_scheduling_attempts', 'Number of attempts to successfully schedule a pod.', TRIES);
    this.#victims = one('preemption_victims', 'Number of selected preemption victims', VICTIMS);
    const preemptions = 'Total preemption attempts in the cluster till now';
    this.#preemptions = metrics.counter('scheduler_preemption_attempts_total', preemptions).of();
    this.#readings = readings(metrics, queue, state);
  }

  /** The scheduler has ended. */
  close(): void {
    for (const end of this.#readings) end();
  }

  /** The algorithm ran for `ms`. What it placed is counted when it is bound. */
  attempted(found: boolean, ms: number): void {
    this.#algorithm.observe(ms / 1000);
    if (!found) this.#count('unschedulable', ms);
  }

  /** The attempt that began at `began` has bound its pod, which came at `since`. Times are of the monotonic clock. */
  bound(pod: { readonly attempts: number; readonly since: number }, began: number, now: number): void {
    this.#count('scheduled', now - began);
    this.#tries.observe(pod.attempts);
    this.#whole.of(String(pod.attempts)).observe((now - pod.since) / 1000);
  }

  /** The attempt, which began `ms` ago, could not bind its pod. */
  failed(ms: number): void {
    this.#count('error', ms);
  }

  preempted(victims: number): void {
    this.#preemptions.add();
    this.#victims.observe(victims);
  }

  #count(result: string, ms: number): void {
    this.#attempts.of(result, this.#profile).add();
    this.#durations.of(result, this.#profile).observe(ms / 1000);
  }
}

function readings(metrics: Metrics, queue: SchedulingQueue, state: ClusterState): (() => void)[] {
  const pending = metrics.reading(
    'scheduler_pending_pods',
    'Number of pending pods, by the queue type.',
    ['queue'],
    () => {
      const { ready, backoff, waiting } = queue.counts();
      return [
        [['active'], ready],
        [['backoff'], backoff],
        [['unschedulable'], waiting],
      ];
    },
  );
  const cached = metrics.reading(
    'scheduler_cache_size',
    'Number of nodes, pods, and assumed (bound) pods in the scheduler cache.',
    ['type'],
    () => {
      const { pods, assumed } = state.counts();
      return [
        [['nodes'], state.nodes.length],
        [['pods'], pods],
        [['assumed_pods'], assumed],
      ];
    },
  );
  const incoming = metrics.counter(
    'scheduler_queue_incoming_pods_total',
    'Number of pods added to scheduling queues by event and queue type.',
    ['queue', 'event'],
  );
  queue.moved = (to, event) => incoming.of(to, event).add();
  return [pending, cached];
}
