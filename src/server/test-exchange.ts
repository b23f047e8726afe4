// An exchange for tests: a request made of plain values, and an answer that can be looked at.

import type { Body, BodyWriter, HttpExchange, Peer, ResponseHeaders } from './http-exchange.ts';

export interface TestRequest {
  readonly method?: string;
  /** With the query. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array;
  readonly peer?: Peer;
}

/** The answer so far. */
export class TestExchange implements HttpExchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Record<string, string>;
  readonly peer: Peer;
  status = 0;
  sent: ResponseHeaders = {};
  chunks: Uint8Array[] = [];
  ended = false;
  aborted = false;
  /** Bytes the client takes before it has to be drained. */
  room = Infinity;
  readonly #request: TestRequest;
  readonly #abort = new AbortController();
  #drained: () => void = () => {};

  constructor(request: TestRequest) {
    this.#request = request;
    this.method = request.method ?? 'GET';
    [this.path = '/', this.query = ''] = request.url.split('?');
    this.peer = request.peer ?? { address: '192.0.2.1' };
    this.headers = Object.fromEntries(
      Object.entries(request.headers ?? {}).map(([name, value]) => [name, [value].flat().join(', ')]),
    );
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  headerValues(name: string): readonly string[] {
    return [this.#request.headers?.[name] ?? []].flat();
  }

  body(limit: number): Promise<Uint8Array | undefined> {
    const { body = '' } = this.#request;
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    return Promise.resolve(bytes.length > limit ? undefined : bytes);
  }

  async *bodySource(): AsyncGenerator<Uint8Array> {
    yield (await this.body(Infinity))!;
  }

  respond(status: number, headers: ResponseHeaders, body: Body = []): void {
    if (this.status !== 0) throw new Error('answered twice');
    this.status = status;
    this.sent = headers;
    this.chunks = [body].flat().map((chunk) => (typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk));
    this.ended = true;
  }

  begin(status: number, headers: ResponseHeaders): BodyWriter {
    this.respond(status, headers);
    this.ended = false;
    return {
      write: (chunk) => {
        this.chunks.push(chunk);
        this.room -= chunk.length;
        return this.room > 0;
      },
      onDrain: (fn) => (this.#drained = fn),
      end: () => (this.ended = true),
      abort: () => (this.aborted = true),
    };
  }

  /** The client reads on. */
  drain(room: number): void {
    this.room = room;
    this.#drained();
  }

  /** The client goes away. */
  leave(): void {
    this.#abort.abort();
  }

  get text(): string {
    const decoder = new TextDecoder();
    return this.chunks.map((c) => decoder.decode(c, { stream: true })).join('');
  }

  get json(): Record<string, unknown> {
    return JSON.parse(this.text) as Record<string, unknown>;
  }

  /** The lines of a watch. */
  get events(): { type: string; object: Record<string, unknown> }[] {
    return this.text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { type: string; object: Record<string, unknown> });
  }
}
