// The client's way to a server over HTTP/2. Every failure is a StatusError; what broke the connection is its `cause`.

import { readFileSync } from 'node:fs';
import { constants, type ClientHttp2Stream, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { StatusError } from '../api/errors.ts';
import type { ByteSource, NodeStream } from '../api/node-api.ts';
import type { ApiOp, ApiResult, NoUser, Transport, WatchSink, WatchStream } from '../api/op.ts';
import { COMMAND_PROTOCOLS, PORT_PROTOCOLS, type ChannelProtocol } from '../api/streams/channels.ts';
import type { Env } from '../base/env.ts';
import { errorOf, requestOf, resultOf, warningTexts, WatchDecoder, type HttpRequest } from '../client/http-encoding.ts';
import { commandOptions, forwardPort, runCommand, type OpenChannels } from '../client/remote-streams.ts';
import { requestMetrics, type RequestTimer } from '../client/request-metrics.ts';
import { ExecCredentials, type Credential } from './exec-credential.ts';
import { Http2Pool } from './http2-pool.ts';
import type { ExecConfig } from './kubeconfig.ts';
import { openWebSocket } from './websocket-open.ts';

export interface HttpTransportOptions {
  readonly env: Env;
  /** `https://host:port`. */
  readonly server: string;
  /** PEM of the authority of the server's certificate; the system's authorities when absent. */
  readonly ca?: string;
  /** Client certificate and key, PEM. */
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  /** Read again every minute. */
  readonly tokenFile?: string;
  /** Do not check the server's certificate. */
  readonly insecure?: boolean;
  /** The name the server's certificate must have, when it is not the host of `server`. */
  readonly serverName?: string;
  /** A program that provides credentials; they take the place of the others. */
  readonly exec?: ExecConfig;
  /** Whom to act as. */
  readonly impersonate?: { readonly user: string; readonly groups: readonly string[]; readonly uid?: string };
}

/** A complete answer to a request that is no operation. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Credentials that change: asked for before each request, forgotten when the server refuses them. */
export interface CredentialSource {
  get(): Promise<Credential>;
  forget(): void;
}

export interface HttpTransport extends Transport {
  /**
   * The same server as somebody else, over the same connections: for tokens only, and for a transport that shows no
   * certificate, for that would say who it is. It ends with this one.
   */
  as(source: CredentialSource): Transport;
  /** Any request, e.g. for `/version`; resolves whatever the status is. */
  raw(request: HttpRequest, options?: { signal?: AbortSignal }): Promise<RawAnswer>;
  /** Presents new credentials from the next request on. */
  setCertificate(cert: string, key: string): void;
  /** Breaks off everything under way. */
  close(): void;
}

const TOKEN_LIFE = 60_000;
const CONVERSATIONS: Readonly<Record<string, 'exec' | 'attach' | 'portforward' | undefined>> = {
  exec: 'exec',
  attach: 'attach',
  portforward: 'portforward',
};
/** Those that tell how a command ended. */
const COMMANDS = COMMAND_PROTOCOLS.filter((p) => p.jsonStatus && !p.base64);
const PORTS = PORT_PROTOCOLS.filter((p) => p.jsonStatus && !p.base64);

export function httpTransport(options: HttpTransportOptions): HttpTransport {
  const connection = new ServerConnection(options);
  const transportOf =
    (through: ServerConnection): Transport =>
    (op, { signal } = {}) =>
      through.run(op, signal);
  return Object.assign(transportOf(connection), {
    as: (source: CredentialSource) => transportOf(connection.as(source)),
    raw: (request: HttpRequest, { signal }: { signal?: AbortSignal } = {}) => connection.raw(request, signal),
    setCertificate: (cert: string, key: string) => connection.setCertificate(cert, key),
    close: () => connection.close(),
  });
}

interface Answered {
  readonly stream: ClientHttp2Stream;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

class ServerConnection {
  readonly #options: HttpTransportOptions;
  readonly #pool: Http2Pool;
  readonly #prefix: string;
  readonly #authority: string;
  readonly #headers: OutgoingHttpHeaders;
  readonly #source: CredentialSource | undefined;
  readonly #timer: RequestTimer | undefined;
  #identity: { cert?: string; key?: string };
  #token: { readonly text: string; readonly until: number } | undefined;

  constructor(options: HttpTransportOptions, shared?: { readonly pool: Http2Pool; readonly source: CredentialSource }) {
    this.#options = options;
    const url = new URL(options.server);
    this.#prefix = url.pathname.replace(/\/$/, '');
    this.#authority = url.host;
    this.#timer = requestMetrics(options.env, url.host);
    const { cert, key, impersonate } = options;
    this.#headers = impersonate ? impersonation(impersonate) : {};
    this.#source = shared?.source ?? (options.exec && new ExecCredentials(options.exec, options.env));
    this.#identity = { ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
    this.#pool = shared?.pool ?? new Http2Pool({ env: options.env, origin: url.origin, tls: () => this.#tls() });
  }

  as(source: CredentialSource): ServerConnection {
    const { impersonate: _, ...options } = this.#options;
    return new ServerConnection(options, { pool: this.#pool, source });
  }

  async run(op: NoUser<ApiOp>, signal: AbortSignal | undefined): Promise<ApiResult> {
    const request = traced(requestOf(op), op, this.#options.env);
    const conversation = CONVERSATIONS[op.verb === 'connect' ? (op.subresource ?? '') : ''];
    if (conversation) return { type: 'connect', stream: await this.#conversation(conversation, op, request, signal) };
    const { stream, status, headers } = await this.#send(request, signal);
    if (status === 401) this.#source?.forget();
    if (status >= 300) throw errorOf(status, (await bodyOf(stream, request)).toString(), text(headers['retry-after']));
    if (op.verb === 'watch') return { type: 'watch', stream: watchStream(stream) };
    if (op.verb === 'connect') return { type: 'connect', stream: { kind: 'logs', source: source(stream) } };
    const body = await bodyOf(stream, request);
    return resultOf(status, body.toString(), warningTexts([headers['warning'] ?? []].flat()));
  }

  /** Exec and attach are open when this resolves: run them. Ports are connected one by one, when they are run. */
  async #conversation(
    kind: 'exec' | 'attach' | 'portforward',
    op: NoUser<ApiOp>,
    request: HttpRequest,
    signal: AbortSignal | undefined,
  ): Promise<NodeStream> {
    const { env } = this.#options;
    if (kind === 'portforward') {
      return {
        kind,
        run: async (port, streams, context) => {
          const path = request.target.split('?')[0]!;
          const channels = await this.#channels({ ...request, target: `${path}?ports=${port}` }, PORTS, context.signal);
          await forwardPort(channels, streams, { env, signal: context.signal });
        },
      };
    }
    const channels = await this.#channels(request, COMMANDS, signal);
    return {
      kind,
      options: commandOptions(op.options.query),
      run: (streams, context) => runCommand(channels, streams, { env, signal: context.signal }),
    };
  }

  async #channels(
    request: HttpRequest,
    protocols: readonly ChannelProtocol[],
    signal: AbortSignal | undefined,
  ): Promise<OpenChannels> {
    const { server } = this.#options;
    const credential = this.#source && (await this.#source.get());
    const headers = this.#headersOf(request, credential);
    const { cert = this.#identity.cert, key = this.#identity.key } = credential ?? {};
    const tls = { ...this.#tls(), ...(cert && key ? { cert, key } : {}) };
    const url = new URL(server.replace(/\/$/, '') + request.target);
    try {
      return await openWebSocket({ url, headers, tls, protocols }, signal);
    } catch (error) {
      throw unreachable(error, server, request);
    }
  }

  #tls() {
    const { ca, insecure, serverName } = this.#options;
    return {
      ...this.#identity,
      ...(ca ? { ca } : {}),
      ...(serverName ? { servername: serverName } : {}),
      rejectUnauthorized: !insecure,
    };
  }

  #headersOf(request: HttpRequest, credential: Credential | undefined): OutgoingHttpHeaders {
    const token = credential ? credential.token : this.#bearer();
    return { ...this.#headers, ...request.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
  }

  async raw(request: HttpRequest, signal: AbortSignal | undefined): Promise<RawAnswer> {
    const { stream, status, headers } = await this.#send(request, signal);
    return { status, headers, body: await bodyOf(stream, request) };
  }

  setCertificate(cert: string, key: string): void {
    this.#identity = { cert, key };
    this.#pool.renew();
  }

  close(): void {
    this.#pool.close();
  }

  /** A request that the server never looked at, for its connection was on its way out, is sent once more. */
  async #send(request: HttpRequest, signal: AbortSignal | undefined): Promise<Answered> {
    const done = this.#timer?.(request.method);
    try {
      const answered = await this.#trySend(request, signal);
      done?.(String(answered.status));
      return answered;
    } catch (error) {
      done?.('<error>');
      throw error;
    }
  }

  async #trySend(request: HttpRequest, signal: AbortSignal | undefined): Promise<Answered> {
    try {
      return await this.#attempt(request, signal);
    } catch (error) {
      if (signal?.aborted || !isUnseen(error, request.method)) throw unreachable(error, this.#options.server, request);
    }
    try {
      return await this.#attempt(request, signal);
    } catch (error) {
      throw unreachable(error, this.#options.server, request);
    }
  }

  async #attempt(request: HttpRequest, signal: AbortSignal | undefined): Promise<Answered> {
    const credential = this.#source && (await this.#source.get());
    if (credential?.cert && credential.key && credential.cert !== this.#identity.cert)
      this.setCertificate(credential.cert, credential.key);
    return this.#open(request, credential, signal);
  }

  #open(request: HttpRequest, credential: Credential | undefined, signal: AbortSignal | undefined): Promise<Answered> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const headers: OutgoingHttpHeaders = {
        ':method': request.method,
        ':path': this.#prefix + request.target,
        ':authority': this.#authority,
        ...this.#headersOf(request, credential),
        // Otherwise a server has to reckon with as much as it takes at most.
        ...(request.body === undefined ? {} : { 'content-length': Buffer.byteLength(request.body) }),
      };
      const { stream, failure } = this.#pool.request(headers, request.body === undefined);
      const onAbort = () => stream.close(constants.NGHTTP2_CANCEL);
      signal?.addEventListener('abort', onAbort, { once: true });
      let last: Error | undefined;
      stream.once('response', (head) => resolve({ stream, status: head[':status'] ?? 0, headers: head }));
      stream.on('error', (error) => (last = error));
      stream.once('close', () => {
        signal?.removeEventListener('abort', onAbort);
        if (signal?.aborted) reject(signal.reason as Error);
        else
          reject(
            failure() ??
              (last?.cause as Error | undefined) ??
              last ??
              new Error(`stream closed with code ${stream.rstCode}`),
          );
      });
      if (request.body !== undefined) stream.end(request.body);
    });
  }

  #bearer(): string | undefined {
    const { token, tokenFile, env } = this.#options;
    if (!tokenFile) return token;
    const now = env.clock.monotonic();
    if (!this.#token || this.#token.until < now) {
      this.#token = { text: readFileSync(tokenFile, 'utf8').trim(), until: now + TOKEN_LIFE };
    }
    return this.#token.text;
  }
}

