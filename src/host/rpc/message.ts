// A protobuf codec driven by tables: a message is a value that names its fields with their numbers and kinds, and its
// TypeScript types follow from that table. It knows what the runtime's services use: varints, strings, bytes, nested
// messages, lists of them and string maps. Numbers of 64 bits lose precision above 2^53.
// https://protobuf.dev/programming-guides/encoding/

type Scalar = 'string' | 'bytes' | 'bool' | 'int' | 'strings' | 'ints' | 'map';
type FieldKind = Scalar | Message | readonly [Message];
export type Fields = Readonly<Record<string, readonly [number, FieldKind]>>;

/** What `encode` takes: every field may be missing. */
export type Encodable<F extends Fields> = { readonly [K in keyof F]?: EncodableKind<F[K][1]> | undefined };
/** What `decode` gives: scalars have their defaults, absent messages are undefined. */
export type Decoded<F extends Fields> = { readonly [K in keyof F]: DecodedKind<F[K][1]> };

interface ScalarTypes {
  string: string;
  bytes: Uint8Array;
  bool: boolean;
  int: number;
  strings: readonly string[];
  ints: readonly number[];
  map: Readonly<Record<string, string>>;
}
type EncodableKind<K> = K extends Scalar
  ? ScalarTypes[K]
  : K extends Message<infer F>
    ? Encodable<F>
    : K extends readonly [Message<infer F>]
      ? readonly Encodable<F>[]
      : never;
type DecodedKind<K> = K extends Scalar
  ? ScalarTypes[K]
  : K extends Message<infer F>
    ? Decoded<F> | undefined
    : K extends readonly [Message<infer F>]
      ? readonly Decoded<F>[]
      : never;

export interface Message<F extends Fields = Fields> {
  readonly fields: F;
  encode(value: Encodable<F>): Uint8Array;
  /** Skips fields it does not know. Throws a RangeError when the bytes end too early. */
  decode(bytes: Uint8Array): Decoded<F>;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

function pushVarint(out: number[], value: number): void {
  if (value < 0 || value > Number.MAX_SAFE_INTEGER) {
    let rest = BigInt.asUintN(64, BigInt(Math.trunc(value)));
    for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
    out.push(Number(rest));
    return;
  }
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) out.push((rest % 128) | 0x80);
  out.push(rest);
}

function varint(value: number): Uint8Array {
  const out: number[] = [];
  pushVarint(out, value);
  return Uint8Array.from(out);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function encodeField(parts: Uint8Array[], number: number, kind: FieldKind, value: unknown): void {
  const bytes = (data: Uint8Array) => parts.push(varint(number * 8 + BYTES), varint(data.length), data);
  const scalar = (data: number) => parts.push(varint(number * 8 + VARINT), varint(data));
  if (typeof kind !== 'string') {
    if ('encode' in kind) bytes(kind.encode(value as Encodable<Fields>));
    else for (const item of value as readonly Encodable<Fields>[]) bytes(kind[0].encode(item));
    return;
  }
  switch (kind) {
    case 'string':
      if (value !== '') bytes(utf8.encode(value as string));
      return;
    case 'bytes':
      if ((value as Uint8Array).length > 0) bytes(value as Uint8Array);
      return;
    case 'bool':
      if (value) scalar(1);
      return;
    case 'int':
      if (value !== 0) scalar(value as number);
      return;
    case 'strings':
      for (const item of value as readonly string[]) bytes(utf8.encode(item));
      return;
    case 'ints': {
      const out: number[] = [];
      for (const item of value as readonly number[]) pushVarint(out, item);
      if (out.length > 0) bytes(Uint8Array.from(out));
      return;
    }
    case 'map':
      for (const [key, item] of Object.entries(value as Record<string, string>)) {
        bytes(MapEntry.encode({ key, value: item }));
      }
  }
}

class Reader {
  private at = 0;
  private readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  private byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new RangeError('protobuf: the message ends inside a field');
    return byte;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    let big = BigInt(value);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      big |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, big));
    }
    throw new RangeError('protobuf: a number longer than ten bytes');
  }

  take(length: number): Uint8Array {
    if (this.at + length > this.bytes.length) throw new RangeError('protobuf: the message ends inside a field');
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }

  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === FIXED64) this.take(8);
    else if (wire === BYTES) this.take(this.varint());
    else if (wire === FIXED32) this.take(4);
    else throw new RangeError(`protobuf: wire type ${wire} is not supported`);
  }
}

function initial(kind: FieldKind): unknown {
  if (typeof kind !== 'string') return 'encode' in kind ? undefined : [];
  switch (kind) {
    case 'string':
      return '';
    case 'bytes':
      return new Uint8Array();
    case 'bool':
      return false;
    case 'int':
      return 0;
    case 'map':
      return {};
    default:
      return [];
  }
}

function decodeField(reader: Reader, wire: number, kind: FieldKind, before: unknown): unknown {
  if (wire === VARINT) {
    const value = reader.varint();
    if (kind === 'bool') return value !== 0;
    if (kind === 'int') return value;
    if (kind === 'ints') (before as number[]).push(value);
    return before;
  }
  if (wire !== BYTES) {
    reader.skip(wire);
    return before;
  }
  const bytes = reader.take(reader.varint());
  if (typeof kind !== 'string') {
    if ('encode' in kind) return kind.decode(bytes);
    (before as unknown[]).push(kind[0].decode(bytes));
  } else if (kind === 'string') return fromUtf8.decode(bytes);
  else if (kind === 'bytes') return bytes;
  else if (kind === 'strings') (before as string[]).push(fromUtf8.decode(bytes));
  else if (kind === 'ints') {
    for (const packed = new Reader(bytes); !packed.done;) (before as number[]).push(packed.varint());
  } else if (kind === 'map') {
    const entry = MapEntry.decode(bytes);
    (before as Record<string, string>)[entry.key] = entry.value;
  }
  return before;
}

/** Makes a message of its table: `message({ name: [1, 'string'], owner: [2, Owner], parts: [3, [Part]] })`. */
export function message<const F extends Fields>(fields: F): Message<F> {
  const byNumber = new Map(Object.entries(fields).map(([name, [number, kind]]) => [number, { name, kind }]));
  return {
    fields,
    encode(value) {
      const parts: Uint8Array[] = [];
      for (const name in fields) {
        const item = value[name];
        if (item !== undefined) encodeField(parts, fields[name]![0], fields[name]![1], item);
      }
      return concat(parts);
    },
    decode(bytes) {
      const value: Record<string, unknown> = {};
      for (const name in fields) value[name] = initial(fields[name]![1]);
      for (const reader = new Reader(bytes); !reader.done;) {
        const tag = reader.varint();
        const field = byNumber.get(Math.floor(tag / 8));
        if (field) value[field.name] = decodeField(reader, tag % 8, field.kind, value[field.name]);
        else reader.skip(tag % 8);
      }
      return value as Decoded<F>;
    },
  };
}

const MapEntry = message({ key: [1, 'string'], value: [2, 'string'] });

/** google.protobuf.Any */
export const Any = message({ typeUrl: [1, 'string'], value: [2, 'bytes'] });
export const Empty = message({});
