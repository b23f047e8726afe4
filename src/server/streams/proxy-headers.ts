// Headers of proxied requests and answers: what stays between the client and us, and what is added or rewritten.

import type { HttpExchange, ResponseHeaders } from '../http-exchange.ts';
import { BEARER_PROTOCOL } from './upgrade.ts';

const HOP_BY_HOP = [
  'connection',
  'proxy-connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];
/** Meant for the API server: who the client is, or wants to be. */
const OURS = /^(authorization$|expect$|impersonate-|x-remote-(user|uid|group)$|x-remote-extra-|:)/;
/** A pod must not open the API server's origin to scripts of others. */
const CORS = ['credentials', 'headers', 'methods', 'origin'].map((what) => `access-control-allow-${what}`);

function hopByHop(connection: string | undefined): ReadonlySet<string> {
  const named = (connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  return new Set([...HOP_BY_HOP, ...named]);
}

/** The address as Go prints it: IPv4 without its IPv6 clothing. */
const plainAddress = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '');

/** `upgrade`: the request to change the protocol is passed on. */
export function requestHeaders(exchange: HttpExchange, upgrade: boolean): Record<string, string> {
  const { headers, peer, path } = exchange;
  const dropped = hopByHop(headers['connection']);
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !dropped.has(name) && !OURS.test(name)) out[name] = value;
  }
  const host = headers['host'] ?? headers[':authority'];
  if (host) out['host'] = host;
  if (upgrade) {
    out['connection'] = 'Upgrade';
    out['upgrade'] = headers['upgrade'] ?? '';
    withoutToken(out);
  }
  const before = headers['x-forwarded-for'];
  out['x-forwarded-for'] = before ? `${before}, ${plainAddress(peer.address)}` : plainAddress(peer.address);
  if (!upgrade) out['x-forwarded-uri'] = path;
  // Pages have their links rewritten, for which they must be readable.
  if (/\btext\/html\b/.test(headers['accept'] ?? '')) delete out['accept-encoding'];
  return out;
}

function withoutToken(headers: Record<string, string>): void {
  const offered = headers['sec-websocket-protocol'];
  if (!offered) return;
  const others = offered
    .split(',')
    .map((name) => name.trim())
    .filter((name) => !name.startsWith(BEARER_PROTOCOL));
  if (others.length > 0) headers['sec-websocket-protocol'] = others.join(', ');
  else delete headers['sec-websocket-protocol'];
}

/** `prefix`: the path by which the client reaches the backend's root; `backend`: the backend's host and port. */
export function responseHeaders(
  headers: ResponseHeaders,
  context: { readonly prefix: string; readonly backend: string; readonly host: string | undefined },
): Record<string, string | readonly string[]> {
  const connection = headers['connection'];
  const dropped = hopByHop(typeof connection === 'string' ? connection : connection?.join(','));
  const out: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!dropped.has(name) && !CORS.includes(name)) out[name] = value;
  }
  const location = out['location'];
  if (typeof location === 'string') out['location'] = rewriteLocation(location, context);
  return out;
}

/** A redirect within the backend goes through the API server again. */
export function rewriteLocation(
  location: string,
  context: { readonly prefix: string; readonly backend: string; readonly host: string | undefined },
): string {
  const [, scheme = '', host = '', path = '', rest = ''] =
    /^([a-z][a-z0-9+.-]*:)?(?:\/\/([^/?#]*))?([^?#]*)(.*)$/i.exec(location) ?? [];
  if ((host && host !== context.backend && host !== context.host) || !path.startsWith('/')) return location;
  const origin = host && host === context.host ? `${scheme}//${host}` : '';
  return origin + (path.startsWith(context.prefix) ? path : context.prefix + path) + rest;
}
