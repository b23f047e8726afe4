// WebSocket frames, both ways and free of any connection: cutting them out of a stream of bytes and making them.
// Payloads are handed on as they arrive, so that a message of any length needs no memory.
// https://www.rfc-editor.org/rfc/rfc6455#section-5

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export const CLOSE = { normal: 1000, goingAway: 1001, protocol: 1002, tooLarge: 1009, internal: 1011 } as const;
/** Stands for a close frame without a code. */
const NO_CODE = 1005;

/** What the other side did wrong; `code` goes into the close frame. */
export class WebSocketError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'WebSocketError';
    this.code = code;
  }
}

/** A piece of a message. `first` and `last` tell where the message begins and ends; the last piece may be empty. */
export interface MessagePiece {
  readonly type: 'data';
  readonly text: boolean;
  readonly chunk: Uint8Array;
  readonly first: boolean;
  readonly last: boolean;
}

export type FrameEvent =
  | MessagePiece
  | { readonly type: 'ping' | 'pong'; readonly payload: Uint8Array }
  | { readonly type: 'close'; readonly code: number; readonly reason: string };

export interface ReaderOptions {
  /** Whether frames must be masked (those of clients) or must not be (those of servers). */
  readonly masked: boolean;
  /** Bytes a message may have. */
  readonly maxMessage: number;
}

const NOTHING = new Uint8Array(0);
const MAX_CONTROL = 125;

/** Unmasks in place, so it owns the chunks it is fed. */
export class WebSocketReader {
  readonly #options: ReaderOptions;
  /** The header under way: at most 14 bytes. */
  readonly #header = new Uint8Array(14);
  #headerLength = 0;
  #inPayload = false;
  #opcode = 0;
  #fin = false;
  #remaining = 0;
  #maskAt = 0;
  #masked = false;
  #control: Uint8Array = NOTHING;
  #controlLength = 0;
  /** The message under way. */
  #message: { readonly text: boolean; first: boolean; length: number } | undefined;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** The events that are complete with this chunk. Throws WebSocketError; after that it cannot go on. */
  *read(chunk: Uint8Array): Generator<FrameEvent, void, undefined> {
    let at = 0;
    while (at < chunk.length || (this.#inPayload && this.#remaining === 0)) {
      if (!this.#inPayload) {
        at = this.#readHeader(chunk, at);
        continue;
      }
      const piece = chunk.subarray(at, at + this.#remaining);
      at += piece.length;
      this.#unmask(piece);
      this.#remaining -= piece.length;
      const done = this.#remaining === 0;
      if (done) this.#inPayload = false;
      const event = this.#opcode >= OPCODE.close ? this.#controlPiece(piece, done) : this.#dataPiece(piece, done);
      if (event) yield event;
    }
  }

  #readHeader(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length) {
      this.#header[this.#headerLength++] = chunk[at++]!;
      if (this.#headerLength >= 2 && this.#headerLength === this.#headerSize()) {
        this.#begin();
        break;
      }
    }
    return at;
  }

