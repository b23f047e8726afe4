// The HTTPS listener: HTTP/2 by ALPN, HTTP/1.1 otherwise, upgrades included. Every request becomes an exchange for one
// handler. Client certificates are asked for, never demanded.

import {
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Env } from '../base/env.ts';
import type { ClientCertificate, HttpExchange, Peer } from '../server/http-exchange.ts';
import { ConnectionLimit } from './connection-limit.ts';
import { Http1Exchange } from './http1-exchange.ts';
import { Http2Exchange } from './http2-exchange.ts';

export interface ListenerOptions {
  readonly env: Env;
  /** The address to bind; all addresses when absent. */
  readonly host?: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** PEM of the authority whose client certificates count. */
  readonly clientCa: string;
  /** Answers the exchange; what it throws is logged and answered with 500. */
  readonly handler: (exchange: HttpExchange) => void | Promise<void>;
  /** Beyond this many connections, those that do nothing are closed (connection-limit.ts); 10,000 unless told. */
  readonly maxConnections?: number;
  /** Milliseconds without a request after which a connection is closed; 90,000 unless told. */
  readonly idleAfter?: number;
  /** Requests under way on one HTTP/2 connection; 1,000 unless told. */
  readonly maxStreams?: number;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Serves this certificate from the next connection on. */
  setCertificate(cert: string, key: string): void;
  /** Takes no new requests, ends watches, gives other requests `graceMs` to end, then closes everything. */
  close(graceMs?: number): Promise<void>;
}

/** Resolves once the port accepts connections. Rejects with a plain message when it cannot be had. */
export function listen(options: ListenerOptions): Promise<Listener> {
  const { env } = options;
  const server = makeServer(options);
  const limit = new ConnectionLimit(options.maxConnections ?? 10_000);
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const open = new Set<() => void>();
  const answer = (exchange: HttpExchange) => void answerSafely(env, options.handler, exchange);

  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.setKeepAlive(true, 30_000);
    socket.once('close', () => sockets.delete(socket));
    limit.opened(socket);
  });
  server.on('secureConnection', (socket: TLSSocket) => limit.secured(socket));
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', (error) => env.log.debug('HTTP/2 session failed', { error: error.message }));
    session.once('close', () => sessions.delete(session));
    const idleAfter = options.idleAfter ?? IDLE;
    session.setTimeout(idleAfter);
    // Once it has fired, the timer wants to be set again.
    session.on('timeout', () => (streams.get(session) ? session.setTimeout(idleAfter) : session.close()));
  });
  // Asking for `request` (HTTP/1.1) also turns on Node's compatibility layer for HTTP/2: take that off again.
  server.on('request', (request, response) => {
    const h1 = request as unknown as IncomingMessage;
    response.once('close', limit.asked(h1.socket));
    answer(new Http1Exchange(h1, response as unknown as ServerResponse, { peer: peerOf(h1.socket), open }));
  });
  server.removeAllListeners('stream');
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    stream.on('error', (error) => env.log.debug('HTTP/2 stream failed', { error: error.message }));
    const { session } = stream;
    if (!session) return;
    const ended = limit.asked(session.socket);
    const left = (streams.get(session) ?? 0) + 1;
    streams.set(session, left);
    stream.once('close', () => {
      ended();
      streams.set(session, (streams.get(session) ?? 1) - 1);
    });
    answer(new Http2Exchange(stream, headers, raw, { peer: peerOf(session.socket, session), open }));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', (error) => env.log.debug('upgraded connection failed', { error: error.message }));
    limit.asked(request.socket);
    answer(new Http1Exchange(request, undefined, { peer: peerOf(request.socket), open }, { socket, head }));
  });
  server.on('tlsClientError', (error) => env.log.debug('TLS handshake failed', { error: error.message }));

  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, options)));
    server.listen({ host: options.host, port: options.port }, () => {
      server.removeAllListeners('error');
      server.on('error', (error) => env.log.error('listener failed', { error: error.message }));
      const address = server.address() as AddressInfo;
      resolve({
        host: address.address,
        port: address.port,
        setCertificate: (cert, key) => server.setSecureContext({ cert, key, ca: options.clientCa }),
        close: (graceMs = 0) => close(env, server, { sockets, sessions, open }, graceMs),
      });
    });
  });
}