/** With the header that makes what the server does part of the operation's trace. */
function traced(request: HttpRequest, { trace }: NoUser<ApiOp>, { tracer }: Env): HttpRequest {
  if (!trace || !tracer) return request;
  return { ...request, headers: { ...request.headers, traceparent: tracer.traceparent(trace) } };
}

function impersonation(as: NonNullable<HttpTransportOptions['impersonate']>): OutgoingHttpHeaders {
  return {
    'impersonate-user': as.user,
    ...(as.groups.length > 0 ? { 'impersonate-group': [...as.groups] } : {}),
    ...(as.uid ? { 'impersonate-uid': as.uid } : {}),
  };
}

const text = (header: string | string[] | undefined) => (Array.isArray(header) ? header[0] : header);

function bodyOf(stream: ClientHttp2Stream, request: HttpRequest): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let whole = false;
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => {
      whole = stream.rstCode === constants.NGHTTP2_NO_ERROR;
      if (whole) resolve(Buffer.concat(chunks));
    });
    stream.once('close', () => {
      if (!whole) reject(broken(`${request.method} ${request.target}: the answer broke off`));
    });
  });
}

function source(stream: ClientHttp2Stream): ByteSource {
  return stream as AsyncIterable<Uint8Array>;
}

function watchStream(stream: ClientHttp2Stream): WatchStream {
  let sink: WatchSink | undefined;
  let over = stream.destroyed;
  const end = () => {
    over = true;
    const told = sink;
    sink = undefined;
    told?.closed();
  };
  stream.once('close', end);
  return {
    start(to) {
      if (over) return to.closed();
      sink = to;
      const decoder = new WatchDecoder();
      stream.on('data', (chunk: Buffer) => {
        let events;
        try {
          events = decoder.feed(chunk);
        } catch {
          // Not a watch stream, or a damaged one: the watcher lists anew.
          stream.close(constants.NGHTTP2_CANCEL);
          return;
        }
        if (events.length > 0) sink?.events(events);
      });
    },
    stop() {
      sink = undefined;
      stream.close(constants.NGHTTP2_CANCEL);
    },
  };
}

