// What the kubelet counts, under upstream's names. Gauges and probe counts are read from the pods when somebody asks, so
// that they go with their pod; runtime calls are counted by a runtime that passes them on.
// https://kubernetes.io/docs/reference/instrumentation/metrics/

import type { Histogram, Metrics, Reading } from '../base/metrics.ts';
import type { Clock } from '../base/env.ts';
import type { PodWorker } from './pod-worker.ts';
import type { ContainerRuntime } from './runtime.ts';

/** Runtime calls by the names upstream counts them under. */
const OPERATIONS = {
  info: 'status',
  runSandbox: 'run_podsandbox',
  stopSandbox: 'stop_podsandbox',
  removeSandbox: 'remove_podsandbox',
  listSandboxes: 'list_podsandbox',
  sandboxStatus: 'podsandbox_status',
  createContainer: 'create_container',
  startContainer: 'start_container',
  stopContainer: 'stop_container',
  removeContainer: 'remove_container',
  listContainers: 'list_containers',
  containerStatus: 'container_status',
  updateResources: 'update_container',
  reopenLog: 'reopen_container_log',
  execSync: 'exec_sync',
  exec: 'exec',
  attach: 'attach',
  portForward: 'port_forward',
  imageStatus: 'image_status',
  listImages: 'list_images',
  pullImage: 'pull_image',
  removeImage: 'remove_image',
  usage: 'list_container_stats',
} as const satisfies Partial<Record<keyof ContainerRuntime, string>>;

const RUNTIME_BOUNDS = Array.from({ length: 14 }, (_, i) => 0.005 * 2.5 ** i);
const START_BOUNDS = [0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800];
const SYNC_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const PROBE_LABELS = ['probe_type', 'result', 'container', 'pod', 'namespace', 'pod_uid'];

export class KubeletMetrics {
  /** Seconds from first seeing a pod until it runs. */
  readonly podStart: Histogram;
  /** Seconds that one look at a pod took. */
  readonly sync: Histogram;
  /** Seconds that listing everything took, and taking it in. */
  readonly relist: Histogram;
  readonly #metrics: Metrics;
  #workers: () => Iterable<PodWorker> = () => [];

  constructor(metrics: Metrics, nodeName: string) {
    this.#metrics = metrics;
    const histogram = (name: string, help: string, bounds: readonly number[]) =>
      metrics.histogram(name, help, [], bounds).of();
    this.podStart = histogram(
      'kubelet_pod_start_duration_seconds',
      'Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run',
      START_BOUNDS,
    );
    this.relist = histogram(
      'kubelet_pleg_relist_duration_seconds',
      'Duration in seconds for relisting pods in PLEG.',
      SYNC_BOUNDS,
    );
    const work = 'Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync';
    this.sync = metrics
      .histogram('kubelet_pod_worker_duration_seconds', work, ['operation_type'], SYNC_BOUNDS)
      .of('sync');
    const name = "The node's name. The count is always 1.";
    metrics.reading('kubelet_node_name', name, ['node'], () => [[[nodeName], 1]]);
    metrics.reading('kubelet_running_pods', 'Number of pods that have a running pod sandbox', [], () => [
      [[], this.#runningPods()],
    ]);
    const containers = 'Number of containers currently running';
    metrics.reading('kubelet_running_containers', containers, ['container_state'], () => this.#containers());
    const probes = 'Cumulative number of a liveness, readiness or startup probe for a container by result.';
    metrics.reading('prober_probe_total', probes, PROBE_LABELS, () => this.#probes(), 'counter');
  }

  /** The pods whose state is told from now on. */
  watch(workers: () => Iterable<PodWorker>): void {
    this.#workers = workers;
  }

  /** The same runtime, whose calls are counted. */
  counted(runtime: ContainerRuntime, clock: Clock): ContainerRuntime {
    const labels = ['operation_type'];
    const total = this.#metrics.counter(
      'kubelet_runtime_operations_total',
      'Cumulative number of runtime operations by operation type.',
      labels,
    );
    const errors = this.#metrics.counter(
      'kubelet_runtime_operations_errors_total',
      'Cumulative number of runtime operation errors by operation type.',
      labels,
    );
    const durations = this.#metrics.histogram(
      'kubelet_runtime_operations_duration_seconds',
      'Duration in seconds of runtime operations. Broken down by operation type.',
      labels,
      RUNTIME_BOUNDS,
    );
    const count =
      (operation: string, call: (...args: unknown[]) => Promise<unknown>) =>
      async (...args: unknown[]) => {
        const began = clock.monotonic();
        total.of(operation).add();
        try {
          return await call.apply(runtime, args);
        } catch (error) {
          errors.of(operation).add();
          throw error;
        } finally {
          durations.of(operation).observe((clock.monotonic() - began) / 1000);
        }
      };
    const own = new Map<PropertyKey, unknown>();
    for (const [name, operation] of Object.entries(OPERATIONS)) {
      const call = runtime[name as keyof ContainerRuntime] as (...args: unknown[]) => Promise<unknown>;
      own.set(name, count(operation, call));
    }
    own.set('events', runtime.events.bind(runtime));
    return Object.fromEntries(own) as unknown as ContainerRuntime;
  }

  #runningPods(): number {
    let running = 0;
    for (const { work } of this.#workers()) if (work.runtime.sandbox?.state === 'ready') running++;
    return running;
  }

  #containers(): Reading[] {
    const counts = new Map<string, number>();
    for (const { work } of this.#workers()) {
      for (const { state } of work.runtime.all()) counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    return Array.from(counts, ([state, n]): Reading => [[state], n]);
  }

  *#probes(): Generator<Reading> {
    for (const { work } of this.#workers()) {
      const { name, namespace = '' } = work.pod.metadata;
      for (const [container, results] of work.probeCounts) {
        for (const [key, n] of results) {
          const [type = '', result = ''] = key.split(' ');
          yield [[type, result, container, name, namespace, work.uid], n];
        }
      }
    }
  }
}
