import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  difference,
  EMPTY,
  intern,
  intersection,
  isFieldTree,
  pathsOf,
  recursiveDifference,
  union,
  type FieldTree,
} from './field-tree.ts';

const tree = (t: unknown) => t as FieldTree;
const a = tree({ 'f:m': { '.': {}, 'f:x': {}, 'f:y': {} }, 'f:s': { 'f:r': {} } });

describe('sets of paths', () => {
  it('print in upstream order', () => {
    const set = tree({
      'f:s': { 'f:c': { 'k:{"name":"a","port":1}': { '.': {}, 'f:i': {} }, 'v:"x"': {}, 'i:0': {} }, 'f:b': {} },
    });
    expect(pathsOf(set)).toEqual(['.s.b', '.s.c[0]', '.s.c[name="a",port=1]', '.s.c[="x"]', '.s.c[name="a",port=1].i']);
  });

  it('distinguish a node from what is below it', () => {
    expect(difference(a, tree({ 'f:m': {} }))).toEqual({ 'f:m': { 'f:x': {}, 'f:y': {} }, 'f:s': { 'f:r': {} } });
    expect(recursiveDifference(a, tree({ 'f:m': {} }))).toEqual({ 'f:s': { 'f:r': {} } });
    expect(intersection(a, tree({ 'f:m': {} }))).toEqual({ 'f:m': {} });
    expect(intersection(a, tree({ 'f:m': { 'f:x': {} } }))).toEqual({ 'f:m': { 'f:x': {} } });
    expect(union(tree({ 'f:m': {} }), tree({ 'f:m': { 'f:x': {} } }))).toEqual({ 'f:m': { '.': {}, 'f:x': {} } });
    expect(union(tree({ 'f:m': { 'f:x': {} } }), tree({ 'f:m': {} }))).toEqual({ 'f:m': { '.': {}, 'f:x': {} } });
    expect(difference(a, a)).toEqual({});
  });

  it('share what does not change', () => {
    expect(union(a, tree({ 'f:m': { 'f:x': {} } }))).toBe(a);
    expect(difference(a, tree({ 'f:z': {}, 'f:s': {} }))).toBe(a);
    expect(union(a, tree({ 'f:q': {} }))['f:m']).toBe(a['f:m']);
    expect(intern(tree({ 'f:a': {} }))).toBe(intern(tree({ 'f:a': {} })));
  });

  it('are recognised', () => {
    expect([a, {}, { 'f:a': 1 }, { a: {} }, [], null].map(isFieldTree)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it('behave like sets of texts', () => {
    const set = fc
      .array(fc.array(fc.constantFrom('f:a', 'f:b', 'v:1'), { minLength: 1, maxLength: 3 }), { maxLength: 5 })
      .map((paths) =>
        paths.reduce(
          (sum, path) =>
            union(
              sum,
              path.reduceRight<FieldTree>((t, e) => ({ [e]: t }), EMPTY),
            ),
          EMPTY,
        ),
      );
    const texts = (t: FieldTree) => new Set(pathsOf(t));
    fc.assert(
      fc.property(set, set, (x, y) => {
        expect(texts(union(x, y))).toEqual(texts(x).union(texts(y)));
        expect(texts(intersection(x, y))).toEqual(texts(x).intersection(texts(y)));
        expect(texts(difference(x, y))).toEqual(texts(x).difference(texts(y)));
      }),
      { seed: 1 },
    );
  });
});