function broken(message: string, cause?: unknown): StatusError {
  const error = new StatusError('ServiceUnavailable', message);
  if (cause !== undefined) error.cause = cause;
  return error;
}

const UNSEEN = new Set(['ERR_HTTP2_GOAWAY_SESSION', 'ERR_HTTP2_INVALID_SESSION', 'ERR_HTTP2_SESSION_ERROR']);

function isUnseen(error: unknown, method: string): boolean {
  const { code, message = '' } = error as { code?: string; message?: string };
  if (code && UNSEEN.has(code)) return true;
  if (message.includes('NGHTTP2_REFUSED_STREAM')) return true;
  // Reading twice does no harm: an idle connection may have been cut without our noticing.
  return method === 'GET' && (code === 'ECONNRESET' || code === 'EPIPE');
}

function unreachable(error: unknown, server: string, request: HttpRequest): Error {
  const { code, name, message } = error as Error & { code?: string };
  if (error instanceof StatusError || name === 'AbortError') return error as Error;
  const { host, hostname } = new URL(server);
  const why: Record<string, string> = {
    ECONNREFUSED: `dial tcp ${host}: connect: connection refused`,
    ENOTFOUND: `dial tcp: lookup ${hostname}: no such host`,
    ETIMEDOUT: `dial tcp ${host}: i/o timeout`,
    ECONNRESET: `read tcp ${host}: connection reset by peer`,
  };
  const method = request.method[0]! + request.method.slice(1).toLowerCase();
  const target = request.target.split('?')[0];
  return broken(`${method} "${server}${target}": ${why[code ?? ''] ?? message}`, error);
}
