// Bodies of HTTP exchanges on Node streams: reading with a bound, writing many small chunks in few large pieces.

import type { Readable, Writable } from 'node:stream';
import { gzip as zlibGzip } from 'node:zlib';
import type { Body } from '../server/http-exchange.ts';

const BLOCK = 256 * 1024;
const NOTHING = new Uint8Array(0);

export function bodyLength(body: Body | undefined): number {
  if (!body) return 0;
  if (body instanceof Uint8Array) return body.length;
  let total = 0;
  for (const chunk of body) total += chunk.length;
  return total;
}

/** The chunks in order, small ones joined into blocks, large ones as they are. */
function* blocks(chunks: readonly Uint8Array[]): Generator<Uint8Array> {
  let block: Buffer | undefined;
  let used = 0;
  let left = bodyLength(chunks);
  for (const chunk of chunks) {
    left -= chunk.length;
    if (block && used + chunk.length > block.length) {
      yield block.subarray(0, used);
      block = undefined;
    }
    if (chunk.length >= BLOCK) {
      yield chunk;
      continue;
    }
    if (!block) {
      block = Buffer.allocUnsafe(Math.min(BLOCK, chunk.length + left));
      used = 0;
    }
    block.set(chunk, used);
    used += chunk.length;
  }
  if (block && used > 0) yield block.subarray(0, used);
}

/** Writes the body and ends the stream, never holding more than a few blocks in its buffer. */
export function send(stream: Writable, body: Body | undefined): void {
  if (!body || body instanceof Uint8Array) {
    stream.end(body);
    return;
  }
  const source = blocks(body);
  // The last block goes with the end: a frame of its own for the end costs as much as a small answer.
  let next = source.next();
  const pump = () => {
    while (!next.done && !stream.destroyed) {
      const block = next.value;
      next = source.next();
      if (next.done) {
        stream.off('drain', pump);
        stream.end(block);
      } else if (!stream.write(block)) return;
    }
  };
  if (next.done) {
    stream.end();
    return;
  }
  stream.on('drain', pump);
  pump();
}

/** All of a stream; undefined when it is longer than `limit` bytes, in which case the rest is left unread. */
export function collect(stream: Readable, limit: number): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    let chunks: Uint8Array[] = [];
    let length = 0;
    const done = (outcome: () => void) => {
      stream.off('data', onData).off('end', onEnd).off('error', onFail).off('close', onClose);
      outcome();
    };
    const onData = (chunk: Uint8Array) => {
      length += chunk.length;
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
  const whole = body instanceof Uint8Array ? body : Buffer.concat(body);
  return new Promise((resolve, reject) => {
    zlibGzip(whole, { level: 1 }, (error, result) => (error ? reject(error) : resolve(result)));
  });
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
