// Just enough DER (ITU-T X.690) to write certificates and read certificate requests.

const SEQUENCE = 0x30;
const SET = 0x31;

/** One element: tag, length, contents. */
function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const c of contents) length += c.length;
  const head = [tag];
  if (length < 0x80) head.push(length);
  else if (length < 0x100) head.push(0x81, length);
  else if (length < 0x10000) head.push(0x82, length >> 8, length & 0xff);
  else throw new Error(`DER element of ${length} bytes is too long`);
  return Buffer.concat([Buffer.from(head), ...contents]);
}

export const sequence = (...items: readonly Uint8Array[]) => tlv(SEQUENCE, ...items);
export const set = (...items: readonly Uint8Array[]) => tlv(SET, ...items);
export const octets = (contents: Uint8Array) => tlv(0x04, contents);
export const boolean = (value: boolean) => tlv(0x01, Buffer.from([value ? 0xff : 0]));
export const utf8 = (text: string) => tlv(0x0c, Buffer.from(text));
/** `[n]` constructed. */
export const explicit = (n: number, ...contents: readonly Uint8Array[]) => tlv(0xa0 | n, ...contents);
/** `[n]` primitive. */
export const implicit = (n: number, contents: Uint8Array) => tlv(0x80 | n, contents);

/** A non-negative integer from its big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  const trimmed = bytes.subarray(at);
  return trimmed[0]! & 0x80 ? tlv(0x02, Buffer.from([0]), trimmed) : tlv(0x02, trimmed);
}

export function bitString(contents: Uint8Array, unusedBits = 0): Buffer {
  return tlv(0x03, Buffer.from([unusedBits]), contents);
}

export function oid(dotted: string): Buffer {
  const parts = dotted.split('.').map(Number);
  const out = [parts[0]! * 40 + parts[1]!];
  for (const part of parts.slice(2)) {
    const digits = [part & 0x7f];
    for (let rest = Math.floor(part / 128); rest > 0; rest = Math.floor(rest / 128))
      digits.unshift((rest & 0x7f) | 0x80);
    out.push(...digits);
  }
  return tlv(0x06, Buffer.from(out));
}

/** UTCTime until 2049, GeneralizedTime after, as RFC 5280 wants it; whole seconds. */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return Number(digits.slice(0, 4)) < 2050 ? tlv(0x17, Buffer.from(digits.slice(2))) : tlv(0x18, Buffer.from(digits));
}

export interface Element {
  readonly tag: number;
  readonly contents: Buffer;
  /** The element with its tag and length. */
  readonly whole: Buffer;
}

/** The elements that stand one after the other in `bytes`. Throws when they are malformed. */
export function readAll(bytes: Buffer): Element[] {
  const out: Element[] = [];
  let at = 0;
  while (at < bytes.length) {
    const element = readAt(bytes, at);
    out.push(element);
    at += element.whole.length;
  }
  return out;
}

/** The only element of `bytes`, with the tag it must have. */
export function readOne(bytes: Buffer, tag: number): Element {
  const [element, more] = readAll(bytes);
  if (!element || more) throw new Error('asn1: structure error: one element expected');
  return expect(element, tag);
}

export function expect(element: Element | undefined, tag: number): Element {
  if (!element || element.tag !== tag) throw new Error('asn1: structure error: tags don’t match');
  return element;
}

function readAt(bytes: Buffer, at: number): Element {
  const tag = bytes[at]!;
  if ((tag & 0x1f) === 0x1f) throw new Error('asn1: syntax error: long tags are not used here');
  let length = bytes[at + 1];
  let start = at + 2;
  if (length === undefined) throw new Error('asn1: syntax error: truncated');
  if (length & 0x80) {
    const n = length & 0x7f;
    if (n === 0 || n > 3 || start + n > bytes.length) throw new Error('asn1: syntax error: bad length');
    length = bytes.readUIntBE(start, n);
    start += n;
  }
  if (start + length > bytes.length) throw new Error('asn1: syntax error: data truncated');
  return { tag, contents: bytes.subarray(start, start + length), whole: bytes.subarray(at, start + length) };
}

export function readOid(contents: Buffer): string {
  const parts: number[] = [];
  let value = 0;
  for (const byte of contents) {
    value = value * 128 + (byte & 0x7f);
    if (byte & 0x80) continue;
    parts.push(value);
    value = 0;
  }
  const first = parts.shift() ?? 0;
  const arc = Math.min(2, Math.floor(first / 40));
  return [arc, first - arc * 40, ...parts].join('.');
}

/** The text of any of ASN.1's string types. */
export function readText(element: Element): string {
  switch (element.tag) {
    case 0x0c: // UTF8String
      return element.contents.toString('utf8');
    case 0x13: // PrintableString
    case 0x14: // T61String
    case 0x16: // IA5String
      return element.contents.toString('latin1');
    case 0x1e: {
      // BMPString: UTF-16 big-endian
      if (element.contents.length % 2) throw new Error('asn1: syntax error: odd BMPString');
      return Buffer.from(element.contents).swap16().toString('utf16le');
    }
    default:
      throw new Error(`asn1: structure error: tag ${element.tag} is no text`);
  }
}
