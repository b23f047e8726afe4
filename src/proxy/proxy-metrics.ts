// What the proxy tells of itself, by upstream's names.

import type { Env } from '../base/env.ts';
import type { Counter, Family, Histogram, Metrics } from '../base/metrics.ts';

const FAMILY = 'IPv4';
/** 1 ms to 16 s, doubling. */
const BOUNDS = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);

/** Changes of one sort: how many there were, and how many the kernel does not have yet. */
class Changes {
  readonly #total: Counter;
  #pending = 0;
  #taken = 0;

  constructor(metrics: Metrics, sort: 'service' | 'endpoint', title: string) {
    const name = `kubeproxy_sync_proxy_rules_${sort}_changes`;
    this.#total = metrics.counter(`${name}_total`, `Cumulative proxy rules ${title} changes`).of();
    metrics.reading(`${name}_pending`, `Pending proxy rules ${title} changes`, [], () => [[[], this.#pending]]);
  }

  add(): void {
    this.#total.add();
    this.#pending++;
  }

  /** A transaction takes what waits. */
  take(): void {
    this.#taken = this.#pending;
  }

  done(): void {
    this.#pending -= this.#taken;
    this.#taken = 0;
  }
}

export class ProxyMetrics {
  readonly services: Changes;
  readonly endpoints: Changes;
  readonly #env: Env;
  readonly #all: Family<Histogram>;
  readonly #full: Family<Histogram>;
  readonly #partial: Family<Histogram>;
  readonly #failures: Counter;
  #queuedAt = 0;
  #syncedAt = 0;

  constructor(metrics: Metrics, env: Env) {
    this.#env = env;
    this.services = new Changes(metrics, 'service', 'Service');
    this.endpoints = new Changes(metrics, 'endpoint', 'Endpoint');
    const durations = (sort: string, of: string) =>
      metrics.histogram(
        `kubeproxy_sync_${sort}proxy_rules_duration_seconds`,
        `SyncProxyRules latency in seconds${of}`,
        ['ip_family'],
        BOUNDS,
      );
    this.#all = durations('', '');
    this.#full = durations('full_', ' for full resyncs');
    this.#partial = durations('partial_', ' for partial resyncs');
    this.#failures = metrics
      .counter('kubeproxy_sync_proxy_rules_nftables_sync_failures_total', 'Cumulative proxy nftables sync failures', [
        'ip_family',
      ])
      .of(FAMILY);
    const time = (name: string, help: string, read: () => number) =>
      metrics.reading(`kubeproxy_sync_proxy_rules_${name}_timestamp_seconds`, help, ['ip_family'], () => [
        [[FAMILY], read() / 1000],
      ]);
    time('last', 'The last time proxy rules were successfully synced', () => this.#syncedAt);
    time('last_queued', 'The last time a sync of proxy rules was queued', () => this.#queuedAt);
  }

  queued(): void {
    this.#queuedAt = this.#env.clock.now();
  }

  begin(): void {
    this.services.take();
    this.endpoints.take();
  }

  /** The kernel has all that was taken. */
  done(full: boolean, ms: number): void {
    this.services.done();
    this.endpoints.done();
    this.#syncedAt = this.#env.clock.now();
    this.#all.of(FAMILY).observe(ms / 1000);
    (full ? this.#full : this.#partial).of(FAMILY).observe(ms / 1000);
  }

  /** What was taken changed no rule. */
  nothing(): void {
    this.services.done();
    this.endpoints.done();
  }

  failed(): void {
    this.#failures.add();
  }
}