  #headerSize(): number {
    const second = this.#header[1]!;
    const length = second & 0x7f;
    return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (second & 0x80 ? 4 : 0);
  }

  #begin(): void {
    const header = this.#header;
    const view = new DataView(header.buffer);
    const [first, second] = [header[0]!, header[1]!];
    this.#fin = (first & 0x80) !== 0;
    this.#opcode = first & 0x0f;
    this.#masked = (second & 0x80) !== 0;
    const short = second & 0x7f;
    const length = short === 127 ? Number(view.getBigUint64(2)) : short === 126 ? view.getUint16(2) : short;
    if (first & 0x70) throw new WebSocketError(CLOSE.protocol, 'reserved bits are set');
    if (this.#masked !== this.#options.masked) throw new WebSocketError(CLOSE.protocol, 'bad mask');
    if (this.#opcode >= OPCODE.close) this.#beginControl(length);
    else this.#beginData(length);
    this.#remaining = length;
    this.#maskAt = 0;
    this.#inPayload = true;
    if (this.#masked) header.copyWithin(0, this.#headerLength - 4, this.#headerLength);
    this.#headerLength = 0;
  }

  #beginControl(length: number): void {
    if (this.#opcode > OPCODE.pong) throw new WebSocketError(CLOSE.protocol, `unknown opcode ${this.#opcode}`);
    if (!this.#fin) throw new WebSocketError(CLOSE.protocol, 'control frame in pieces');
    if (length > MAX_CONTROL) throw new WebSocketError(CLOSE.protocol, 'control frame too long');
    this.#control = new Uint8Array(length);
    this.#controlLength = 0;
  }

  #beginData(length: number): void {
    if (this.#opcode > OPCODE.binary) throw new WebSocketError(CLOSE.protocol, `unknown opcode ${this.#opcode}`);
    const goesOn = this.#opcode === OPCODE.continuation;
    if (goesOn !== (this.#message !== undefined)) {
      throw new WebSocketError(CLOSE.protocol, goesOn ? 'continuation of no message' : 'message within a message');
    }
    this.#message ??= { text: this.#opcode === OPCODE.text, first: true, length: 0 };
    this.#message.length += length;
    if (this.#message.length > this.#options.maxMessage) throw new WebSocketError(CLOSE.tooLarge, 'message too long');
  }

  #unmask(piece: Uint8Array): void {
    if (!this.#masked) return;
    const mask = this.#header;
    let at = this.#maskAt;
    for (let i = 0; i < piece.length; i++) piece[i] = piece[i]! ^ mask[at++ & 3]!;
    this.#maskAt = at & 3;
  }

  #controlPiece(piece: Uint8Array, done: boolean): FrameEvent | undefined {
    this.#control.set(piece, this.#controlLength);
    this.#controlLength += piece.length;
    if (!done) return undefined;
    const payload = this.#control;
    if (this.#opcode !== OPCODE.close) return { type: this.#opcode === OPCODE.ping ? 'ping' : 'pong', payload };
    if (payload.length === 0) return { type: 'close', code: NO_CODE, reason: '' };
    const code = payload.length === 1 ? 0 : (payload[0]! << 8) | payload[1]!;
    if (!mayBeSent(code)) throw new WebSocketError(CLOSE.protocol, 'bad close code');
    return { type: 'close', code, reason: new TextDecoder().decode(payload.subarray(2)) };
  }

  #dataPiece(chunk: Uint8Array, done: boolean): FrameEvent | undefined {
    const message = this.#message!;
    const last = done && this.#fin;
    if (chunk.length === 0 && !last) return undefined;
    const { text, first } = message;
    if (last) this.#message = undefined;
    else message.first = false;
    return { type: 'data', text, chunk, first, last };
  }
}

function mayBeSent(code: number): boolean {
  return (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
}

/** One complete frame whose payload is `parts` joined. With `mask` (4 bytes) it is a client's. */
export function encodeFrame(opcode: number, parts: readonly Uint8Array[], mask?: Uint8Array): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const extended = length > 0xffff ? 8 : length > MAX_CONTROL ? 2 : 0;
  const start = 2 + extended + (mask ? 4 : 0);
  const frame = new Uint8Array(start + length);
  frame[0] = 0x80 | opcode;
  frame[1] = (mask ? 0x80 : 0) | (extended === 8 ? 127 : extended === 2 ? 126 : length);
  const view = new DataView(frame.buffer);
  if (extended === 2) view.setUint16(2, length);
  else if (extended === 8) view.setBigUint64(2, BigInt(length));
  if (mask) frame.set(mask, 2 + extended);
  let at = start;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  if (mask) for (let i = 0; i < length; i++) frame[start + i] = frame[start + i]! ^ mask[i & 3]!;
  return frame;
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: string): Uint8Array {
  const text = new TextEncoder().encode(reason).subarray(0, MAX_CONTROL - 2);
  const payload = new Uint8Array(2 + text.length);
  payload[0] = code >> 8;
  payload[1] = code & 0xff;
  payload.set(text, 2);
  return payload;
}
