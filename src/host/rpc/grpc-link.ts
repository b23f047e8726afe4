// The HTTP/2 connection under a gRPC channel: made when somebody needs it, made again when it broke and somebody waits.

import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';

const RETRY_MS = { first: 20, last: 500 };
/** Lists of a busy node are longer than HTTP/2's usual 64 KiB. */
const WINDOW = 1 << 20;

export class GrpcLink {
  readonly #socket: string;
  readonly #waiting = new Set<(session: ClientHttp2Session) => void>();
  #session: ClientHttp2Session | undefined;
  #attempt: ClientHttp2Session | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #pause = RETRY_MS.first;
  #closed = false;

  constructor(socket: string) {
    this.#socket = socket;
  }

  get connected(): boolean {
    return this.#session !== undefined;
  }

  /** Calls back with a working connection, at once where there is one. Returns what stops the waiting. */
  whenConnected(use: (session: ClientHttp2Session) => void): () => void {
    const session = this.#session;
    if (session && !session.destroyed && !session.closed) {
      session.ref();
      use(session);
      return () => undefined;
    }
    this.#session = undefined;
    this.#waiting.add(use);
    if (!this.#retry) this.#connect();
    return () => void this.#waiting.delete(use);
  }

  /** No call is under way: the connection keeps no process alive. */
  idle(): void {
    this.#session?.unref();
    this.#attempt?.unref();
    if (this.#waiting.size > 0) return;
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#attempt?.destroy();
    this.#session?.destroy();
  }

  #connect(): void {
    if (this.#attempt || this.#closed) return;
    const session = connectHttp2('http://localhost', {
      createConnection: () => connect(this.#socket),
      settings: { enablePush: false, initialWindowSize: WINDOW },
    });
    this.#attempt = session;
    session.on('error', () => undefined);
    session.once('connect', () => this.#connected(session));
    session.once('goaway', () => this.#lost(session));
    session.once('close', () => this.#lost(session));
  }

  #connected(session: ClientHttp2Session): void {
    session.setLocalWindowSize(WINDOW);
    this.#attempt = undefined;
    this.#session = session;
    this.#pause = RETRY_MS.first;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const use of waiting) use(session);
    if (waiting.length === 0) session.unref();
  }

  /** It failed, broke, or is to take no further calls. */
  #lost(session: ClientHttp2Session): void {
    if (this.#session === session) this.#session = undefined;
    else if (this.#attempt === session) this.#attempt = undefined;
    else return;
    if (this.#closed || this.#waiting.size === 0) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#waiting.size > 0) this.#connect();
    }, this.#pause);
    this.#pause = Math.min(this.#pause * 2, RETRY_MS.last);
  }
}