/** Milliseconds, as upstream: without a request for so long, a connection is closed; so long may a request's head take. */
const IDLE = 90_000;
const SLOWEST_HEAD = 32_000;

/** Requests under way. */
const streams = new WeakMap<Http2Session, number>();

function makeServer(options: ListenerOptions): Http2SecureServer {
  // For HTTP/1.1; Node's types do not know that it counts here.
  const slowest = { headersTimeout: SLOWEST_HEAD };
  const server = createSecureServer({
    ...slowest,
    allowHTTP1: true,
    cert: options.cert,
    key: options.key,
    ca: options.clientCa,
    minVersion: 'TLSv1.2',
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: SLOWEST_HEAD,
    // In megabytes. At the default of 10 one client that reads a large list slowly fails all its other requests.
    maxSessionMemory: 1024,
    settings: { maxConcurrentStreams: options.maxStreams ?? 1000, initialWindowSize: 1024 * 1024 },
    // Cancelling watches is what clients do all day; the defaults (1,000, then 33 a second) hang up on them.
    streamResetBurst: 10_000,
    streamResetRate: 1000,
  });
  return server;
}

async function answerSafely(env: Env, handler: ListenerOptions['handler'], exchange: HttpExchange): Promise<void> {
  try {
    await handler(exchange);
  } catch (error) {
    env.log.error('request failed', { method: exchange.method, path: exchange.path, error: String(error) });
    exchange.respond(500, { 'content-type': 'text/plain; charset=utf-8' }, Buffer.from('Internal Server Error\n'));
  }
}

const peers = new WeakMap<object, Peer>();

/** What is known of the other side; looked up once a connection. */
function peerOf(socket: Socket | TLSSocket, key: object = socket): Peer {
  let peer = peers.get(key);
  if (!peer) {
    const certificate = certificateOf(socket as TLSSocket);
    peer = { address: socket.remoteAddress ?? '', ...(certificate ? { certificate } : {}) };
    peers.set(key, peer);
  }
  return peer;
}

const UID_ATTRIBUTE = '1.3.6.1.4.1.57683.2';

const OUTDATED = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);

function certificateOf(socket: TLSSocket): ClientCertificate | 'unverified' | 'outdated' | undefined {
  const shown = socket.getPeerCertificate();
  // Without a certificate Node returns an empty object, or null on a connection that is gone already.
  if (!shown || !shown.subject) return undefined;
  // An error by name, for all that Node's types say.
  if (!socket.authorized) return OUTDATED.has(String(socket.authorizationError)) ? 'outdated' : 'unverified';
  const subject = shown.subject as unknown as Record<string, string | string[] | undefined>;
  const all = (value: string | string[] | undefined) => (value === undefined ? [] : [value].flat());
  const [uid] = all(subject[UID_ATTRIBUTE]);
  return {
    commonName: all(subject['CN'])[0] ?? '',
    organizations: all(subject['O']),
    fingerprint: shown.fingerprint256.replaceAll(':', '').toLowerCase(),
    notAfter: Date.parse(shown.valid_to),
    ...(uid ? { uid } : {}),
  };
}

function explain(error: NodeJS.ErrnoException, options: ListenerOptions): Error {
  const where = `${options.host ?? '*'}:${options.port}`;
  const why: Record<string, string> = {
    EADDRINUSE: 'the port is already in use by another process',
    EACCES: 'ports below 1024 need root or CAP_NET_BIND_SERVICE',
    EADDRNOTAVAIL: 'this machine has no such address',
  };
  return new Error(`cannot listen on ${where}: ${why[error.code ?? ''] ?? error.message}`, { cause: error });
}

async function close(
  env: Env,
  server: Http2SecureServer,
  live: {
    readonly sockets: ReadonlySet<Socket>;
    readonly sessions: ReadonlySet<Http2Session>;
    readonly open: ReadonlySet<() => void>;
  },
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // Watches and the like would go on for an hour: they end now, and their clients come back to another server.
  for (const end of live.open) end();
  for (const session of live.sessions) session.close();
  const timer = env.clock.setTimer(graceMs, () => {
    for (const socket of live.sockets) socket.destroy();
  });
  await closed;
  timer.cancel();
}
