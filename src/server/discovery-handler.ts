// Puts the discovery and OpenAPI documents on their paths, with ETags.

import { notFound } from '../api/errors.ts';
import type { Discovery, DiscoveryDocument } from './discovery.ts';
import type { HttpExchange, PathHandler } from './http-exchange.ts';
import type { OpenApi } from './openapi.ts';

function answer(exchange: HttpExchange, document: DiscoveryDocument): void {
  const headers = { etag: document.etag, vary: 'Accept', 'cache-control': 'public' };
  if (exchange.headers['if-none-match'] === document.etag) return exchange.respond(304, headers);
  exchange.respond(200, { ...headers, 'content-type': document.contentType }, document.body);
}

/** `/api`, `/apis` and below, down to group versions: resources themselves are matched before. */
export function discoveryHandler(discovery: Discovery): PathHandler {
  const plain = (path: string) => (path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path);
  return {
    paths: ['/api', '/api/v1', '/apis'],
    match: (path) => /^\/api(\/v1)?\/?$/.test(path) || /^\/apis(\/[^/]+){0,2}\/?$/.test(path),
    handle(exchange, { path }) {
      const document = discovery.document(plain(path), exchange.headers['accept'] ?? '');
      if (!document) throw notFound({ resource: '' }, '');
      answer(exchange, document);
    },
  };
}

/**
 * `/openapi/v3` and its group documents. `/openapi/v2` answers 200 with an empty body: old kubectl needs the path to
 * exist and takes an empty document for "no schema", where it then falls back on its own types.
 */
export function openApiHandler(openApi: OpenApi): PathHandler {
  return {
    paths: ['/openapi/v2', '/openapi/v3'],
    match: (path) => path === '/openapi/v2' || path === '/openapi/v3' || path.startsWith('/openapi/v3/'),
    async handle(exchange, { path }) {
      if (path === '/openapi/v2') {
        const contentType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
        return exchange.respond(200, { 'content-type': contentType });
      }
      const document = await openApi.document(path);
      if (!document) throw notFound({ resource: '' }, '');
      answer(exchange, document);
    },
  };
}
