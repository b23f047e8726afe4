// A node's own HTTPS endpoint (port 10250): logs, exec, attach and port-forward of its containers on upstream's kubelet
// paths, and whatever else the node has to tell.

import { StatusError } from '../api/errors.ts';
import type { NodeApi, NodeStream } from '../api/node-api.ts';
import type { Env } from '../base/env.ts';
import type { HttpExchange } from '../server/http-exchange.ts';
import { listen, type Listener } from './listener.ts';
import type { NodeAccess } from './node-access.ts';
import { nodeRoute } from './node-routes.ts';

export interface NodeApiServerOptions {
  readonly env: Env;
  readonly node: NodeApi;
  readonly access: NodeAccess;
  /** Carries conversations: `streamHandler` of server/streams. */
  readonly streams: (exchange: HttpExchange, stream: NodeStream, subject: { readonly name: string }) => Promise<void>;
  /** The address to bind; all addresses when absent. */
  readonly host?: string;
  /** 10250 on real nodes. */
  readonly port: number;
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** PEM of the authority of client certificates. */
  readonly clientCa: string;
  /** Further GET paths, e.g. `/metrics`, `/stats/summary`: what they answer with. */
  readonly pages?: NodePages;
}

export type NodePages = ReadonlyMap<string, (query: URLSearchParams) => Promise<NodePage> | NodePage>;

export interface NodePage {
  readonly contentType: string;
  readonly text: string;
}

/** Resolves once the port accepts connections. */
export function serveNodeApi(options: NodeApiServerOptions): Promise<Listener> {
  const { env, host, port, cert, key, clientCa } = options;
  const handler = (exchange: HttpExchange) => answer(options, exchange);
  return listen({ env, ...(host ? { host } : {}), port, cert, key, clientCa, handler });
}

const text = (exchange: HttpExchange, status: number, body: string, contentType = 'text/plain; charset=utf-8') =>
  exchange.respond(status, { 'content-type': contentType }, new TextEncoder().encode(body));

async function answer(options: NodeApiServerOptions, exchange: HttpExchange): Promise<void> {
  const denial = await options.access(exchange);
  if (denial) return text(exchange, denial.status, denial.text);
  try {
    await route(options, exchange);
  } catch (error) {
    if (exchange.signal.aborted) return;
    if (error instanceof URIError) return text(exchange, 400, '400 Bad Request\n');
    if (!(error instanceof StatusError)) {
      const { method, path } = exchange;
      options.env.log.error('request to the node failed', { method, path, error: (error as Error).stack });
    }
    text(exchange, error instanceof StatusError ? error.code : 500, (error as Error).message);
  }
}

async function route(options: NodeApiServerOptions, exchange: HttpExchange): Promise<void> {
  const { method, path } = exchange;
  const found = method === 'GET' || method === 'POST' ? await nodeRoute(options.node, exchange) : undefined;
  if (found && 'stream' in found) return options.streams(exchange, found.stream, { name: found.pod });
  if (found || path === '/healthz' || path === '/healthz/ping') return text(exchange, 200, 'ok');
  const page = await options.pages?.get(path)?.(new URLSearchParams(exchange.query));
  if (!page) return text(exchange, 404, '404 page not found\n');
  text(exchange, 200, page.text, page.contentType);
}
