// The names and values in SPDY header blocks, and the dictionary their compression starts from.
// https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/#TOC-2.6.10-Name-Value-Header-Block

import { SpdyError } from './spdy-frames.ts';

const WORDS =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow ' +
  'authorization cache-control connection content-base content-encoding content-language content-length ' +
  'content-location content-md5 content-range content-type date etag expect expires from host if-match ' +
  'if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma ' +
  'proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade ' +
  'user-agent vary via warning www-authenticate method get status';

const TAIL =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized' +
  '403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable' +
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,' +
  'text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

const encoder = new TextEncoder();
const sized = (word: string) => `\0\0\0${String.fromCharCode(word.length)}${word}`;

function makeDictionary(): Uint8Array {
  const more = `${sized('200 OK')}${sized('version')}${sized('HTTP/1.1')}${sized('url')}${sized('public')}`;
  const last = `${sized('set-cookie')}${sized('keep-alive')}${sized('origin')}`;
  return encoder.encode(WORDS.split(' ').map(sized).join('') + more + last + TAIL);
}

export const SPDY_DICTIONARY: Uint8Array = makeDictionary();

function adler32(bytes: Uint8Array): number {
  let [a, b] = [1, 0];
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return ((b << 16) | a) >>> 0;
}

/** Header blocks in one direction of one connection: a zlib stream that begins with the first of them. */
export class HeaderWriter {
  #begun = false;

  /** Names must be in lower case; at most 64 KiB in all. */
  encode(headers: Readonly<Record<string, string>>): Uint8Array {
    const block = plainBlock(headers);
    const start = this.#begun ? [] : zlibHead();
    this.#begun = true;
    const [low, high] = [block.length & 0xff, block.length >> 8];
    const stored = [0, low, high, low ^ 0xff, high ^ 0xff];
    // An empty stored block is what readers take for the end of a flush.
    return Uint8Array.from([...start, ...stored, ...block, 0, 0, 0, 0xff, 0xff]);
  }
}

/** Deflate with a 32 KiB window, starting from the dictionary. */
function zlibHead(): number[] {
  const id = adler32(SPDY_DICTIONARY);
  return [0x78, 0x20, id >>> 24, (id >>> 16) & 0xff, (id >>> 8) & 0xff, id & 0xff];
}

function plainBlock(headers: Readonly<Record<string, string>>): Uint8Array {
  const texts = Object.entries(headers)
    .flat()
    .map((text) => encoder.encode(text));
  let length = 4;
  for (const text of texts) length += 4 + text.length;
  const block = new Uint8Array(length);
  const view = new DataView(block.buffer);
  view.setUint32(0, texts.length / 2);
  let at = 4;
  for (const text of texts) {
    view.setUint32(at, text.length);
    block.set(text, at + 4);
    at += 4 + text.length;
  }
  return block;
}

/** Repeated headers give their first value. Throws SpdyError when the block is malformed. */
export function parseHeaders(block: Uint8Array): ReadonlyMap<string, string> {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const decoder = new TextDecoder();
  const out = new Map<string, string>();
  let at = 0;
  const word = () => {
    if (at + 4 > block.length) throw new SpdyError('header block is too short');
    at += 4;
    return view.getUint32(at - 4);
  };
  const text = () => {
    const length = word();
    if (at + length > block.length) throw new SpdyError('header block is too short');
    at += length;
    return decoder.decode(block.subarray(at - length, at));
  };
  for (let left = word(); left > 0; left--) {
    const name = text().toLowerCase();
    out.set(name, text().split('\0')[0]!);
  }
  return out;
}
