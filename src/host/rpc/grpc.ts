// gRPC over a unix socket with messages of message.ts. Calls wait for the connection while the other side restarts;
// failures are RuntimeErrors whose code is the gRPC status name and whose message is the server's text alone.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { RuntimeError } from '../../kubelet/runtime.ts';
import { GrpcLink } from './grpc-link.ts';
import type { Decoded, Encodable, Fields, Message } from './message.ts';

export interface Method<I extends Fields, O extends Fields> {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly request: Message<I>;
  readonly response: Message<O>;
}

export interface CallOptions {
  /** Undefined: no limit. */
  readonly timeoutSeconds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_TIMEOUT_SECONDS = 120;
/** The statuses in the order of their numbers. https://grpc.io/docs/guides/status-codes/ */
const STATUS = (
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED ' +
  'RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS ' +
  'UNAUTHENTICATED'
).split(' ');
const FRAME_HEAD = 5;
const MAX_TIMEOUT_DIGITS = 99_999_999;

export class GrpcChannel {
  readonly #link: GrpcLink;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #underWay = new Set<Exchange>();

  /** `headers` are sent with every call. The connection is made on the first call. */
  constructor(socket: string, headers: Readonly<Record<string, string>> = {}) {
    this.#link = new GrpcLink(socket);
    this.#headers = headers;
  }

  call<I extends Fields, O extends Fields>(
    method: Method<I, O>,
    request: Encodable<I>,
    options: CallOptions = { timeoutSeconds: DEFAULT_TIMEOUT_SECONDS },
  ): Promise<Decoded<O>> {
    return new Promise((resolve, reject) => {
      const { timeoutSeconds, signal } = options;
      if (signal?.aborted) return reject(signal.reason as Error);
      let answer: Decoded<O> | undefined;
      const exchange = this.#begin(method.path, method.request.encode(request), timeoutSeconds, {
        message: (bytes) => (answer = method.response.decode(bytes)),
        end: (error) => {
          signal?.removeEventListener('abort', onAbort);
          if (error) reject(signal?.aborted ? (signal.reason as Error) : error);
          else if (answer) resolve(answer);
          else reject(new RuntimeError('INTERNAL', 'the answer has no message'));
        },
      });
      const onAbort = () => exchange.cancel('CANCELLED', 'the call was aborted');
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Hands over each message; resolves when the signal aborts, rejects when the stream breaks or ends. */
  subscribe<I extends Fields, O extends Fields>(
    method: Method<I, O>,
    request: Encodable<I>,
    onMessage: (message: Decoded<O>) => void,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return resolve();
      const exchange = this.#begin(method.path, method.request.encode(request), undefined, {
        message: (bytes) => onMessage(method.response.decode(bytes)),
        end: (error) => {
          signal.removeEventListener('abort', onAbort);
          if (signal.aborted) resolve();
          else reject(error ?? new RuntimeError('UNAVAILABLE', 'the stream ended'));
        },
      });
      const onAbort = () => exchange.cancel('CANCELLED', 'the subscription was ended');
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Calls under way are rejected as CANCELLED: they would keep the process alive until they are answered. */
  close(): void {
    for (const exchange of this.#underWay) exchange.cancel('CANCELLED', 'the channel was closed');
    this.#link.close();
  }

  #begin(path: string, message: Uint8Array, timeoutSeconds: number | undefined, events: ExchangeEvents): Exchange {
    const headers = {
      ...this.#headers,
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
    };
    const exchange: Exchange = new Exchange(this.#link, headers, framed(message), timeoutSeconds, {
      message: events.message,
      end: (error) => {
        this.#underWay.delete(exchange);
        if (this.#underWay.size === 0) this.#link.idle();
        events.end(error);
      },
    });
    this.#underWay.add(exchange);
    exchange.begin();
    return exchange;
  }
}

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, FRAME_HEAD);
  return frame;
}

interface ExchangeEvents {
  message(bytes: Uint8Array): void;
  /** Once, at the end: without an error when the status was OK. */
  end(error: RuntimeError | undefined): void;
}

