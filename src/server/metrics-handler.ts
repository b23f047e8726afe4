// GET /metrics: everything this process counts, in Prometheus' text form.

import type { Metrics } from '../base/metrics.ts';
import type { PathHandler } from './http-exchange.ts';

const encoder = new TextEncoder();

export function metricsHandler(metrics: Metrics): PathHandler {
  return {
    paths: ['/metrics'],
    match: (path) => path === '/metrics',
    handle: (exchange) =>
      exchange.respond(
        200,
        { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-cache, private' },
        encoder.encode(metrics.text()),
      ),
  };
}
