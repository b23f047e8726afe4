import { describe, expect, it } from 'vitest';
import type { StatusError } from './errors.ts';
import { applyJsonPatch } from './json-patch.ts';

const freeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
  return value;
};
const doc = freeze({ a: { b: [1, 2, 3] }, 'x/y': { '~': 1 } });

describe('operations', () => {
  it.each([
    [[{ op: 'add', path: '/a/b/1', value: 9 }], { a: { b: [1, 9, 2, 3] } }],
    [[{ op: 'add', path: '/a/b/-', value: 9 }], { a: { b: [1, 2, 3, 9] } }],
    [[{ op: 'add', path: '/a/b/3', value: 9 }], { a: { b: [1, 2, 3, 9] } }],
    [[{ op: 'add', path: '/a/c', value: { d: null } }], { a: { b: [1, 2, 3], c: { d: null } } }],
    [[{ op: 'remove', path: '/a/b/-1' }], { a: { b: [1, 2] } }],
    [[{ op: 'remove', path: '/x~1y/~0' }], { 'x/y': {} }],
    [
      [
        { op: 'replace', path: '/a', value: 1 },
        { op: 'test', path: '/a', value: 1 },
      ],
      { a: 1 },
    ],
    [[{ op: 'test', path: '/a/none', value: null }], {}],
    [[{ op: 'test', path: '/x~1y', value: { '~': 1 } }], {}],
    [[{ op: 'move', from: '/a/b', path: '/c' }], { a: {}, c: [1, 2, 3] }],
    [
      [
        { op: 'copy', from: '/a', path: '/c' },
        { op: 'add', path: '/c/b/0', value: 0 },
        { op: 'remove', path: '/a/b/0' },
      ],
      { a: { b: [2, 3] }, c: { b: [0, 1, 2, 3] } },
    ],
    [[{ op: 'replace', path: '', value: 5 }], 5],
  ])('%j', (patch, changes) => {
    const expected = typeof changes === 'object' ? { ...doc, ...changes } : changes;
    expect(applyJsonPatch(doc, freeze(patch))).toEqual(expected);
  });

  it('shares what it leaves alone', () => {
    const patched = applyJsonPatch(doc, [{ op: 'add', path: '/a/c', value: 1 }]) as typeof doc;
    expect(patched['x/y']).toBe(doc['x/y']);
    expect(patched.a.b).toBe(doc.a.b);
  });
});

describe('failures', () => {
  it.each([
    [{ op: 'test', path: '/a/b', value: [1] }, 'testing value /a/b failed: test failed'],
    [
      { op: 'replace', path: '/a/c', value: 1 },
      'replace operation does not apply: doc is missing key: /a/c: missing value',
    ],
    [
      { op: 'remove', path: '/a/c' },
      'remove operation does not apply: Unable to remove nonexistent key: c: missing value',
    ],
    [{ op: 'add', path: '/n/c', value: 1 }, 'add operation does not apply: doc is missing path: /n/c: missing value'],
    [{ op: 'add', path: '/a/b/4', value: 1 }, 'Unable to access invalid index: 4: invalid index referenced'],
    [{ op: 'copy', path: '/c', from: '/n' }, 'copy operation does not apply: doc is missing from path: /n'],
    [{ op: 'do', path: '/a' }, 'Unexpected kind: do'],
    [{ op: 'add', path: 'a', value: 1 }, 'invalid path "a"'],
  ])('%j', (operation, why) => {
    const error = (() => {
      try {
        return applyJsonPatch(doc, [operation]);
      } catch (error) {
        return error as StatusError;
      }
    })() as StatusError;
    expect([error.code, error.reason, error.cause]).toEqual([422, 'Invalid', why]);
    expect(error.message).toBe('the server rejected our request due to an error in our request');
  });

  it('refuses what is no patch, and too much of it', () => {
    expect(() => applyJsonPatch(doc, {})).toThrow('cannot unmarshal object into Go value of type jsonpatch.Patch');
    const many = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/n' }));
    expect(() => applyJsonPatch(doc, many)).toThrow(
      'The allowed maximum operations in a JSON patch is 10000, got 10001',
    );
  });

  it('refuses copies that double what is there again and again, at once', () => {
    const doubling = (times: number) => Array.from({ length: times }, () => ({ op: 'copy', from: '/a', path: '/a/-' }));
    expect(applyJsonPatch({ a: ['x'] }, doubling(3))).toEqual({
      a: ['x', ['x'], ['x', ['x']], ['x', ['x'], ['x', ['x']]]],
    });
    const rejected = expect.objectContaining({
      code: 422,
      cause: expect.stringMatching(/^Unable to complete the copy, .* exceeding the limit 3145728$/),
    });
    expect(() => applyJsonPatch({ a: ['x'] }, doubling(60))).toThrow(rejected);
    const large = Array.from({ length: 4 }, (_, i) => ({ op: 'copy', from: '/a', path: `/b${i}` }));
    expect(() => applyJsonPatch({ a: 'x'.repeat(1_000_000) }, large)).toThrow(rejected);
  });
});
