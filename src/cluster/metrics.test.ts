// What is told under upstream's names has upstream's labels: dashboards and alerts count on both.
// https://kubernetes.io/docs/reference/instrumentation/metrics/

import { expect, test } from 'vitest';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { Service } from '../api/kinds/core/service.ts';
import { parseExposition } from '../base/exposition.ts';
import { Metrics } from '../base/metrics.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { runProxy } from '../proxy/proxy.ts';
import { PROXY } from './identities.ts';
import { TestCluster } from './testing.ts';

/** Name, type, labels. */
const TOLD = `
apiserver_current_inflight_requests gauge request_kind
apiserver_longrunning_requests gauge component group resource scope subresource verb version
apiserver_request_duration_seconds histogram component dry_run group resource scope subresource verb version
apiserver_request_total counter code component dry_run group resource scope subresource verb version
apiserver_resource_objects gauge group resource
apiserver_storage_objects gauge resource
apiserver_watch_events_total counter group resource version
etcd_request_duration_seconds histogram group operation resource
etcd_requests_total counter group operation resource
kubeproxy_sync_full_proxy_rules_duration_seconds histogram ip_family
kubeproxy_sync_partial_proxy_rules_duration_seconds histogram ip_family
kubeproxy_sync_proxy_rules_duration_seconds histogram ip_family
kubeproxy_sync_proxy_rules_endpoint_changes_pending gauge
kubeproxy_sync_proxy_rules_endpoint_changes_total counter
kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds gauge ip_family
kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge ip_family
kubeproxy_sync_proxy_rules_nftables_sync_failures_total counter ip_family
kubeproxy_sync_proxy_rules_service_changes_pending gauge
kubeproxy_sync_proxy_rules_service_changes_total counter
scheduler_cache_size gauge type
scheduler_pending_pods gauge queue
scheduler_pod_scheduling_attempts histogram
scheduler_pod_scheduling_sli_duration_seconds histogram attempts
scheduler_preemption_attempts_total counter
scheduler_preemption_victims histogram
scheduler_queue_incoming_pods_total counter event queue
scheduler_schedule_attempts_total counter profile result
scheduler_scheduling_algorithm_duration_seconds histogram
scheduler_scheduling_attempt_duration_seconds histogram profile result
workqueue_adds_total counter name
workqueue_depth gauge name
workqueue_longest_running_processor_seconds gauge name
workqueue_queue_duration_seconds histogram name
workqueue_retries_total counter name
workqueue_unfinished_work_seconds gauge name
workqueue_work_duration_seconds histogram name
`;

test('names, types and labels are upstream’s, and the text is well formed', async () => {
  await using cluster = await TestCluster.start({ seed: 1 });
  const env = { ...cluster.env, metrics: cluster.metrics };
  const stop = new AbortController();
  const informers = createInformerFactory({ client: cluster.clientFor(PROXY), env }, stop);
  const sink = { replace: async () => {}, change: async () => {}, intact: async () => true, close: async () => {} };
  const proxy = runProxy({ env, informers, nodeName: 'node-1', sink }, stop);
  await cluster.settle();
  const labels = { app: 'web' };
  const ref = { namespace: 'default', name: 'web' };
  const serving = { selector: labels, ports: [{ port: 80 }] };
  await cluster.client.create(Service, { metadata: ref, spec: serving } as never);
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const spec = { replicas: 3, selector: { matchLabels: labels }, template };
  await cluster.client.create(Deployment, { metadata: ref, spec } as never);
  await cluster.settle();
  const families = parseExposition(cluster.metrics.text());
  const told = [...families.values()]
    .filter(({ name }) => !name.startsWith('coracle_'))
    .map(({ name, type, samples }) => {
      const names = new Set(samples.flatMap((s) => [...s.labels.keys()]));
      names.delete('le');
      return [name, type, ...[...names].sort()].join(' ');
    });
  expect(told).toEqual(TOLD.trim().split('\n'));
  const one = (name: string, wanted: Record<string, string> = {}) =>
    families.get(name)!.samples.find((s) => Object.entries(wanted).every(([k, v]) => s.labels.get(k) === v))?.value;
  expect(one('scheduler_schedule_attempts_total', { result: 'scheduled', profile: 'default-scheduler' })).toBe(3);
  expect(one('scheduler_queue_incoming_pods_total', { queue: 'active', event: 'UnscheduledPodAdd' })).toBe(3);
  expect(one('apiserver_resource_objects', { resource: 'pods', group: '' })).toBe(3);
  expect(one('etcd_requests_total', { operation: 'create', group: 'apps', resource: 'deployments' })).toBe(1);
  expect(one('kubeproxy_sync_proxy_rules_service_changes_total')).toBeGreaterThan(0);
  expect(one('kubeproxy_sync_proxy_rules_service_changes_pending')).toBe(0);
  expect(one('kubeproxy_sync_proxy_rules_endpoint_changes_pending')).toBe(0);
  stop.abort();
  await proxy;
});

test('a pod that finds no place is told as such, and how it comes back', async () => {
  await using cluster = await TestCluster.start({ seed: 1, nodes: 0 });
  const pod = { metadata: { namespace: 'default', name: 'a' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const { Pod } = await import('../api/kinds/core/pod.ts');
  await cluster.client.create(Pod, pod as never);
  await cluster.settle();
  await cluster.advance('6m');
  const families = parseExposition(cluster.metrics.text());
  const events = families.get('scheduler_queue_incoming_pods_total')!.samples;
  expect(events.map((s) => [s.labels.get('queue'), s.labels.get('event')])).toEqual([
    ['active', 'UnscheduledPodAdd'],
    ['active', 'UnschedulableTimeout'],
    ['unschedulable', 'ScheduleAttemptFailure'],
  ]);
  const pending = families
    .get('scheduler_pending_pods')!
    .samples.find((s) => s.labels.get('queue') === 'unschedulable');
  expect(pending?.value).toBe(1);
});

test('a queue that has ended tells nothing', async () => {
  const { queueMetrics } = await import('../client/queue-metrics.ts');
  const { WorkQueue } = await import('../client/work-queue.ts');
  const { VirtualClock } = await import('../base/virtual-clock.ts');
  const metrics = new Metrics();
  const clock = new VirtualClock();
  const queue = new WorkQueue({ clock, metrics: queueMetrics(metrics, 'q') });
  queue.add('a');
  queue.add('b');
  queue.take();
  await clock.advance(2000);
  const value = (name: string) => parseExposition(metrics.text()).get(name)?.samples[0]?.value;
  expect([value('workqueue_depth'), value('workqueue_longest_running_processor_seconds')]).toEqual([1, 2]);
  expect(value('workqueue_unfinished_work_seconds')).toBe(2);
  queue.done('a');
  expect(value('workqueue_unfinished_work_seconds')).toBe(0);
  queue.close();
  expect(value('workqueue_depth')).toBeUndefined();
});
