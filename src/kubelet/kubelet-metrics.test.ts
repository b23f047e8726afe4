import { afterEach, expect, test } from 'vitest';
import { Metrics } from '../base/metrics.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { testNode, type TestNode } from '../cluster/test-node.ts';
import { KubeletMetrics } from './kubelet-metrics.ts';
import { resourceMetrics } from './resource-metrics.ts';
import { RuntimeError } from './runtime.ts';

let node: TestNode;
afterEach(() => node.close());

async function measured() {
  const registry = new Metrics();
  node = await testNode({ metrics: new KubeletMetrics(registry, 'node-1') });
  const lines = () => registry.text().split('\n');
  return (name: string) => lines().filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

test('runtime calls, their failures and durations are counted by operation', async () => {
  const of = await measured();
  await node.create({ name: 'a' });
  await node.settle(1000);
  expect(of('kubelet_runtime_operations_total')).toContain(
    'kubelet_runtime_operations_total{operation_type="run_podsandbox"} 1',
  );
  expect(of('kubelet_runtime_operations_duration_seconds_count')).toContain(
    'kubelet_runtime_operations_duration_seconds_count{operation_type="start_container"} 1',
  );
  expect(of('kubelet_runtime_operations_errors_total')).toEqual([]);
  node.runtime.down = new RuntimeError('UNAVAILABLE', 'away');
  await node.create({ name: 'b' });
  await node.settle(100);
  expect(of('kubelet_runtime_operations_errors_total')).toContain(
    'kubelet_runtime_operations_errors_total{operation_type="run_podsandbox"} 1',
  );
  node.runtime.down = undefined;
});

test('pods that run, how long they took, and what probes said go with the pod', async () => {
  const of = await measured();
  await node.create({
    name: 'a',
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 } }],
  });
  await node.settle(3500);
  expect(of('kubelet_running_pods')).toEqual(['kubelet_running_pods 1']);
  expect(of('kubelet_running_containers')).toEqual(['kubelet_running_containers{container_state="running"} 1']);
  expect(of('kubelet_pod_start_duration_seconds_count')).toEqual(['kubelet_pod_start_duration_seconds_count 1']);
  const [probes] = of('prober_probe_total');
  expect(probes).toMatch(
    /^prober_probe_total\{probe_type="Readiness",result="successful",container="c",pod="a",namespace="default",pod_uid="[-0-9a-f]+"\} [34]$/,
  );
  expect(of('kubelet_node_name')).toEqual(['kubelet_node_name{node="node-1"} 1']);
  await node.client.delete(Pod, { namespace: 'default', name: 'a' });
  await node.settle(5000);
  expect(of('kubelet_running_pods')).toEqual(['kubelet_running_pods 0']);
  expect(of('prober_probe_total')).toEqual([]);
});

test('what containers use is summed up by pod; a runtime that cannot tell is told of', async () => {
  await measured();
  await node.create({ name: 'a', containers: [{ name: 'one' }, { name: 'two' }] });
  await node.settle(1000);
  const ids = (await node.runtime.listContainers()).map(({ id, name }) => ({ id, name }));
  const usage = async () =>
    ids.map(({ id, name }) => ({
      containerId: id,
      name,
      timestamp: 0,
      cpuNanoseconds: 1.5e9,
      memoryWorkingSetBytes: 1000,
    }));
  const host = { usage: async () => ({ cpuSeconds: 7, memoryBytes: 5000 }) };
  const text = await resourceMetrics({ pods: node.pods(), runtime: { usage }, host });
  expect(text).toContain('container_cpu_usage_seconds_total{container="one",namespace="default",pod="a"} 1.5\n');
  expect(text).toContain('pod_cpu_usage_seconds_total{namespace="default",pod="a"} 3\n');
  expect(text).toContain('pod_memory_working_set_bytes{namespace="default",pod="a"} 2000\n');
  expect(text).toContain('node_cpu_usage_seconds_total 7\n');
  expect(text).toContain('node_memory_working_set_bytes 5000\n');
  expect(text).toContain('resource_scrape_error 0\n');
  const fails = () => Promise.reject(new RuntimeError('UNAVAILABLE', 'away'));
  const without = await resourceMetrics({ pods: node.pods(), runtime: { usage: fails }, host: {} });
  expect(without).toContain('resource_scrape_error 1\n');
  expect(without).not.toContain('container_cpu');
});
