// An HTTP/1.1 request as an exchange; also one that asks to upgrade, where Node hands over the bare socket.

import { ServerResponse, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import type { RawConnection } from '../api/streams/raw-connection.ts';
import type { Body, BodyWriter, HttpExchange, Peer, ResponseHeaders } from '../server/http-exchange.ts';
import { asBytes, bodyLength, collect, gzip, rawValues, send, splitTarget } from './exchange-body.ts';
import { rawConnection } from './raw-connection.ts';

export class Http1Exchange implements HttpExchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly peer: Peer;
  readonly gzip = gzip;
  readonly upgrade?: (headers: ResponseHeaders) => RawConnection;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #open: Set<() => void>;
  #abort: AbortController | undefined;

  /**
   * `open` holds, for every answer that goes on, how to end it. `upgrade`: the socket behind an upgrade request and the
   * bytes that came after its head.
   */
  constructor(
    request: IncomingMessage,
    response: ServerResponse | undefined,
    context: { readonly peer: Peer; readonly open: Set<() => void> },
    upgrade?: { readonly socket: Duplex; readonly head: Buffer },
  ) {
    this.#request = request;
    this.#open = context.open;
    this.peer = context.peer;
    this.headers = request.headers as Record<string, string | undefined>;
    this.method = request.method!;
    [this.path, this.query] = splitTarget(request.url ?? '/');
    this.#response = response ?? new ServerResponse(request);
    if (upgrade) {
      const { socket, head } = upgrade;
      if (!response) {
        this.#response.shouldKeepAlive = false;
        this.#response.assignSocket(socket as Socket);
        this.#response.once('finish', () => socket.end());
      }
      this.upgrade = (headers) => {
        this.#response.detachSocket(socket as Socket);
        this.#keepOpen(() => void socket.destroy(), socket);
        return switchProtocols(socket, head, headers);
      };
    }
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      const controller = (this.#abort = new AbortController());
      const onClose = () => {
        if (!this.#response.writableFinished) controller.abort();
      };
      if (this.#request.socket.destroyed) onClose();
      // An upgrade request has no response of its own that would tell: the socket does.
      else if (this.upgrade) this.#request.socket.once('close', onClose);
      else this.#response.once('close', onClose);
    }
    return this.#abort.signal;
  }

  headerValues(name: string): readonly string[] {
    return rawValues(this.#request.rawHeaders, name);
  }

  body(limit: number, came?: (bytes: number) => void): Promise<Uint8Array | undefined> {
    if (Number(this.headers['content-length'] ?? 0) > limit) return Promise.resolve(undefined);
    return collect(this.#request, limit, came);
  }

  bodySource(): AsyncIterable<Uint8Array> {
    return this.#request as AsyncIterable<Uint8Array>;
  }

  respond(status: number, headers: ResponseHeaders, body?: Body): void {
    const response = this.#response;
    if (response.headersSent || response.destroyed) return;
    const head: OutgoingHttpHeaders = { ...(headers as OutgoingHttpHeaders) };
    const whole = asBytes(body);
    const length = bodyLength(whole);
    if (status !== 304 && status !== 204) head['content-length'] ??= length;
    const unread = this.#bodyUnread();
    if (unread) head['connection'] = 'close';
    response.writeHead(status, head);
    if (this.method === 'HEAD') response.end();
    else send(response, whole, length);
    if (unread) response.once('finish', () => this.#request.socket.destroySoon());
  }

  #keepOpen(end: () => void, until: NodeJS.EventEmitter): void {
    this.#open.add(end);
    until.once('close', () => this.#open.delete(end));
  }

  /** A body nobody reads is in the way of the next request: the connection has to go. */
  #bodyUnread(): boolean {
    const { complete, headers } = this.#request;
    return !complete && (Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined);
  }

  begin(status: number, headers: ResponseHeaders): BodyWriter {
    const response = this.#response;
    response.writeHead(status, headers as OutgoingHttpHeaders);
    response.flushHeaders();
    this.#keepOpen(() => void response.end(), response);
    return {
      write: (chunk) => (response.writable ? response.write(chunk) : true),
      onDrain: (fn) => void response.on('drain', fn),
      end: () => void response.end(),
      abort: () => void this.#request.socket.destroy(),
    };
  }
}

function switchProtocols(socket: Duplex, head: Buffer, headers: ResponseHeaders): RawConnection {
  const lines = ['HTTP/1.1 101 Switching Protocols'];
  for (const [name, value] of Object.entries(headers))
    for (const one of typeof value === 'string' ? [value] : value) lines.push(`${name}: ${one}`);
  socket.write(lines.join('\r\n') + '\r\n\r\n');
  if (head.length > 0) socket.unshift(head);
  return rawConnection(socket);
}
