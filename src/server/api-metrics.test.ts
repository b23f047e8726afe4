import { expect, test } from 'vitest';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Metrics } from '../base/metrics.ts';
import { createTestServer } from '../cluster/test-server.ts';
import { apiMetrics } from './api-metrics.ts';
import type { OperationHook } from './pipeline.ts';
import type { ApiOp } from '../api/op.ts';

test('operations, objects, watches and the store are counted', async () => {
  const metrics = new Metrics();
  let hooks!: ReturnType<typeof apiMetrics>;
  const audit = (op: ApiOp) => hooks.audit(op);
  const observe: OperationHook = (op, outcome) => hooks.observe(op, outcome);
  const { client, server, close } = createTestServer({ audit, observe });
  hooks = apiMetrics(metrics, server.caches);
  const ref = { namespace: 'a', name: 'x' };
  await client.create(ConfigMap, { metadata: ref });
  await expect(client.get(ConfigMap, { namespace: 'a', name: 'y' })).rejects.toThrow('not found');
  const watch = await client.do({ verb: 'watch', group: '', version: 'v1', resource: 'configmaps', options: {} });
  if (watch.type !== 'watch') throw new Error(watch.type);
  watch.stream.start({ events: () => {}, closed: () => {} });
  await client.patch(ConfigMap, ref, 'merge', { data: { a: '1' } });
  const text = metrics.text();
  const rest =
    'dry_run="",group="",version="v1",resource="configmaps",subresource="",scope="resource",component="apiserver"';
  for (const line of [
    `apiserver_request_total{verb="POST",${rest},code="201"} 1`,
    `apiserver_request_total{verb="GET",${rest},code="404"} 1`,
    `apiserver_request_total{verb="PATCH",${rest},code="200"} 1`,
    `apiserver_request_total{verb="WATCH",${rest.replace('"resource",c', '"cluster",c')},code="200"} 1`,
    `apiserver_request_duration_seconds_count{verb="POST",${rest}} 1`,
    'apiserver_current_inflight_requests{request_kind="mutating"} 0',
    'apiserver_current_inflight_requests{request_kind="readOnly"} 0',
    'apiserver_storage_objects{resource="configmaps"} 1',
    'apiserver_longrunning_requests{verb="WATCH",group="",version="v1",resource="configmaps",subresource="",scope="",component="apiserver"} 1',
    'apiserver_watch_events_total{group="",version="v1",resource="configmaps"} 1',
    'coracle_store_revision 3',
  ])
    expect(text).toContain(`${line}\n`);
  expect(text).not.toContain('request_duration_seconds_count{verb="WATCH"');
  watch.stream.stop();
  expect(metrics.text()).toContain('resource="configmaps",subresource="",scope="",component="apiserver"} 0\n');
  close();
});
