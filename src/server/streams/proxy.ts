// Requests to pods, services and nodes by way of the API server: forwarded as they are, the answer streamed back,
// upgraded connections joined.
// https://kubernetes.io/docs/concepts/cluster-administration/proxies/

import { StatusError } from '../../api/errors.ts';
import type { ByteSource, NodeStream } from '../../api/node-api.ts';
import type { RawConnection } from '../../api/streams/raw-connection.ts';
import type { HttpExchange, ResponseHeaders } from '../http-exchange.ts';
import type { ForwardRequest, ForwardResponse, HttpForward } from './http-forward.ts';
import { rewriteLinks } from './html-links.ts';
import { requestHeaders, responseHeaders, rewriteLocation } from './proxy-headers.ts';
import { pump } from './pump.ts';
import { isUpgrade } from './upgrade.ts';

type ProxyStream = Extract<NodeStream, { kind: 'proxy' }>;

export interface ProxyContext {
  readonly forward: HttpForward;
  /** What follows `/proxy` in the request's path. */
  readonly rest: string;
}

/** Rejects with ServiceUnavailable, before it has answered, when the backend cannot be reached. */
export async function proxyRequest(exchange: HttpExchange, stream: ProxyStream, context: ProxyContext): Promise<void> {
  const { method, path, query, headers, signal } = exchange;
  const upgrade = isUpgrade(exchange) && exchange.upgrade !== undefined;
  // Links relative to the backend's root need the slash.
  if (!upgrade && context.rest === '' && (method === 'GET' || method === 'HEAD')) {
    return exchange.respond(301, { location: `${path}/${query ? `?${query}` : ''}` });
  }
  const { scheme, host, port } = stream;
  const body = upgrade ? undefined : await bodyOf(exchange);
  const response = await reach(context.forward, signal, {
    method,
    scheme,
    host,
    port,
    target: query ? `${stream.path}?${query}` : stream.path,
    headers: requestHeaders(exchange, upgrade),
    ...(body ? { body } : {}),
    ...(stream.kubelet ? { kubelet: true } : {}),
    signal,
  });
  if (!response) return;
  if (response.upgraded) return join(exchange.upgrade!(response.headers), response.upgraded);
  if (upgrade && response.status < 400) {
    throw new StatusError('', `invalid upgrade response: status code ${response.status}`, undefined, 500);
  }
  const backend = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const prefix = path.slice(0, path.length - context.rest.length);
  const answer = { prefix, backend, host: headers['host'] ?? headers[':authority'] };
  const out = responseHeaders(response.headers, answer);
  let content = response.body;
  if (method !== 'HEAD' && isReadablePage(out)) {
    delete out['content-length'];
    content = rewriteLinks(content, (url) => rewriteLocation(url, answer));
  }
  // An answer that breaks off there breaks off here too; more is not to be said.
  await pump(exchange.begin(response.status, out), content, signal).catch(() => {});
}

function isReadablePage(headers: ResponseHeaders): boolean {
  const type = headers['content-type'];
  return typeof type === 'string' && /^text\/html *(;|$)/i.test(type) && headers['content-encoding'] === undefined;
}

/** Undefined when the client has gone meanwhile. */
async function reach(
  forward: HttpForward,
  signal: AbortSignal,
  request: ForwardRequest,
): Promise<ForwardResponse | undefined> {
  try {
    return await forward(request);
  } catch (error) {
    if (signal.aborted) return undefined;
    throw new StatusError('ServiceUnavailable', `error trying to reach service: ${(error as Error).message}`);
  }
}

/** Over HTTP/2 only reading tells whether there is a body. */
async function bodyOf(exchange: HttpExchange): Promise<ByteSource | undefined> {
  const { headers } = exchange;
  if (headers['content-length'] === '0') return undefined;
  const source = exchange.bodySource();
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) return source;
  const chunks = source[Symbol.asyncIterator]();
  const first = await chunks.next();
  return first.done ? undefined : withFirst(first.value, chunks);
}

async function* withFirst(first: Uint8Array, rest: AsyncIterator<Uint8Array>): ByteSource {
  yield first;
  yield* { [Symbol.asyncIterator]: () => rest };
}

/** Carries bytes both ways until one side is done. */
async function join(client: RawConnection, backend: RawConnection): Promise<void> {
  const copy = async (from: RawConnection, to: RawConnection) => {
    for await (const chunk of from.source) await to.sink.write(chunk);
  };
  await Promise.race([copy(client, backend), copy(backend, client)]);
  client.close();
  backend.close();
}
