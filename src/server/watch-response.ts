// A watch as a response body: one JSON line per event. A line is made once and the same bytes go to every client.
// Events that come together (many writes become durable at once) go out in one piece, which too is made once.
// A client that reads slowly is given events as it drains them; what waits for it are references to objects that the
// server holds anyway. One that falls too far behind is cut off, and comes back with a list of its own.

import { textOf } from '../api/codec.ts';
import type { AnyKind } from '../api/kind.ts';
import type { WatchEvent, WatchSink, WatchStream } from '../api/op.ts';
import type { BodyWriter } from './http-exchange.ts';
import { commonHeaders, type Reply } from './http-response.ts';
import { bookmarkTable, partialObject, toTable, type TableRequest } from './transform.ts';

/** Events that may wait for a client beyond those that were there when it began to watch. */
const MAX_PENDING = 10_000;
/** The same in bytes: what waits is kept from being forgotten. */
const MAX_PENDING_BYTES = 32 * 1024 * 1024;
/** Events that are sent are let go of after so many. */
const MAX_SENT = 1000;
/** Lines are joined up to about this many bytes, then written. */
const CHUNK = 64 * 1024;
/** Bytes of lines kept for other clients. */
const KEPT = 2 * 1024 * 1024;

type Encode = (event: WatchEvent) => Uint8Array;
const encoder = new TextEncoder();

/** Answers with the stream; returns when it has begun. */
export function sendWatch(reply: Reply, stream: WatchStream, kind: AnyKind, table: TableRequest): void {
  const { exchange } = reply;
  const writer = exchange.begin(200, { ...commonHeaders(reply.auditId), 'content-type': 'application/json' });
  const sink = new WatchWriter(writer, encoderFor(reply, kind, table), () => stream.stop());
  const { signal } = exchange;
  if (signal.aborted) return stream.stop();
  signal.addEventListener('abort', () => stream.stop(), { once: true });
  stream.start(sink);
  sink.started();
}

class WatchWriter implements WatchSink {
  readonly #writer: BodyWriter;
  readonly #encode: Encode;
  readonly #stop: () => void;
  #pending: WatchEvent[] = [];
  #next = 0;
  /** Of those pending, how many were there from the beginning. */
  #initial = 0;
  /** Bytes of the events that came since the client stopped reading. */
  #waiting = 0;
  #starting = true;
  #blocked = false;
  #scheduled = false;
  #ended = false;

  constructor(writer: BodyWriter, encode: Encode, stop: () => void) {
    this.#writer = writer;
    this.#encode = encode;
    this.#stop = stop;
    writer.onDrain(() => {
      this.#blocked = false;
      this.#flush();
    });
  }

  started(): void {
    this.#starting = false;
  }

  events(batch: readonly WatchEvent[]): void {
    if (this.#ended) return;
    for (const event of batch) this.#pending.push(event);
    if (this.#starting) this.#initial += batch.length;
    if (this.#starting) return this.#flush();
    if (this.#blocked) for (const event of batch) this.#waiting += textOf(event.object).length;
    else this.#schedule();
    if (this.#pending.length - this.#next - this.#initial <= MAX_PENDING && this.#waiting <= MAX_PENDING_BYTES) return;
    this.#ended = true;
    this.#pending = [];
    this.#stop();
    this.#writer.abort();
  }

  closed(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#next === this.#pending.length) this.#writer.end();
  }

  /** At the end of the turn: the store tells all that became durable together one by one, within one. */
  #schedule(): void {
    if (this.#scheduled || this.#blocked) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#pending.length > 0) this.#flush();
    });
  }

  #flush(): void {
    while (!this.#blocked && this.#next < this.#pending.length) {
      const lines: Uint8Array[] = [];
      let length = 0;
      while (length < CHUNK && this.#next < this.#pending.length) {
        const line = this.#encode(this.#pending[this.#next++]!);
        lines.push(line);
        length += line.length;
      }
      this.#initial = Math.max(0, this.#initial - lines.length);
      this.#waiting = Math.max(0, this.#waiting - length);
      this.#blocked = !this.#writer.write(lines.length === 1 ? lines[0]! : joined(lines, length));
    }
    if (this.#next < this.#pending.length) {
      // A client that is always a little behind never comes to the end.
      if (this.#next < MAX_SENT) return;
      this.#pending.splice(0, this.#next);
      this.#next = 0;
      return;
    }
    this.#pending = [];
    this.#next = 0;
    this.#waiting = 0;
    if (this.#ended) this.#writer.end();
  }
}

let lastJoined: { readonly lines: readonly Uint8Array[]; readonly bytes: Uint8Array } | undefined;

/** One piece of these lines: the same one for all watchers that are told the same events in turn. */
function joined(lines: readonly Uint8Array[], length: number): Uint8Array {
  const last = lastJoined;
  if (last?.bytes.length === length && last.lines.length === lines.length && lines.every((l, i) => l === last.lines[i]))
    return last.bytes;
  const bytes = join(lines, length);
  lastJoined = { lines, bytes };
  return bytes;
}

function join(lines: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  for (const line of lines) {
    out.set(line, at);
    at += line.length;
  }
  return out;
}

function encoderFor(reply: Reply, kind: AnyKind, table: TableRequest): Encode {
  const { form } = reply;
  if (form.as === 'PartialObjectMetadata') return partialEncoder(form.metaVersion);
  if (form.as === 'Table') return tableEncoder(kind, form.metaVersion, table);
  return eventLine;
}

interface Line {
  readonly type: string;
  readonly bytes: Uint8Array;
}
let lines = new WeakMap<object, Line>();
let kept = 0;

/** Watchers of one kind are told of an object one after the other: the line is kept for as long as that may last. */
export function eventLine(event: WatchEvent): Uint8Array {
  const known = lines.get(event.object);
  if (known?.type === event.type) return known.bytes;
  const bytes = wrap(event.type, textOf(event.object));
  kept += bytes.length;
  if (kept > KEPT) {
    lines = new WeakMap();
    kept = bytes.length;
  }
  lines.set(event.object, { type: event.type, bytes });
  return bytes;
}

const wrap = (type: string, object: string) => encoder.encode(`{"type":"${type}","object":${object}}\n`);

const lineOf = (type: string, object: unknown) => wrap(type, JSON.stringify(object));

function partialEncoder(metaVersion: string): Encode {
  return ({ type, object }) =>
    type === 'ERROR' ? lineOf(type, object) : lineOf(type, partialObject(object, metaVersion));
}

/** Every event is a Table of one row; only the first says what the columns are. */
function tableEncoder(kind: AnyKind, apiVersion: string, request: TableRequest): Encode {
  let first = true;
  return ({ type, object }) => {
    if (type === 'ERROR') return lineOf(type, object);
    const { resourceVersion = '' } = object.metadata;
    const table =
      type === 'BOOKMARK'
        ? bookmarkTable(kind, object, apiVersion)
        : toTable(kind, [object], { resourceVersion }, apiVersion, request);
    const line = lineOf(type, first ? table : { ...table, columnDefinitions: null });
    first = false;
    return line;
  };
}