/** One call on its way: waits for the connection, sends, takes in messages and the status. */
class Exchange {
  readonly #link: GrpcLink;
  readonly #headers: Record<string, string>;
  readonly #frame: Buffer;
  readonly #events: ExchangeEvents;
  readonly #deadline: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopWaiting: (() => void) | undefined;
  #stream: ClientHttp2Stream | undefined;
  #rest: Buffer | undefined;
  #status: RuntimeError | 'OK' | undefined;
  #over = false;

  constructor(
    link: GrpcLink,
    headers: Record<string, string>,
    frame: Buffer,
    timeoutSeconds: number | undefined,
    events: ExchangeEvents,
  ) {
    this.#link = link;
    this.#headers = headers;
    this.#frame = frame;
    this.#events = events;
    if (timeoutSeconds === undefined) return;
    this.#deadline = performance.now() + timeoutSeconds * 1000;
    this.#timer = setTimeout(() => this.cancel('DEADLINE_EXCEEDED', 'Deadline exceeded'), timeoutSeconds * 1000);
  }

  begin(): void {
    this.#stopWaiting = this.#link.whenConnected((session) => {
      this.#stopWaiting = undefined;
      if (this.#deadline !== undefined) this.#headers['grpc-timeout'] = timeoutText(this.#deadline - performance.now());
      const stream = session.request(this.#headers);
      this.#stream = stream;
      stream.on('response', (headers) => this.#note(headers));
      stream.on('trailers', (headers) => this.#note(headers));
      stream.on('data', (chunk: Buffer) => this.#take(chunk));
      // Whatever went wrong, `close` follows.
      stream.on('error', () => undefined);
      stream.on('close', () => this.#closed(stream.rstCode));
      stream.end(this.#frame);
    });
  }

  cancel(code: string, message: string): void {
    if (this.#over) return;
    this.#stopWaiting?.();
    this.#stream?.close(constants.NGHTTP2_CANCEL);
    this.#finish(new RuntimeError(code, message));
  }

  #note(headers: IncomingHttpHeaders): void {
    const status = headers['grpc-status'];
    if (status !== undefined) {
      const code = STATUS[Number(status)] ?? 'UNKNOWN';
      this.#status = code === 'OK' ? 'OK' : new RuntimeError(code, messageOf(headers['grpc-message']) || code);
      return;
    }
    const http = headers[constants.HTTP2_HEADER_STATUS] as unknown as number | undefined;
    if (http !== undefined && http !== 200) this.#status = new RuntimeError('UNAVAILABLE', `HTTP status ${http}`);
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    while (bytes.length >= FRAME_HEAD && !this.#over) {
      const end = FRAME_HEAD + bytes.readUInt32BE(1);
      if (bytes.length < end) break;
      if (bytes[0] !== 0) return this.cancel('INTERNAL', 'the other side compresses, which it was not asked for');
      try {
        this.#events.message(bytes.subarray(FRAME_HEAD, end));
      } catch (error) {
        // Bytes that are no such message; anything else is a fault of the receiver.
        if (!(error instanceof RangeError)) throw error;
        return this.cancel('INTERNAL', error.message);
      }
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes.length > 0 ? bytes : undefined;
  }

  #closed(rstCode: number | undefined): void {
    if (this.#status === 'OK') return this.#finish(undefined);
    if (this.#status) return this.#finish(this.#status);
    const cancelled = rstCode === constants.NGHTTP2_CANCEL && this.#link.connected;
    this.#finish(
      cancelled
        ? new RuntimeError('CANCELLED', 'the other side cancelled the call')
        : new RuntimeError('UNAVAILABLE', 'the connection broke'),
    );
  }

  #finish(error: RuntimeError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#events.end(error);
  }
}

/** At most eight digits and a unit. */
function timeoutText(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  return whole <= MAX_TIMEOUT_DIGITS ? `${whole}m` : `${Math.min(MAX_TIMEOUT_DIGITS, Math.ceil(whole / 1000))}S`;
}

/** The status message is percent-encoded UTF-8, by servers of all qualities. */
function messageOf(text: string | string[] | undefined): string {
  try {
    return decodeURIComponent(String(text ?? ''));
  } catch {
    return String(text);
  }
}
