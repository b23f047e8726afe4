// What a component that runs on its own tells about itself: /healthz, /livez, /readyz and /metrics over HTTPS, as upstream's
// kube-scheduler (port 10259) and kube-controller-manager (10257); kube-proxy's are plain HTTP (10256 and 10249).

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { UserError } from '../cli/platform.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { componentAccess } from '../host/component-access.ts';
import { listen, type Listener } from '../host/listener.ts';
import { processMetrics } from '../host/process-metrics.ts';
import { issue, keyPem, newKey } from '../host/x509.ts';
import { healthHandler, type HealthCheck } from '../server/health.ts';
import { metricsHandler } from '../server/metrics-handler.ts';
import type { HttpExchange, PathHandler } from '../server/http-exchange.ts';
import { buildInfo } from './build-info.ts';
import type { Flags } from './flags.ts';

const YEAR = 365 * 24 * 3_600_000;
const HOUR = 3_600_000;

export interface EndpointOptions {
  readonly env: Env;
  readonly flags: Flags;
  /** `kube-scheduler`. */
  readonly name: string;
  /** The component's own. */
  readonly client: Client;
  /** PEM of the authority of client certificates. */
  readonly clientCa: string;
  readonly checks?: readonly HealthCheck[];
}

/** Undefined for `--secure-port 0`. Rejects with a UserError when the port that was asked for cannot be had. */
export async function openComponentEndpoint(options: EndpointOptions): Promise<Listener | undefined> {
  const { env, flags, name, client } = options;
  const port = flags.count('secure-port', 0, 65_535);
  if (port === 0) return undefined;
  const handlers = pathsOf(env, options.checks ?? []);
  const access = componentAccess(env, client);
  const { cert, key } = certificateOf(options);
  const at = (wanted: number) =>
    listen({
      env,
      host: flags.ipv4('bind-address') ?? '0.0.0.0',
      port: wanted,
      cert,
      key,
      clientCa: flags.file('client-ca-file') ?? options.clientCa,
      handler: (exchange) => answer(exchange, handlers, access),
    });
  const listener = await orAnyPort(options, 'secure-port', port, at);
  env.log.info('serving health and metrics', { component: name, port: listener.port });
  return listener;
}

/** Where nobody asked for this port in particular, another component of the machine may have it. */
async function orAnyPort<T>(
  { env, flags }: Pick<EndpointOptions, 'env' | 'flags'>,
  flag: string,
  port: number,
  open: (port: number) => Promise<T>,
): Promise<T> {
  try {
    return await open(port);
  } catch (error) {
    const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE') throw error;
    if (flags.chosen(flag))
      throw new UserError(`port ${port} is taken by another program: end it, or choose another with --${flag}`);
    env.log.warn('the usual port is taken: serving at another', { flag, port });
    return open(0);
  }
}

function pathsOf(env: Env, checks: readonly HealthCheck[]): PathHandler[] {
  const failed = (check: string, error: unknown) => env.log.warn('health check failed', { check, error });
  if (!env.metrics) return [healthHandler(checks, failed)];
  processMetrics(env.metrics);
  buildInfo(env.metrics);
  return [healthHandler(checks, failed), metricsHandler(env.metrics)];
}

async function answer(
  exchange: HttpExchange,
  handlers: readonly PathHandler[],
  access: ReturnType<typeof componentAccess>,
): Promise<void> {
  const say = (status: number, text: string) =>
    exchange.respond(status, { 'content-type': 'text/plain; charset=utf-8' }, new TextEncoder().encode(text));
  const denial = await access(exchange);
  if (denial) return say(denial.status, denial.text);
  const { path, method } = exchange;
  const handler = handlers.find((h) => h.match(path));
  if (!handler) return say(404, '404 page not found\n');
  if (method !== 'GET' && method !== 'HEAD') return say(405, 'Method Not Allowed\n');
  await handler.handle(exchange, { user: { name: '', groups: [] }, path });
}

/** The one the flags name, or one that the component signs itself, for this run. */
function certificateOf({ env, flags, name }: EndpointOptions): { readonly cert: string; readonly key: string } {
  const cert = flags.file('tls-cert-file');
  const key = flags.file('tls-private-key-file');
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert !== undefined || key !== undefined)
    throw new UserError('--tls-cert-file and --tls-private-key-file go together: name both');
  const { publicKey, privateKey } = newKey();
  const now = env.clock.now();
  const subject = { commonName: `${hostname()}@${name}` };
  const request = {
    subject,
    publicKey,
    notBefore: now - HOUR,
    notAfter: now + YEAR,
    usages: ['server auth'] as const,
    names: ['localhost', '127.0.0.1', hostname()],
  };
  return { cert: issue(request, { subject, key: privateKey, publicKey }, env.random), key: keyPem(privateKey) };
}

export interface ProxyEndpoints {
  /** Of health and metrics, as far as they are served. */
  readonly ports: readonly number[];
  close(): Promise<void>;
}

/** kube-proxy's: health for load balancers on every address, metrics on loopback, both plain HTTP and open to anybody. */
export async function openProxyEndpoints(env: Env, flags: Flags, checkHealth: () => boolean): Promise<ProxyEndpoints> {
  const { metrics } = env;
  if (metrics) {
    processMetrics(metrics);
    buildInfo(metrics);
  }
  const health = await openPlain({ env, flags }, 'healthz-bind-address', (path) => {
    if (path !== '/healthz' && path !== '/livez') return undefined;
    const currentTime = new Date(env.clock.now()).toISOString();
    return { status: checkHealth() ? 200 : 503, type: 'application/json', text: JSON.stringify({ currentTime }) };
  });
  const told = await openPlain({ env, flags }, 'metrics-bind-address', (path) => {
    if (path === '/metrics' && metrics)
      return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', text: metrics.text() };
    if (path === '/proxyMode') return { status: 200, type: 'text/plain; charset=utf-8', text: 'nftables' };
    return path === '/healthz' ? { status: 200, type: 'text/plain; charset=utf-8', text: 'ok' } : undefined;
  });
  const servers = [health, told].flatMap((server) => server ?? []);
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  return { ports, close: async () => void (await Promise.all(servers.map(closed))) };
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

type Plain = { readonly status: number; readonly type: string; readonly text: string };

/** Undefined for an empty flag. */
async function openPlain(
  context: Pick<EndpointOptions, 'env' | 'flags'>,
  flag: string,
  page: (path: string) => Plain | undefined,
): Promise<Server | undefined> {
  const text = context.flags.text(flag);
  if (text === undefined) return undefined;
  const [, host = '', port = ''] = /^(\d+\.\d+\.\d+\.\d+):(\d+)$/.exec(text) ?? [];
  if (!host || Number(port) > 65_535) throw context.flags.refuse(flag, 'write it like 127.0.0.1:10249');
  if (port === '0') return undefined;
  const open = (wanted: number) =>
    new Promise<Server>((resolve, reject) => {
      const server = createServer((request, response) => {
        const found = page(new URL(request.url ?? '/', 'http://x').pathname);
        const { status, type, text: body } = found ?? { status: 404, type: 'text/plain', text: '404 page not found\n' };
        response.writeHead(status, { 'content-type': type }).end(body);
      });
      server.once('error', reject);
      server.listen(wanted, host, () => resolve(server));
    });
  return orAnyPort(context, flag, Number(port), open);
}
