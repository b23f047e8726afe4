// Sending an HTTP request on to another server. Implemented by the host.

import type { ByteSource } from '../../api/node-api.ts';
import type { RawConnection } from '../../api/streams/raw-connection.ts';
import type { ResponseHeaders } from '../http-exchange.ts';

export interface ForwardRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** With the query. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Absent when the request has none. */
  readonly body?: ByteSource;
  /** To a node's own endpoint: with our credentials, its certificate checked. Otherwise certificates are not checked. */
  readonly kubelet?: boolean;
  readonly signal: AbortSignal;
}

export interface ForwardResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ResponseHeaders;
  /** Throws when the answer breaks off. */
  readonly body: ByteSource;
  /** After 101: the connection. */
  readonly upgraded?: RawConnection;
}

/** Rejects with an Error whose message says why, in the words of Go's net package, e.g. `dial tcp 10.0.0.1:80: connect: connection refused`. */
export type HttpForward = (request: ForwardRequest) => Promise<ForwardResponse>;
