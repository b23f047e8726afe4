// What the API server tells of itself, by upstream's names: every operation, by HTTP or from this process, is counted.

import type { StatusError } from '../api/errors.ts';
import type { ApiOp, ApiResult } from '../api/op.ts';
import type { Metrics, Reading } from '../base/metrics.ts';
import type { Caches } from './caches.ts';
import type { OperationHook } from './pipeline.ts';

const VERBS: Readonly<Record<ApiOp['verb'], string>> = {
  get: 'GET',
  list: 'LIST',
  watch: 'WATCH',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETECOLLECTION',
  connect: 'CONNECT',
};
const READS = new Set(['get', 'list', 'watch', 'connect']);
const LABELS = ['verb', 'dry_run', 'group', 'version', 'resource', 'subresource', 'scope', 'component'];
const COMPONENT = 'apiserver';

const verbOf = (op: ApiOp) => (op.patchType === 'apply' ? 'APPLY' : VERBS[op.verb]);
const isLong = (op: ApiOp) => op.verb === 'watch' || op.verb === 'connect';

function scopeOf({ name, namespace, verb }: ApiOp): string {
  if (name || verb === 'create') return 'resource';
  return namespace ? 'namespace' : 'cluster';
}

function codeOf(result: ApiResult | undefined, error: StatusError | undefined): string {
  if (error) return String(error.code);
  if (result?.type === 'connect') return '101';
  return String((result?.type === 'object' && result.code) || 200);
}

/** The hooks for `ApiServerOptions`. Long-running operations count when they begin. */
export function apiMetrics(
  metrics: Metrics,
  caches: Caches,
): { readonly audit: (op: ApiOp) => void; readonly observe: OperationHook } {
  const requests = metrics.counter(
    'apiserver_request_total',
    'Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.',
    [...LABELS, 'code'],
  );
  const durations = metrics.histogram(
    'apiserver_request_duration_seconds',
    'Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.',
    LABELS,
  );
  let reading = 0;
  let mutating = 0;
  metrics.reading(
    'apiserver_current_inflight_requests',
    'Maximal number of currently used inflight request limit of this apiserver per request kind in last second.',
    ['request_kind'],
    () => [
      [['readOnly'], reading],
      [['mutating'], mutating],
    ],
  );
  readCaches(metrics, caches);
  const count = (op: ApiOp, n: number) => {
    if (READS.has(op.verb)) reading += n;
    else mutating += n;
  };
  return {
    audit: (op) => count(op, 1),
    observe(op, { result, error, ms }) {
      count(op, -1);
      const { group, version, resource, subresource = '' } = op;
      const verb = verbOf(op);
      const dryRun = op.options.dryRun ? 'All' : '';
      const scope = scopeOf(op);
      const code = codeOf(result, error);
      requests.of(verb, dryRun, group, version, resource, subresource, scope, COMPONENT, code).add();
      if (isLong(op)) return;
      durations.of(verb, dryRun, group, version, resource, subresource, scope, COMPONENT).observe(ms / 1000);
    },
  };
}

/** What the caches know anyway, read when asked for. */
function readCaches(metrics: Metrics, caches: Caches): void {
  const each = function* (
    read: (cache: { size: number; watches: number; told: number }) => number,
  ): Generator<Reading> {
    for (const { kind, cache } of caches.storages()) yield [[kind.group, kind.version, kind.plural], read(cache)];
  };
  const labels = ['group', 'version', 'resource'];
  metrics.reading(
    'apiserver_storage_objects',
    'Number of stored objects at the time of last check split by kind.',
    ['resource'],
    function* (): Generator<Reading> {
      for (const { kind, cache } of caches.storages()) yield [[kind.resource], cache.size];
    },
  );
  metrics.reading(
    'apiserver_resource_objects',
    'Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.',
    ['group', 'resource'],
    function* (): Generator<Reading> {
      for (const { kind, cache } of caches.storages()) yield [[kind.group, kind.plural], cache.size];
    },
  );
  metrics.reading(
    'apiserver_longrunning_requests',
    'Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component.',
    ['verb', ...labels, 'subresource', 'scope', 'component'],
    function* (): Generator<Reading> {
      // Watches of a cache are not told apart by their scope.
      for (const [values, n] of each((cache) => cache.watches)) yield [['WATCH', ...values, '', '', COMPONENT], n];
    },
  );
  metrics.reading(
    'apiserver_watch_events_total',
    'Number of events sent in watch clients',
    labels,
    () => each((cache) => cache.told),
    'counter',
  );
  const { store } = caches;
  metrics.reading('coracle_store_revision', 'The revision of the latest durable write.', [], () => [
    [[], store.revision],
  ]);
  metrics.reading('coracle_store_compact_revision', 'History up to this revision is forgotten.', [], () => [
    [[], store.compactRevision],
  ]);
  metrics.reading(
    'apiserver_storage_size_bytes',
    'Size of the storage database file physically allocated in bytes.',
    ['storage_cluster_id'],
    () => (store.diskBytes ? [[['embedded'], store.diskBytes()]] : []),
  );
}
