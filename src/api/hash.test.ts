import { expect, it } from 'vitest';
import { canonicalJson, fnv1a32, fnv1a64, safeEncode, templateHash } from './hash.ts';

// Vectors from the FNV reference distribution.
it('hashes the reference vectors', () => {
  expect([fnv1a32(''), fnv1a32('a'), fnv1a32('foobar')]).toEqual([0x811c9dc5, 0xe40c292c, 0xbf9cf968]);
  expect([fnv1a64(''), fnv1a64('a'), fnv1a64('foobar')]).toEqual([
    0xcbf29ce484222325n,
    0xaf63dc4c8601ec8cn,
    0x85944171f73967e8n,
  ]);
  expect(fnv1a32(new TextEncoder().encode('é'))).toBe(fnv1a32('é'));
});

it('encodes safely', () => {
  expect(safeEncode('0123456789')).toBe('456789bcdf');
});

it('hashes templates by content, whatever the key order', () => {
  const a = { spec: { containers: [{ name: 'a', image: 'b' }], x: undefined } };
  const b = { spec: { containers: [{ image: 'b', name: 'a' }] } };
  expect(canonicalJson(a)).toBe('{"spec":{"containers":[{"image":"b","name":"a"}]}}');
  expect(templateHash(a)).toBe(templateHash(b));
  expect(templateHash(a, 0)).not.toBe(templateHash(a));
  expect(templateHash(a, 1)).not.toBe(templateHash(a, 0));
  expect(templateHash(a)).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]+$/);
});
