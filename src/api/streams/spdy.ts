// One end of a SPDY/3.1 connection: streams with headers, each half-closed on its own. What is sent obeys the
// backpressure of the connection alone: kubectl never opens windows, so heeding them would cut its output short.

import { ByteBudget, ByteQueue } from '../../base/byte-queue.ts';
import type { Env } from '../../base/env.ts';
import type { ByteSink } from '../node-api.ts';
import { AnswerWriter, waitForRoom, type RawConnection } from './raw-connection.ts';
import {
  dataFrame,
  goAwayFrame,
  pingFrame,
  RESET,
  resetFrame,
  SpdyError,
  SpdyReader,
  synReplyFrame,
  synStreamFrame,
  type HeaderInflater,
  type SpdyEvent,
} from './spdy-frames.ts';
import { HeaderWriter, parseHeaders } from './spdy-headers.ts';

export interface SpdyOptions {
  readonly env: Pick<Env, 'clock'>;
  readonly role: 'server' | 'client';
  /** A server's way to read headers; a client has no use for those it gets back. */
  readonly inflater?: HeaderInflater;
  /** Called for each stream the other side opens; it is to accept or refuse it. */
  readonly onStream?: (stream: SpdyStream) => void;
  /** Bytes of input that may wait for their consumers, all streams together; 4 MiB unless told. */
  readonly buffer?: number;
  /** Streams open at a time; 2,000 unless told. */
  readonly maxStreams?: number;
}

const BUFFER = 4 * 1024 * 1024;
const MAX_STREAMS = 2000;
const MAX_HEADERS = 64 * 1024;
const MAX_FRAME = 64 * 1024;
/** How long the other side may keep a connection that is over. */
const CLOSE_WITHIN = 5000;
const NOTHING = new Uint8Array(0);

/** What a stream asks of its connection. */
interface Wire {
  write(frame: Uint8Array): Promise<void> | void;
  reply(id: number): void;
  over(stream: SpdyStream): void;
}

export class SpdyStream {
  readonly id: number;
  /** Names in lower case. Empty on streams opened here. */
  readonly headers: ReadonlyMap<string, string>;
  readonly input: ByteQueue;
  readonly output: ByteSink;
  readonly #wire: Wire;
  readonly #gone = new AbortController();
  #outputOpen = true;
  #inputOpen = true;

