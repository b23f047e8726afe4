// HTTP/2 connections to one server: opened when needed, replaced when broken, more than one when all are full.

import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import type { Env, Timer } from '../base/env.ts';

export interface PoolOptions {
  readonly env: Env;
  /** `https://host:port`. */
  readonly origin: string;
  /** Asked for each new connection: credentials may have changed. */
  readonly tls: () => SecureClientSessionOptions;
}

const PING_EVERY = 30_000;
const PING_WITHIN = 15_000;
const CONNECT_WITHIN = 30_000;
/** Until the server has said how many requests it takes at a time. */
const ASSUMED_STREAMS = 100;

class Connection {
  readonly session: ClientHttp2Session;
  readonly #env: Env;
  #streams = 0;
  #ping: Timer | undefined;
  #failure: Error | undefined;

  constructor(options: PoolOptions) {
    this.#env = options.env;
    this.session = connect(options.origin, {
      ...options.tls(),
      settings: { enablePush: false, initialWindowSize: 4 * 1024 * 1024 },
      maxSessionMemory: 1024,
    });
    const { session } = this;
    const connecting = this.#env.clock.setTimer(CONNECT_WITHIN, () => {
      session.destroy(Object.assign(new Error('connection timed out'), { code: 'ETIMEDOUT' }));
    });
    session.once('connect', () => {
      connecting.cancel();
      // The window of the whole connection: many watches share it.
      session.setLocalWindowSize(64 * 1024 * 1024);
    });
    session.on('error', (error) => (this.#failure = error));
    session.once('close', () => {
      connecting.cancel();
      this.#ping?.cancel();
    });
    this.#ping = this.#schedulePing();
    session.unref();
  }

  get usable(): boolean {
    const { session } = this;
    const limit = session.connecting ? ASSUMED_STREAMS : session.remoteSettings.maxConcurrentStreams;
    return !session.closed && !session.destroyed && this.#streams < (limit ?? ASSUMED_STREAMS);
  }

  /** Why the connection broke, if it did. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Without requests under way the connection does not keep the process alive. */
  request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream {
    const stream = this.session.request(headers, { endStream });
    if (this.#streams++ === 0) this.session.ref();
    stream.once('close', () => {
      if (--this.#streams === 0 && !this.session.destroyed) this.session.unref();
    });
    return stream;
  }

  /** A server that is gone without a word answers no pings. */
  #schedulePing(): Timer {
    return this.#env.clock.setTimer(
      PING_EVERY,
      () => {
        const { session } = this;
        if (session.destroyed || session.closed) return;
        if (this.#streams > 0 && !session.connecting) {
          const lost = this.#env.clock.setTimer(
            PING_WITHIN,
            () => session.destroy(new Error('http2: client connection lost')),
            { unref: true },
          );
          session.ping(() => lost.cancel());
        }
        this.#ping = this.#schedulePing();
      },
      { unref: true },
    );
  }
}

export class Http2Pool {
  readonly #options: PoolOptions;
  #connections: Connection[] = [];
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Opens a request. `failure` tells why the connection broke, once it has. */
  request(
    headers: OutgoingHttpHeaders,
    endStream: boolean,
  ): { readonly stream: ClientHttp2Stream; readonly failure: () => Error | undefined } {
    if (this.#closed) throw new Error('the transport is closed');
    this.#connections = this.#connections.filter((c) => !c.session.destroyed && !c.session.closed);
    let connection = this.#connections.find((c) => c.usable);
    if (!connection) {
      connection = new Connection(this.#options);
      this.#connections.push(connection);
    }
    return { stream: connection.request(headers, endStream), failure: () => connection.failure };
  }

  /** Ends all requests and connections. */
  close(): void {
    this.#closed = true;
    for (const { session } of this.#connections) session.destroy(undefined, constants.NGHTTP2_CANCEL);
    this.#connections = [];
  }

  /** Takes new requests to new connections, which present the credentials as they are then. */
  renew(): void {
    for (const { session } of this.#connections) session.close();
    this.#connections = [];
  }
}
