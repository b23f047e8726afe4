// A small client of the API for tests that break things: one HTTP/2 connection at a time, every outcome told apart.

import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeObject } from '../../../src/api/object.ts';
import type { ServerChild } from './server-child.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as an object; throws when it is none. */
  readonly object: KubeObject & { readonly [field: string]: unknown };
}

/** The connection broke: whether the server did what it was asked, nobody knows. */
export class ConnectionLost extends Error {}

export interface RequestOptions {
  readonly headers?: OutgoingHttpHeaders;
  /** Milliseconds; 30 seconds unless told. */
  readonly timeout?: number;
}

export interface Watching {
  /** Ends it. */
  stop(): void;
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<void>;
}

export interface WatchEventSeen {
  readonly type: string;
  readonly object: KubeObject & { readonly message?: string };
}

type Access = Pick<ServerChild, 'port' | 'ca'> & Partial<Pick<ServerChild, 'cert' | 'key'>>;

export class ApiClient {
  readonly #access: Access;
  readonly #token: string | undefined;
  #session: ClientHttp2Session | undefined;

  constructor(access: Access, { token }: { readonly token?: string } = {}) {
    this.#access = access;
    this.#token = token;
  }

  /** Rejects with ConnectionLost when there is no complete answer. */
  request(method: string, path: string, body?: unknown, options: RequestOptions = {}): Promise<Answer> {
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const patch = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const headers = { ...(body === undefined ? {} : { 'content-type': patch }), ...options.headers };
    return new Promise((resolve, reject) => {
      const lost = (why: string) => reject(new ConnectionLost(`${method} ${path}: ${why}`));
      const stream = this.#open(method, path, headers, lost);
      if (!stream) return;
      const timer = setTimeout(() => {
        lost('no answer in time');
        stream.close(constants.NGHTTP2_CANCEL);
      }, options.timeout ?? 30_000);
      let head: Answer['headers'] & { ':status'?: number } = {};
      const chunks: Buffer[] = [];
      stream.once('response', (received) => (head = received as typeof head));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.once('end', () => {
        if (head[':status'] === undefined) return;
        resolve(answerOf(head[':status'], head, Buffer.concat(chunks).toString()));
      });
      stream.once('close', () => {
        clearTimeout(timer);
        lost(`closed with code ${stream.rstCode}`);
      });
      stream.end(body === undefined || raw ? body : JSON.stringify(body));
    });
  }

  /** The same; also rejects with the answer's text when the status is not of success. */
  async ok(method: string, path: string, body?: unknown, options: RequestOptions = {}): Promise<Answer['object']> {
    const answer = await this.request(method, path, body, options);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.object;
  }

  /** Follows a watch; resolves once it has begun. Rejects with ConnectionLost, or an Error when it is refused. */
  watch(path: string, onEvent: (event: WatchEventSeen) => void): Promise<Watching> {
    return new Promise((resolve, reject) => {
      const stream = this.#open('GET', path, {}, (why) => reject(new ConnectionLost(`watch ${path}: ${why}`)));
      if (!stream) return;
      stream.end();
      let rest = '';
      let status = 200;
      const ended = new Promise<void>((done) => stream.once('close', () => done()));
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop()!;
        if (status === 200) for (const line of lines) onEvent(JSON.parse(line) as WatchEventSeen);
        else rest = lines.join('\n') + rest;
      });
      stream.once('response', (head) => {
        status = head[':status'] ?? 0;
        if (status === 200) resolve({ ended, stop: () => stream.close(constants.NGHTTP2_CANCEL) });
        else void ended.then(() => reject(new Error(`watch ${path}: ${status} ${rest}`)));
      });
      void ended.then(() => reject(new ConnectionLost(`watch ${path}: closed`)));
    });
  }

  close(): void {
    this.#session?.destroy();
    this.#session = undefined;
  }

  #open(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    lost: (why: string) => void,
  ): ClientHttp2Stream | undefined {
    try {
      const stream = this.#connected().request(
        {
          ':method': method,
          ':path': path,
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
          ...headers,
        },
        { endStream: false },
      );
      stream.on('error', (error) => lost(error.message));
      return stream;
    } catch (error) {
      lost((error as Error).message);
      return undefined;
    }
  }

  #connected(): ClientHttp2Session {
    const present = this.#session;
    if (present && !present.closed && !present.destroyed) return present;
    const { port, ca, cert, key } = this.#access;
    const session = connect(`https://127.0.0.1:${port}`, {
      ca,
      ...(cert && key ? { cert, key } : {}),
      // In megabytes; the default of 10 would end what is asked with a large body.
      maxSessionMemory: 1000,
    });
    const gone = () => {
      if (this.#session === session) this.#session = undefined;
    };
    session.on('error', gone);
    session.on('goaway', gone);
    session.on('close', gone);
    return (this.#session = session);
  }
}

function answerOf(status: number, headers: Answer['headers'], text: string): Answer {
  return {
    status,
    headers,
    text,
    get object() {
      return JSON.parse(text) as Answer['object'];
    },
  };
}

/** Resolves to what `attempt` gives once it does not lose its connection; `signal` ends the patience. */
export async function patiently<T>(attempt: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      signal?.throwIfAborted();
      await delay(10);
    }
  }
}
