// SPDY/3.1 frames as kubectl speaks them, free of any connection. Data is handed on as it arrives; control frames are
// short. Header blocks come in compressed (a HeaderInflater reads them) and go out in zlib's stored form.
// https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/

/** Reads the header blocks of one direction of one connection, in order. Implemented by the host. */
export interface HeaderInflater {
  /** Rejects when the block is damaged or longer than `limit` bytes; nothing can be read after that. */
  inflate(block: Uint8Array, limit: number): Promise<Uint8Array>;
  close(): void;
}

export const FRAME = { synStream: 1, synReply: 2, reset: 3, settings: 4, ping: 6, goAway: 7, headers: 8 } as const;
export const RESET = { protocolError: 1, invalidStream: 2, refused: 3, cancel: 5, streamInUse: 8 } as const;
const FIN = 1;
const VERSION = 3;

export class SpdyError extends Error {
  override readonly name = 'SpdyError';
}

export type SpdyEvent =
  | { readonly type: 'stream'; readonly id: number; readonly fin: boolean; readonly block: Uint8Array }
  /** SYN_REPLY and HEADERS. */
  | { readonly type: 'headers'; readonly id: number; readonly fin: boolean; readonly block: Uint8Array }
  /** `fin` with the last piece; that may be empty. */
  | { readonly type: 'data'; readonly id: number; readonly fin: boolean; readonly chunk: Uint8Array }
  | { readonly type: 'reset'; readonly id: number; readonly status: number }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goaway' };

/** Bytes of a control frame; larger ones are an attack. */
const MAX_CONTROL = 32 * 1024;
const HEADER = 8;

/** Cuts frames out of bytes cut anywhere. */
export class SpdyReader {
  readonly #header = new Uint8Array(HEADER);
  #headerLength = 0;
  #remaining = -1;
  #control: Uint8Array | undefined;
  #controlLength = 0;

  /** The events that are complete with this chunk. Throws SpdyError; after that it cannot go on. */
  *read(chunk: Uint8Array): Generator<SpdyEvent, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#remaining < 0) {
        this.#header[this.#headerLength++] = chunk[at++]!;
        if (this.#headerLength < HEADER) continue;
        this.#begin();
        if (this.#remaining > 0) continue;
      }
      const piece = chunk.subarray(at, at + this.#remaining);
      at += piece.length;
      this.#remaining -= piece.length;
      const done = this.#remaining === 0;
      if (done) this.#remaining = -1;
      const event = this.#control ? this.#controlPiece(this.#control, piece, done) : this.#dataPiece(piece, done);
      if (event) yield event;
    }
  }

  #view(): DataView {
    return new DataView(this.#header.buffer);
  }

  #begin(): void {
    const view = this.#view();
    this.#headerLength = 0;
    this.#remaining = view.getUint32(4) & 0xffffff;
    this.#control = undefined;
    if ((view.getUint8(0) & 0x80) === 0) return;
    const version = view.getUint16(0) & 0x7fff;
    if (version !== VERSION) throw new SpdyError(`unsupported SPDY version ${version}`);
    if (this.#remaining > MAX_CONTROL) throw new SpdyError(`control frame of ${this.#remaining} bytes`);
    this.#control = new Uint8Array(this.#remaining);
    this.#controlLength = 0;
  }

  #dataPiece(chunk: Uint8Array, done: boolean): SpdyEvent | undefined {
    const view = this.#view();
    const fin = done && (view.getUint8(4) & FIN) !== 0;
    if (chunk.length === 0 && !fin) return undefined;
    return { type: 'data', id: view.getUint32(0) & 0x7fffffff, fin, chunk };
  }

  #controlPiece(payload: Uint8Array, piece: Uint8Array, done: boolean): SpdyEvent | undefined {
    payload.set(piece, this.#controlLength);
    this.#controlLength += piece.length;
    if (!done) return undefined;
    const frame = this.#view();
    const [type, fin] = [frame.getUint16(2), (frame.getUint8(4) & FIN) !== 0];
    const view = new DataView(payload.buffer);
    const need = (bytes: number) => {
      if (payload.length < bytes) throw new SpdyError(`control frame of type ${type} is too short`);
    };
    switch (type) {
      case FRAME.synStream:
        need(10);
        return { type: 'stream', id: view.getUint32(0) & 0x7fffffff, fin, block: payload.subarray(10) };
      case FRAME.synReply:
      case FRAME.headers:
        need(4);
        return { type: 'headers', id: view.getUint32(0) & 0x7fffffff, fin, block: payload.subarray(4) };
      case FRAME.reset:
        need(8);
        return { type: 'reset', id: view.getUint32(0) & 0x7fffffff, status: view.getUint32(4) };
      case FRAME.ping:
        need(4);
        return { type: 'ping', id: view.getUint32(0) };
      case FRAME.goAway:
        return { type: 'goaway' };
      // SETTINGS and WINDOW_UPDATE are about flow control, which no Kubernetes client does.
      default:
        return undefined;
    }
  }
}

/** `head`: what stands before the header block or the only fields, as 32-bit words. */
function controlFrame(type: number, fin: boolean, head: readonly number[], rest: Uint8Array, pad = 0): Uint8Array {
  const length = head.length * 4 + pad + rest.length;
  const frame = new Uint8Array(HEADER + length);
  const view = new DataView(frame.buffer);
  view.setUint16(0, 0x8000 | VERSION);
  view.setUint16(2, type);
  view.setUint32(4, length);
  view.setUint8(4, fin ? FIN : 0);
  head.forEach((word, i) => view.setUint32(HEADER + i * 4, word));
  frame.set(rest, HEADER + head.length * 4 + pad);
  return frame;
}

const NOTHING = new Uint8Array(0);

export const synStreamFrame = (id: number, fin: boolean, block: Uint8Array) =>
  controlFrame(FRAME.synStream, fin, [id, 0], block, 2);
export const synReplyFrame = (id: number, block: Uint8Array) => controlFrame(FRAME.synReply, false, [id], block);
export const resetFrame = (id: number, status: number) => controlFrame(FRAME.reset, false, [id, status], NOTHING);
export const pingFrame = (id: number) => controlFrame(FRAME.ping, false, [id], NOTHING);
export const goAwayFrame = (lastStream: number) => controlFrame(FRAME.goAway, false, [lastStream, 0], NOTHING);

/** At most 16 MiB - 1 of data. */
export function dataFrame(id: number, chunk: Uint8Array, fin: boolean): Uint8Array {
  const frame = new Uint8Array(HEADER + chunk.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, id);
  view.setUint32(4, chunk.length);
  view.setUint8(4, fin ? FIN : 0);
  frame.set(chunk, HEADER);
  return frame;
}
