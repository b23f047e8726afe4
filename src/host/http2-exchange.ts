// An HTTP/2 request as an exchange, on Node's core stream API (the compatibility API costs a third of the throughput).

import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Body, BodyWriter, HttpExchange, Peer, ResponseHeaders } from '../server/http-exchange.ts';
import { asBytes, bodyLength, collect, gzip, rawValues, send, splitTarget } from './exchange-body.ts';

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;
const NOTHING = new Uint8Array(0);

export class Http2Exchange implements HttpExchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly peer: Peer;
  readonly gzip = gzip;
  readonly #stream: ServerHttp2Stream;
  readonly #raw: readonly string[];
  readonly #open: Set<() => void>;
  #abort: AbortController | undefined;

  /** `open` holds, for every answer that goes on, how to end it. */
  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    raw: readonly string[],
    context: { readonly peer: Peer; readonly open: Set<() => void> },
  ) {
    const { peer } = context;
    this.#open = context.open;
    this.#stream = stream;
    this.#raw = raw;
    this.peer = peer;
    this.headers = headers as Record<string, string | undefined>;
    this.method = headers[':method'] as string;
    [this.path, this.query] = splitTarget((headers[':path'] as string | undefined) ?? '/');
    if (headers.expect === '100-continue') stream.additionalHeaders({ ':status': 100 });
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      const controller = (this.#abort = new AbortController());
      const stream = this.#stream;
      const onClose = () => {
        if (stream.rstCode !== NGHTTP2_NO_ERROR || !stream.writableFinished) controller.abort();
      };
      if (stream.destroyed) onClose();
      else stream.once('close', onClose);
    }
    return this.#abort.signal;
  }

  headerValues(name: string): readonly string[] {
    return rawValues(this.#raw, name);
  }

  body(limit: number, came?: (bytes: number) => void): Promise<Uint8Array | undefined> {
    if (this.#stream.endAfterHeaders) return Promise.resolve(NOTHING);
    if (Number(this.headers['content-length'] ?? 0) > limit) return Promise.resolve(undefined);
    return collect(this.#stream, limit, came);
  }

  bodySource(): AsyncIterable<Uint8Array> {
    return this.#stream as AsyncIterable<Uint8Array>;
  }

  respond(status: number, headers: ResponseHeaders, body?: Body): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    const whole = asBytes(body);
    const length = bodyLength(whole);
    const head: OutgoingHttpHeaders = { ':status': status, ...(headers as OutgoingHttpHeaders) };
    if (status !== 304 && status !== 204) head['content-length'] ??= length;
    const endStream = length === 0 || this.method === 'HEAD';
    stream.respond(head, { endStream });
    if (!endStream) send(stream, whole, length);
    // A body nobody read would hold the stream open: tell the client to stop sending.
    if (!stream.readableEnded && !stream.endAfterHeaders) this.#stopReading();
  }

  begin(status: number, headers: ResponseHeaders): BodyWriter {
    const stream = this.#stream;
    if (!stream.destroyed) {
      stream.respond({ ':status': status, ...(headers as OutgoingHttpHeaders) });
      const end = () => void stream.end();
      this.#open.add(end);
      stream.once('close', () => this.#open.delete(end));
    }
    return {
      write: (chunk) => (stream.writable ? stream.write(chunk) : true),
      onDrain: (fn) => void stream.on('drain', fn),
      end: () => void stream.end(),
      abort: () => stream.close(NGHTTP2_INTERNAL_ERROR),
    };
  }

  #stopReading(): void {
    const stream = this.#stream;
    const reset = () => {
      if (!stream.readableEnded && !stream.destroyed) stream.close(NGHTTP2_NO_ERROR);
    };
    if (stream.writableFinished) reset();
    else stream.once('finish', reset);
  }
}
