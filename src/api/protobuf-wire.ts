// The protobuf wire format: varints, lengths, tags. https://protobuf.dev/programming-guides/encoding/

/** The bytes are no protobuf. */
export class ProtobufError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtobufError';
  }
}

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The next field's number and wire type. */
  tag(): [number: number, wire: number] {
    const tag = this.varint();
    return [Math.floor(tag / 8), tag % 8];
  }

  /** A varint as a signed 64-bit number; exact up to 2^53. */
  varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new ProtobufError('unexpected EOF');
      const bits = byte & 0x7f;
      if (shift < 28) low += bits * 2 ** shift;
      else if (shift === 28) {
        low += (bits & 0x0f) * 2 ** 28;
        high += bits >>> 4;
      } else high += bits * 2 ** (shift - 32);
      if (byte < 0x80) return (high | 0) * 2 ** 32 + low;
    }
    throw new ProtobufError('proto: integer overflow');
  }

  bytes(): Uint8Array {
    const length = this.varint();
    const end = this.#at + length;
    if (length < 0 || end > this.#bytes.length) throw new ProtobufError('unexpected EOF');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  text(): string {
    return decoder.decode(this.bytes());
  }

  double(): number {
    const bytes = this.#take(8);
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
  }

  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === BYTES) this.bytes();
    else if (wire === FIXED64) this.#take(8);
    else if (wire === FIXED32) this.#take(4);
    else throw new ProtobufError(`proto: illegal wireType ${wire}`);
  }

  #take(length: number): Uint8Array {
    const bytes = this.#bytes.subarray(this.#at, (this.#at += length));
    if (bytes.length < length) throw new ProtobufError('unexpected EOF');
    return bytes;
  }
}

export class WireWriter {
  readonly #parts: Uint8Array[] = [];
  #open: number[] = [];

  varint(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) this.#open.push(Number(rest & 0x7fn) | 0x80);
    this.#open.push(Number(rest));
  }

  tag(number: number, wire: number): void {
    this.varint(number * 8 + wire);
  }

  double(value: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#raw(bytes);
  }

  /** A whole field of text, bytes or a message. */
  field(number: number, value: string | Uint8Array): void {
    const bytes = typeof value === 'string' ? encoder.encode(value) : value;
    this.tag(number, BYTES);
    this.varint(bytes.length);
    this.#raw(bytes);
  }

  /** A whole varint field. */
  number(number: number, value: number): void {
    this.tag(number, VARINT);
    this.varint(value);
  }

  #raw(bytes: Uint8Array): void {
    this.#parts.push(Uint8Array.from(this.#open), bytes);
    this.#open = [];
  }

  finish(): Uint8Array {
    this.#raw(new Uint8Array(0));
    const out = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}
