// What writes to the store cost, by the names upstream gives its requests to etcd: dashboards know them.

import type { AnyKind } from '../api/kind.ts';
import type { Clock } from '../base/env.ts';
import { DURATIONS, type Metrics } from '../base/metrics.ts';

export type StoreOperation = 'create' | 'update' | 'delete';

/** Begins the measurement of one write; what it returns ends it. */
export type StoreTimer = (operation: StoreOperation, kind: AnyKind) => (failed: boolean) => void;

export function storeMetrics(metrics: Metrics, clock: Clock): StoreTimer {
  const labels = ['operation', 'group', 'resource'];
  const durations = metrics.histogram(
    'etcd_request_duration_seconds',
    'Etcd request latency in seconds for each operation and object type.',
    labels,
    DURATIONS,
  );
  const requests = metrics.counter(
    'etcd_requests_total',
    'Etcd request counts for each operation and object type.',
    labels,
  );
  const errors = metrics.counter(
    'etcd_request_errors_total',
    'Etcd failed request counts for each operation and object type.',
    labels,
  );
  return (operation, { group, plural }) => {
    const began = clock.monotonic();
    return (failed) => {
      durations.of(operation, group, plural).observe((clock.monotonic() - began) / 1000);
      requests.of(operation, group, plural).add();
      if (failed) errors.of(operation, group, plural).add();
    };
  };
}
