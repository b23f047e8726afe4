// Changing from HTTP to WebSocket or SPDY: what the client asks for, what is refused, and the 101 answers.

import { badRequest } from '../../api/errors.ts';
import type { RawConnection } from '../../api/streams/raw-connection.ts';
import type { HttpExchange } from '../http-exchange.ts';

export type UpgradeKind = 'websocket' | 'spdy';

const SPDY = 'SPDY/3.1';
/** A browser's way to send a token, which no other header lets it; of no interest to whom it talks to. */
export const BEARER_PROTOCOL = 'base64url.bearer.authorization.k8s.io.';

const list = (values: readonly string[]) =>
  values
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter(Boolean);

/** Whether the client asks for any upgrade. */
export function isUpgrade(exchange: HttpExchange): boolean {
  return list(exchange.headerValues('connection')).some((token) => token.toLowerCase() === 'upgrade');
}

/** Throws BadRequest when the client asks for no upgrade, or for one that is not served. */
export function upgradeKind(exchange: HttpExchange): UpgradeKind {
  if (!isUpgrade(exchange) || !exchange.upgrade) throw badRequest('Upgrade request required');
  const wanted = list(exchange.headerValues('upgrade')).map((token) => token.toLowerCase());
  if (wanted.includes('websocket')) return 'websocket';
  if (wanted.includes(SPDY.toLowerCase())) return 'spdy';
  throw badRequest(`unable to upgrade: missing upgrade headers in request: ${JSON.stringify(wanted)}`);
}

/** The subprotocols a WebSocket client offers, in its order. */
export function offeredProtocols(exchange: HttpExchange): string[] {
  return list(exchange.headerValues('sec-websocket-protocol')).filter((name) => !name.startsWith(BEARER_PROTOCOL));
}

/** The first offer that is served. A client without offers gets the one called '', if there is one. */
export function chooseProtocol<T extends { readonly name: string }>(
  offers: readonly string[],
  served: readonly T[],
): T | undefined {
  for (const offer of offers.length > 0 ? offers : ['']) {
    const found = served.find(({ name }) => name === offer);
    if (found) return found;
  }
  return undefined;
}

/** 403 with upstream's text: no version both sides speak. */
export function refuseProtocols(exchange: HttpExchange, offers: readonly string[], served: readonly string[]): void {
  const text = `unable to upgrade: unable to negotiate protocol: client supports [${offers.join(' ')}], server accepts [${served.join(' ')}]\n`;
  exchange.respond(
    403,
    { 'content-type': 'text/plain; charset=utf-8', 'x-accepted-stream-protocol-versions': served },
    new TextEncoder().encode(text),
  );
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** The answer to a Sec-WebSocket-Key, RFC 6455 section 4.2.2. */
export async function webSocketAccept(key: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(key + GUID));
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

/** Rejects with BadRequest when the handshake is malformed. */
export async function upgradeWebSocket(exchange: HttpExchange, protocol: string): Promise<RawConnection> {
  const { method, headers } = exchange;
  const key = headers['sec-websocket-key'];
  if (method !== 'GET') throw badRequest('websocket: request method is not GET');
  if (headers['sec-websocket-version'] !== '13') throw badRequest("websocket: 13 not found in 'Sec-WebSocket-Version'");
  if (!key) throw badRequest("websocket: 'Sec-WebSocket-Key' header is missing or blank");
  return exchange.upgrade!({
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Accept': await webSocketAccept(key),
    ...(protocol ? { 'Sec-WebSocket-Protocol': protocol } : {}),
  });
}

/** The versions of the stream protocol a SPDY client offers, in its order. */
export function offeredVersions(exchange: HttpExchange): string[] {
  return list(exchange.headerValues('x-stream-protocol-version'));
}

export function upgradeSpdy(exchange: HttpExchange, version: string): RawConnection {
  return exchange.upgrade!({
    Connection: 'Upgrade',
    Upgrade: SPDY,
    ...(version ? { 'X-Stream-Protocol-Version': version } : {}),
  });
}
