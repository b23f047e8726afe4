// Bodies of HTTP exchanges on Node streams: reading with a bound, writing many small chunks in few large pieces.

import type { Readable, Writable } from 'node:stream';
import { gzip as zlibGzip } from 'node:zlib';
import type { Body, Chunk } from '../server/http-exchange.ts';

const BLOCK = 256 * 1024;
const NOTHING = new Uint8Array(0);

/** Node's HTTP/2 takes half as long again for an answer that is given as text. */
export const asBytes = (body: Body | undefined) => (typeof body === 'string' ? Buffer.from(body) : body);

export function bodyLength(body: Body | undefined): number {
  if (!body) return 0;
  if (!Array.isArray(body)) return Buffer.byteLength(body as Chunk);
  let total = 0;
  for (const chunk of body as readonly Chunk[]) total += Buffer.byteLength(chunk);
  return total;
}

/**
 * Blocks that have been sent are written anew: the system gives fresh memory page by page, which takes many times as long as
 * filling it, and what is dropped has to be collected.
 */
const idle: Buffer[] = [];
const MOST_IDLE = 16;

interface Piece {
  readonly bytes: Uint8Array;
  /** To be given back when the bytes are no longer needed. */
  readonly block?: Buffer;
}

function giveBack({ block }: Piece): void {
  if (block && idle.length < MOST_IDLE) idle.push(block);
}

/** Of a write that failed nobody knows who still reads the block. */
const sent = (piece: Piece) => (error?: Error | null) => {
  if (!error) giveBack(piece);
};

/** The chunks in order, small ones joined into blocks, large ones on their own. `length` is that of all together. */
function* pieces(chunks: readonly Chunk[], length: number): Generator<Piece> {
  let block: Buffer | undefined;
  let used = 0;
  let left = length;
  const filled = (): Piece => {
    const bytes = block!.subarray(0, used);
    const piece = block!.length === BLOCK ? { bytes, block: block! } : { bytes };
    block = undefined;
    used = 0;
    return piece;
  };
  for (const chunk of chunks) {
    if (chunk.length === 0) continue;
    if (block && !fits(chunk, block.length - used)) yield filled();
    if (!fits(chunk, BLOCK)) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      left -= bytes.length;
      yield { bytes };
      continue;
    }
    block ??= left < BLOCK ? Buffer.allocUnsafe(left) : (idle.pop() ?? Buffer.allocUnsafeSlow(BLOCK));
    const written = typeof chunk === 'string' ? block.write(chunk, used) : put(block, chunk, used);
    used += written;
    left -= written;
  }
  if (block) yield filled();
}

/** A character takes three bytes at most: they are counted only where that matters. */
const fits = (chunk: Chunk, room: number) =>
  (typeof chunk === 'string' && chunk.length * 3 <= room) || Buffer.byteLength(chunk) <= room;

function put(block: Buffer, chunk: Uint8Array, at: number): number {
  block.set(chunk, at);
  return chunk.length;
}

/** Writes the body, of `length` bytes, and ends the stream, never holding more than a few blocks in its buffer. */
export function send(stream: Writable, body: Body | undefined, length: number): void {
  if (!Array.isArray(body)) {
    stream.end(body);
    return;
  }
  const source = pieces(body as readonly Chunk[], length);
  // The last block goes with the end: a frame of its own for the end costs as much as a small answer.
  let next = source.next();
  const pump = () => {
    while (!next.done && !stream.destroyed) {
      const piece = next.value;
      next = source.next();
      if (next.done) {
        stream.off('drain', pump);
        stream.end(piece.bytes, sent(piece));
      } else if (!stream.write(piece.bytes, sent(piece))) return;
    }
  };
  if (next.done) {
    stream.end();
    return;
  }
  stream.on('drain', pump);
  pump();
}

/**
 * All of a stream; undefined when it is longer than `limit` bytes, in which case the rest is left unread. `came` is told of the
 * bytes of each piece.
 */
export function collect(
  stream: Readable,
  limit: number,
  came?: (bytes: number) => void,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    let chunks: Uint8Array[] = [];
    let length = 0;
    const done = (outcome: () => void) => {
      stream.off('data', onData).off('end', onEnd).off('error', onFail).off('close', onClose);
      outcome();
    };
    const onData = (chunk: Uint8Array) => {
      length += chunk.length;
      came?.(chunk.length);
      if (length > limit) {
        chunks = [];
        stream.pause();
        done(() => resolve(undefined));
      } else chunks.push(chunk);
    };
    const onEnd = () =>
      done(() => resolve(chunks.length === 0 ? NOTHING : chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    const onFail = (error: Error) => done(() => reject(error));
    const onClose = () => done(() => reject(new Error('the client went away before its request was complete')));
    stream.on('data', onData).on('end', onEnd).on('error', onFail).on('close', onClose);
  });
}

/** As upstream compresses: quickly rather than tightly. */
export function gzip(body: Body): Promise<Uint8Array> {
  const whole = Array.isArray(body) ? joined(body as readonly Chunk[]) : (body as Chunk);
  return new Promise((resolve, reject) => {
    zlibGzip(whole, { level: 1 }, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

function joined(chunks: readonly Chunk[]): Uint8Array {
  const all = [...pieces(chunks, bodyLength(chunks))];
  const whole = Buffer.concat(all.map(({ bytes }) => bytes));
  for (const piece of all) giveBack(piece);
  return whole;
}

/** The values of one header from a raw list of alternating names and values. */
export function rawValues(raw: readonly string[], name: string): string[] {
  const out: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) if (raw[i]!.toLowerCase() === name) out.push(raw[i + 1]!);
  return out;
}

/** Splits a request target into path and query. */
export function splitTarget(target: string): [path: string, query: string] {
  const mark = target.indexOf('?');
  return mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
}
