// What containers, pods and the node use, for `/metrics/resource`: metrics-server and autoscalers read it.
// https://kubernetes.io/docs/reference/instrumentation/node-metrics/

import { Metrics, type Reading } from '../base/metrics.ts';
import type { KubeletHost } from './host.ts';
import type { KubeletPods } from './kubelet.ts';
import type { ContainerRuntime } from './runtime.ts';

export interface ResourceSources {
  readonly pods: KubeletPods;
  readonly runtime: Pick<ContainerRuntime, 'usage'>;
  readonly host: Pick<KubeletHost, 'usage'>;
}

interface Used {
  readonly labels: readonly string[];
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

/** In the text form 0.0.4. What the runtime cannot tell is left out, and told in `resource_scrape_error`. */
export async function resourceMetrics({ pods, runtime, host }: ResourceSources): Promise<string> {
  const metrics = new Metrics();
  const [usage, node] = await Promise.all([runtime.usage().catch(() => undefined), host.usage?.()]);
  const containers = usedBy(pods, new Map((usage ?? []).map((one) => [one.containerId, one])));
  const ofPods = sumsByPod(containers);
  const write = (what: string, labels: readonly string[], all: readonly Used[]) => {
    const cpu = `Cumulative cpu time consumed by the ${what} in core-seconds`;
    const memory = `Current working set of the ${what} in bytes`;
    const read = (of: (used: Used) => number) => () => all.map((used): Reading => [used.labels, of(used)]);
    metrics.reading(
      `${what}_cpu_usage_seconds_total`,
      cpu,
      labels,
      read((used) => used.cpuSeconds),
      'counter',
    );
    metrics.reading(
      `${what}_memory_working_set_bytes`,
      memory,
      labels,
      read((used) => used.memoryBytes),
    );
  };
  write('container', ['container', 'namespace', 'pod'], containers);
  write('pod', ['namespace', 'pod'], ofPods);
  if (node) write('node', [], [{ ...node, labels: [], startedAt: 0 }]);
  const start = 'Start time of the container since unix epoch in seconds';
  metrics.reading('container_start_time_seconds', start, ['container', 'namespace', 'pod'], () =>
    containers.map((used): Reading => [used.labels, used.startedAt / 1000]),
  );
  const failed = '1 if there was an error while getting container metrics, 0 otherwise';
  metrics.reading('resource_scrape_error', failed, [], () => [[[], usage ? 0 : 1]]);
  return metrics.text();
}

type Usages = ReadonlyMap<string, { readonly cpuNanoseconds: number; readonly memoryWorkingSetBytes: number }>;

function usedBy(pods: KubeletPods, usages: Usages): Used[] {
  const all: Used[] = [];
  for (const { pod, work } of pods.workers()) {
    for (const { id, name, state, startedAt } of work.runtime.all()) {
      const usage = usages.get(id);
      if (state !== 'running' || !usage) continue;
      const { cpuNanoseconds, memoryWorkingSetBytes: memoryBytes } = usage;
      const labels = [name, pod.metadata.namespace ?? '', pod.metadata.name];
      all.push({ labels, cpuSeconds: cpuNanoseconds / 1e9, memoryBytes, startedAt });
    }
  }
  return all;
}

function sumsByPod(containers: readonly Used[]): Used[] {
  const sums = new Map<string, Used>();
  for (const { labels, cpuSeconds, memoryBytes, startedAt } of containers) {
    const [, ...pod] = labels;
    const key = pod.join('/');
    const before = sums.get(key) ?? { labels: pod, cpuSeconds: 0, memoryBytes: 0, startedAt };
    sums.set(key, {
      labels: pod,
      cpuSeconds: before.cpuSeconds + cpuSeconds,
      memoryBytes: before.memoryBytes + memoryBytes,
      startedAt: before.startedAt,
    });
  }
  return [...sums.values()];
}
