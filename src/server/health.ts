// /healthz, /livez and /readyz with their single checks, in upstream's text form.
// https://kubernetes.io/docs/reference/using-api/health-checks/

import type { HttpExchange, PathHandler } from './http-exchange.ts';

export interface HealthCheck {
  readonly name: string;
  /** Resolves when all is well; the error of a rejection is logged, not shown. */
  check(): Promise<void> | void;
  /** The endpoints it belongs to; all unless told. */
  readonly endpoints?: readonly HealthEndpoint[];
}
export type HealthEndpoint = 'healthz' | 'livez' | 'readyz';

const ENDPOINTS: readonly HealthEndpoint[] = ['healthz', 'livez', 'readyz'];
const PING: HealthCheck = { name: 'ping', check: () => {} };
const encoder = new TextEncoder();

/** `failed` is told of every check that fails. */
export function healthHandler(
  checks: readonly HealthCheck[],
  failed: (name: string, error: unknown) => void = () => {},
): PathHandler {
  const all = [PING, ...checks];
  const of = (endpoint: HealthEndpoint) => all.filter((c) => c.endpoints?.includes(endpoint) ?? true);
  return {
    paths: ENDPOINTS.flatMap((e) => [`/${e}`, ...of(e).map((c) => `/${e}/${c.name}`)]),
    match: (path) => /^\/(healthz|livez|readyz)(\/|$)/.test(path),
    async handle(exchange, { path }) {
      const [, endpoint, ...rest] = path.replace(/\/$/, '').split('/');
      const mine = of(endpoint as HealthEndpoint);
      const one = rest.join('/');
      if (!one) return answer(exchange, endpoint!, mine, failed);
      const check = mine.find((c) => c.name === one);
      if (!check) return text(exchange, 404, '404 page not found\n');
      const error = await run(check, failed);
      return error ? text(exchange, 500, `internal server error: ${error}\n`) : text(exchange, 200, 'ok');
    },
  };
}

async function answer(
  exchange: HttpExchange,
  endpoint: string,
  checks: readonly HealthCheck[],
  failed: (name: string, error: unknown) => void,
): Promise<void> {
  const query = new URLSearchParams(exchange.query);
  const excluded = new Set(query.getAll('exclude'));
  const lines: string[] = [];
  let bad = false;
  for (const check of checks) {
    if (excluded.delete(check.name)) {
      lines.push(`[+]${check.name} excluded: ok`);
      continue;
    }
    const error = await run(check, failed);
    bad ||= error !== undefined;
    lines.push(error ? `[-]${check.name} failed: reason withheld` : `[+]${check.name} ok`);
  }
  if (excluded.size > 0) {
    const names = [...excluded].map((n) => JSON.stringify(n)).join(',');
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names}`);
  }
  if (bad) return text(exchange, 500, `${lines.join('\n')}\n${endpoint} check failed\n`);
  const verbose = query.has('verbose');
  return text(exchange, 200, verbose ? `${lines.join('\n')}\n${endpoint} check passed\n` : 'ok');
}

async function run(check: HealthCheck, failed: (name: string, error: unknown) => void): Promise<string | undefined> {
  try {
    await check.check();
    return undefined;
  } catch (error) {
    failed(check.name, error);
    return error instanceof Error ? error.message : String(error);
  }
}

function text(exchange: HttpExchange, status: number, body: string): void {
  exchange.respond(
    status,
    {
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache, private',
    },
    encoder.encode(body),
  );
}
