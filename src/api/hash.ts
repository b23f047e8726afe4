// Hashes Kubernetes puts into names and labels: FNV-1a, its safe alphabet, and the pod template hash.
// http://www.isthe.com/chongo/tech/comp/fnv/

import { SAFE_ALPHABET } from '../base/env.ts';

const encoder = new TextEncoder();
const bytesOf = (data: string | Uint8Array) => (typeof data === 'string' ? encoder.encode(data) : data);

const OFFSET_32 = 0x811c9dc5;
const PRIME_32 = 0x01000193;

/** FNV-1a, 32 bits, unsigned; text is hashed as UTF-8. `start` continues an earlier hash. */
export function fnv1a32(data: string | Uint8Array, start = OFFSET_32): number {
  let hash = start;
  for (const byte of bytesOf(data)) hash = Math.imul(hash ^ byte, PRIME_32);
  return hash >>> 0;
}

/** FNV-1a, 64 bits, unsigned; text is hashed as UTF-8. */
export function fnv1a64(data: string | Uint8Array): bigint {
  // The prime is 2^40 + 0x1b3: multiply in two halves of 32 bits.
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (const byte of bytesOf(data)) {
    low = (low ^ byte) >>> 0;
    const product = low * 0x1b3;
    high = (Math.imul(high, 0x1b3) + (low << 8) + Math.floor(product / 2 ** 32)) >>> 0;
    low = product >>> 0;
  }
  return (BigInt(high) << 32n) | BigInt(low);
}

/** Upstream's SafeEncodeString: each character replaced by one that is fine in a name and spells no words. */
export function safeEncode(text: string): string {
  let out = '';
  for (let i = 0; i < text.length; i++) out += SAFE_ALPHABET[text.charCodeAt(i) % SAFE_ALPHABET.length];
  return out;
}

/** JSON with sorted keys: equal values have equal text. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  let out = '';
  const object = value as Record<string, unknown>;
  for (const key of Object.keys(object).sort()) {
    const item = object[key];
    if (item !== undefined) out += `${out && ','}${JSON.stringify(key)}:${canonicalJson(item)}`;
  }
  return `{${out}}`;
}

/** The value of the `pod-template-hash` label: the template's content and the owner's collision count. */
export function templateHash(template: unknown, collisionCount?: number): string {
  let hash = fnv1a32(canonicalJson(template));
  if (collisionCount !== undefined) {
    const count = new Uint8Array(8);
    new DataView(count.buffer).setUint32(0, collisionCount, true);
    hash = fnv1a32(count, hash);
  }
  return safeEncode(String(hash));
}
