// One HTTP request and its answer, free of any runtime: what the host's listener provides and what the server's HTTP
// layer consumes. Also the small interfaces other parts of the server plug into that layer with.

import type { AnyKind, Cell } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import type { ApiOp, UserInfo } from '../api/op.ts';
import type { ByteSource, NodeStream } from '../api/node-api.ts';
import type { RawConnection } from '../api/streams/raw-connection.ts';

/** The subject of a verified client certificate. */
export interface ClientCertificate {
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** Subject attribute 1.3.6.1.4.1.57683.2, when present. */
  readonly uid?: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
  /** When it ends, milliseconds since the epoch: a connection may outlive it. */
  readonly notAfter: number;
}

/** The connection a request came over; one value per connection. */
export interface Peer {
  readonly address: string;
  /** `unverified` when our authority did not sign what was sent; `outdated` when it has expired, or does not hold yet. */
  readonly certificate?: ClientCertificate | 'unverified' | 'outdated';
}

/** Names in lower case. */
export type ResponseHeaders = Record<string, string | readonly string[]>;
/** Text goes out as UTF-8. */
export type Chunk = Uint8Array | string;
export type Body = Chunk | readonly Chunk[];

export interface HttpExchange {
  /** Upper case. */
  readonly method: string;
  /** As sent, percent-encoded, without the query. */
  readonly path: string;
  /** As sent, without the question mark; '' when there is none. */
  readonly query: string;
  /** Names in lower case; repeated headers joined by ", ". */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly peer: Peer;
  /** Aborts when the client goes away before the answer is complete. */
  readonly signal: AbortSignal;
  /** The values of a repeated header, one by one. `name` in lower case. */
  headerValues(name: string): readonly string[];
  /**
   * The whole request body; undefined when it is longer than `limit` bytes. Rejects when the client goes away. `came` is
   * told of the bytes of each piece as it arrives.
   */
  body(limit: number, came?: (bytes: number) => void): Promise<Uint8Array | undefined>;
  /** The request body as it arrives; use this or `body`. */
  bodySource(): ByteSource;
  /** Sends the complete answer. Arrays of chunks are written as they are, never changed. */
  respond(status: number, headers: ResponseHeaders, body?: Body): void;
  /** Sends the head of an answer whose body follows piece by piece. */
  begin(status: number, headers: ResponseHeaders): BodyWriter;
  /** Compresses; absent when the host cannot. */
  gzip?(body: Body): Promise<Uint8Array>;
  /** Present when the client asked to upgrade: answers 101 with these headers and hands the connection over. */
  upgrade?(headers: ResponseHeaders): RawConnection;
}

export interface BodyWriter {
  /** False when enough is buffered: wait for `onDrain` before writing much more. */
  write(chunk: Uint8Array): boolean;
  /** Calls `fn` each time the buffer has emptied. */
  onDrain(fn: () => void): void;
  end(): void;
  /** Breaks the answer off, so that the client can tell that it is incomplete. */
  abort(): void;
}

/** What a handler may know about a request besides the exchange. */
export interface RequestContext {
  readonly user: UserInfo;
  /** The path, percent-decoded. */
  readonly path: string;
}

/**
 * Serves paths that are not about one resource: discovery, OpenAPI, version, metrics. Asked in order; the first whose
 * `match` holds answers. Authentication and authorization (verb: the method, path: the path) have happened.
 * A StatusError thrown becomes the answer.
 */
export interface PathHandler {
  /** Paths to list at `/`, e.g. `/healthz`, `/openapi/v3`. */
  readonly paths: readonly string[];
  /** The methods it answers; GET and HEAD unless told. */
  readonly methods?: readonly string[];
  match(path: string): boolean;
  handle(exchange: HttpExchange, context: RequestContext): void | Promise<void>;
}

/** Makes the cells of Tables. Implemented by server/table.ts. */
export interface Tables {
  /** As `meta.k8s.io/v1 TableColumnDefinition`. */
  columns(kind: AnyKind): readonly TableColumn[];
  /** One cell per column; `now` in milliseconds since the epoch. */
  cells(kind: AnyKind, object: KubeObject, now: number): readonly Cell[];
}

export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

/**
 * Carries exec, attach, port-forward and proxied requests to the client: WebSocket, SPDY (both by `exchange.upgrade`)
 * or plain HTTP (`proxy`). Answers the exchange in every case; a StatusError thrown before that becomes the answer.
 */
export type StreamHandler = (exchange: HttpExchange, stream: NodeStream, op: ApiOp) => Promise<void>;
