// What a client tells of its requests, by upstream's names.

import type { Env } from '../base/env.ts';

/** Seconds, as client-go's. */
const BOUNDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

/** Begins the measurement of one request; what it returns ends it. `code` is `<error>` when there was no answer. */
export type RequestTimer = (method: string) => (code: string) => void;

/** Undefined where nothing is counted. `host` is the server's, with its port. */
export function requestMetrics({ metrics, clock }: Env, host: string): RequestTimer | undefined {
  if (!metrics) return undefined;
  const requests = metrics.counter(
    'rest_client_requests_total',
    'Number of HTTP requests, partitioned by status code, method, and host.',
    ['code', 'method', 'host'],
  );
  const durations = metrics.histogram(
    'rest_client_request_duration_seconds',
    'Request latency in seconds. Broken down by verb, and host.',
    ['verb', 'host'],
    BOUNDS,
  );
  return (method) => {
    const began = clock.monotonic();
    return (code) => {
      requests.of(code, method, host).add();
      durations.of(method, host).observe((clock.monotonic() - began) / 1000);
    };
  };
}
