// Puts the discovery and OpenAPI documents on their paths, with ETags.

import { notFound } from '../api/errors.ts';
import type { Discovery, DiscoveryDocument } from './discovery.ts';
import type { HttpExchange, PathHandler } from './http-exchange.ts';
import type { OpenApi, OpenApiForm } from './openapi.ts';

function answer(exchange: HttpExchange, document: DiscoveryDocument, caching = 'public'): void {
  const headers = { etag: document.etag, vary: 'Accept', 'cache-control': caching };
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

/** kubectl says which of its commands asks; only `explain` reads schemas. Other clients get everything. */
function formFor(command: string | undefined): OpenApiForm {
  return command === undefined || command.endsWith(' explain') ? 'full' : 'brief';
}

const V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2';

/**
 * `/openapi/v2` has no content here: as protobuf the empty document, which old kubectl needs to exist and takes for "no
 * schema", where it then falls back on its own types; as JSON a document without paths.
 */
function answerV2(exchange: HttpExchange, version: string): void {
  const accept = exchange.headers['accept'] ?? '';
  if (accept.includes(V2_PROTOBUF)) return exchange.respond(200, { 'content-type': `${V2_PROTOBUF}.v1.0+protobuf` });
  const document = { swagger: '2.0', info: { title: 'Kubernetes', version }, paths: {}, definitions: {} };
  exchange.respond(200, { 'content-type': 'application/json' }, new TextEncoder().encode(JSON.stringify(document)));
}

/** `/openapi/v3` and its group documents, and the stub of `/openapi/v2`. */
export function openApiHandler(openApi: OpenApi): PathHandler {
  return {
    paths: ['/openapi/v2', '/openapi/v3'],
    match: (path) => path === '/openapi/v2' || path === '/openapi/v3' || path.startsWith('/openapi/v3/'),
    async handle(exchange, { path }) {
      if (path === '/openapi/v2') return answerV2(exchange, openApi.version);
      const command = exchange.headers['kubectl-command'];
      const document = await openApi.document(path, formFor(command));
      if (!document) throw notFound({ resource: '' }, '');
      // kubectl's cache on disk knows the path alone: one command must not find there what was made for another.
      answer(exchange, document, command !== undefined && path !== '/openapi/v3' ? 'no-store' : 'public');
    },
  };
}