  constructor(id: number, headers: ReadonlyMap<string, string>, budget: ByteBudget, wire: Wire) {
    this.id = id;
    this.headers = headers;
    this.input = new ByteQueue(budget);
    this.#wire = wire;
    this.output = { write: (chunk) => this.#write(chunk), end: () => this.#end() };
  }

  /** Aborts when the other side resets the stream, or the connection goes. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  accept(): void {
    this.#wire.reply(this.id);
  }

  /** Ends both directions at once, telling the other side. */
  reset(status: number = RESET.cancel): void {
    if (!this.#outputOpen && !this.#inputOpen) return;
    void this.#wire.write(resetFrame(this.id, status));
    this.lost();
  }

  /** For the connection: a piece of input has come. */
  receive(chunk: Uint8Array, fin: boolean): void {
    if (!this.#inputOpen) return;
    this.input.push(chunk);
    if (!fin) return;
    this.#inputOpen = false;
    this.input.end();
    this.#check();
  }

  /** For the connection: nothing more will come or go. */
  lost(): void {
    this.#inputOpen = false;
    this.#outputOpen = false;
    this.input.end();
    this.#gone.abort();
    this.#check();
  }

  #write(chunk: Uint8Array): Promise<void> | void {
    let last: Promise<void> | void = undefined;
    for (let at = 0; at < chunk.length && this.#outputOpen; at += MAX_FRAME) {
      last = this.#wire.write(dataFrame(this.id, chunk.subarray(at, at + MAX_FRAME), false));
    }
    return last;
  }

  #end(): void {
    if (!this.#outputOpen) return;
    this.#outputOpen = false;
    void this.#wire.write(dataFrame(this.id, NOTHING, true));
    this.#check();
  }

  #check(): void {
    if (!this.#inputOpen && !this.#outputOpen) this.#wire.over(this);
  }
}

export class SpdyConnection {
  readonly #raw: RawConnection;
  readonly #options: SpdyOptions;
  readonly #budget: ByteBudget;
  readonly #answers: AnswerWriter;
  readonly #headers = new HeaderWriter();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #wire: Wire;
  #nextId = 1;
  #lastTheirs = 0;
  #nextPing: number;
  #closed = false;

  constructor(raw: RawConnection, options: SpdyOptions) {
    this.#raw = raw;
    this.#options = options;
    this.#budget = new ByteBudget(options.buffer ?? BUFFER);
    this.#answers = new AnswerWriter(raw);
    this.#nextPing = options.role === 'server' ? 2 : 1;
    this.#wire = {
      write: (frame) => raw.sink.write(frame),
      reply: (id) => this.#answers.write(synReplyFrame(id, this.#headers.encode({}))),
      over: (stream) => this.#streams.delete(stream.id),
    };
  }

  /** Aborts when the connection is gone. */
  get signal(): AbortSignal {
    return this.#raw.signal;
  }

  /** Opens a stream; names in lower case. `fin`: nothing will be written to it. */
  open(headers: Readonly<Record<string, string>>, options: { readonly fin?: boolean } = {}): SpdyStream {
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = new SpdyStream(id, new Map(), this.#budget, this.#wire);
    this.#streams.set(id, stream);
    void this.#raw.sink.write(synStreamFrame(id, false, this.#headers.encode(headers)));
    if (options.fin) stream.output.end();
    return stream;
  }

  /** Carries the streams until the connection is over. Resolves in every case; call it once. */
  async run(): Promise<void> {
    const reader = new SpdyReader();
    try {
      for await (const chunk of this.#raw.source) {
        for (const event of reader.read(chunk)) {
          const wait = this.#receive(event);
          if (wait) await wait;
        }
        const room = this.#budget.room();
        if (room) await waitForRoom(room, this.signal, this.#options.env.clock, () => this.#ping());
      }
    } catch (error) {
      if (!(error instanceof SpdyError)) throw error;
      void this.#raw.sink.write(goAwayFrame(this.#lastTheirs));
    } finally {
      this.#closed = true;
      for (const stream of this.#streams.values()) stream.lost();
      this.#options.inflater?.close();
      this.#raw.close();
    }
  }

  /** Says good-bye; what still comes is dropped. The other side is to close the connection, and has five seconds. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#raw.sink.write(goAwayFrame(this.#lastTheirs));
    for (const stream of this.#streams.values()) stream.input.discard();
    const timer = this.#options.env.clock.setTimer(CLOSE_WITHIN, () => this.#raw.destroy(), { unref: true });
    this.signal.addEventListener('abort', () => timer.cancel(), { once: true });
  }

  destroy(): void {
    this.#raw.destroy();
  }

  #ping(): void {
    this.#answers.write(pingFrame(this.#nextPing));
    this.#nextPing += 2;
  }

  /** A promise only where there is something to wait for: data passes without. */
  #receive(event: SpdyEvent): Promise<void> | void {
    switch (event.type) {
      case 'data':
        if (!this.#closed) this.#streams.get(event.id)?.receive(event.chunk, event.fin);
        return;
      case 'stream':
        return this.#opened(event.id, event.fin, event.block);
      case 'headers':
        if (event.fin) this.#streams.get(event.id)?.receive(NOTHING, true);
        return;
      case 'reset':
        this.#streams.get(event.id)?.lost();
        return;
      case 'ping':
        // Those with our parity are answers to our own.
        if (event.id % 2 !== this.#nextPing % 2) this.#answers.write(pingFrame(event.id));
        return;
      case 'goaway':
        return;
    }
  }

  async #opened(id: number, fin: boolean, block: Uint8Array): Promise<void> {
    const { inflater, onStream, maxStreams = MAX_STREAMS } = this.#options;
    if (!inflater || !onStream) throw new SpdyError('the other side may not open streams');
    let plain: Uint8Array;
    try {
      plain = await inflater.inflate(block, MAX_HEADERS);
    } catch (cause) {
      throw new SpdyError('damaged header block', { cause });
    }
    if (id % 2 === 0 || id <= this.#lastTheirs) throw new SpdyError(`stream ${id} out of order`);
    this.#lastTheirs = id;
    if (this.#closed) return;
    if (this.#streams.size >= maxStreams) return this.#answers.write(resetFrame(id, RESET.refused));
    const stream = new SpdyStream(id, parseHeaders(plain), this.#budget, this.#wire);
    this.#streams.set(id, stream);
    onStream(stream);
    if (fin) stream.receive(NOTHING, true);
  }
}
