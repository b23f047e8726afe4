import { describe, expect, it } from 'vitest';
import { structOf } from './schema.ts';
import { applyStrategicMerge } from './strategic-merge.ts';

type Obj = Record<string, unknown>;
const merge = (type: string, original: Obj, patch: unknown) => {
  const before = JSON.stringify([original, patch]);
  const result = applyStrategicMerge(original, patch, structOf(type));
  expect(JSON.stringify([original, patch])).toBe(before);
  return result;
};
const pod = (original: Obj, patch: Obj) => merge('core.v1.PodSpec', original, patch);
const c = (name: string, rest: Obj = {}) => ({ name, ...rest });

describe('maps', () => {
  it('merges, deletes and replaces', () => {
    const original = { metadata: { labels: { a: '1', b: '2' }, name: 'x' } };
    expect(merge('core.v1.Pod', original, { metadata: { labels: { a: null, c: '3', d: null } } })).toEqual({
      metadata: { labels: { b: '2', c: '3' }, name: 'x' },
    });
    expect(merge('core.v1.Pod', original, { metadata: { labels: { $patch: 'replace', c: '3' } } })).toEqual({
      metadata: { labels: { c: '3' }, name: 'x' },
    });
    expect(merge('core.v1.Pod', original, { metadata: { labels: { $patch: 'delete' } } })).toEqual({
      metadata: { labels: {}, name: 'x' },
    });
  });

  it('keeps what $retainKeys names', () => {
    const original = { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } };
    const patch = { strategy: { $retainKeys: ['type'], type: 'Recreate' } };
    expect(merge('apps.v1.DeploymentSpec', original, patch)).toEqual({ strategy: { type: 'Recreate' } });
    expect(() => merge('apps.v1.DeploymentSpec', original, { strategy: { $retainKeys: ['type'], x: 1 } })).toThrow(
      'invalid patch format of retainKeys',
    );
  });

  it('cleans what it adds', () => {
    const patch = { strategy: { $retainKeys: ['type'], type: 'Recreate', rollingUpdate: null } };
    expect(merge('apps.v1.DeploymentSpec', {}, patch)).toEqual({ strategy: { type: 'Recreate' } });
    expect(pod({}, { containers: [c('a', { $patch: 'delete' }), c('b', { env: null })] })).toEqual({
      containers: [c('b')],
    });
  });
});

describe('lists of objects', () => {
  const original = { containers: [c('a', { image: '1', command: ['x'] }), c('b'), c('c')] };
  it('merge by key, new ones first', () => {
    expect(pod(original, { containers: [c('d'), c('a', { image: '2', command: ['y'] })] })).toEqual({
      containers: [c('d'), c('a', { image: '2', command: ['y'] }), c('b'), c('c')],
    });
  });

  it('delete and replace', () => {
    expect(pod(original, { containers: [c('b', { $patch: 'delete' })] })['containers']).toEqual([
      original.containers[0],
      c('c'),
    ]);
    expect(pod(original, { containers: [{ $patch: 'replace' }, c('z')] })['containers']).toEqual([c('z')]);
  });

  it('take the order they are told', () => {
    const patch = { '$setElementOrder/containers': [c('c'), c('n'), c('a')], containers: [c('n', { image: '1' })] };
    expect(pod(original, patch)['containers']).toEqual([
      c('b'),
      c('c'),
      c('n', { image: '1' }),
      original.containers[0],
    ]);
    expect(pod({}, patch)['containers']).toEqual([c('n', { image: '1' })]);
    const reorder = { '$setElementOrder/containers': [c('b'), c('a')] };
    expect((pod(original, reorder)['containers'] as Obj[]).map((x) => x['name'])).toEqual(['b', 'a', 'c']);
  });

  it('nest', () => {
    const env = (value: string) => ({
      containers: [c('a', { ports: [{ containerPort: 1, name: value }], env: [c('X', { value })] })],
    });
    expect(pod(env('1'), env('2'))).toEqual(env('2'));
  });

  it('refuse what has no key or an unknown directive', () => {
    expect(() => pod(original, { containers: [{ image: 'x' }] })).toThrow(
      'map: map[image:x] does not contain declared merge key: name',
    );
    expect(() => pod(original, { containers: [c('a', { $patch: 'x' })] })).toThrow('unknown patch type: x in map:');
  });

  it('replace where the schema says nothing of merging', () => {
    expect(pod({ tolerations: [{ key: 'a' }] }, { tolerations: [{ key: 'b' }] })).toEqual({
      tolerations: [{ key: 'b' }],
    });
  });
});

describe('lists of scalars', () => {
  const meta = (list: unknown, rest: Obj = {}) => ({ finalizers: list, ...rest });
  const apply = (original: Obj, patch: Obj) => merge('meta.v1.ObjectMeta', original, patch)['finalizers'];
  it('merge as sets, delete and order', () => {
    expect(apply(meta(['a', 'b']), meta(['b', 'c']))).toEqual(['a', 'b', 'c']);
    expect(apply(meta(['a', 'b', 'c']), { '$deleteFromPrimitiveList/finalizers': ['b'] })).toEqual(['a', 'c']);
    expect(apply(meta(['a', 'b']), meta(['c'], { '$setElementOrder/finalizers': ['c', 'b', 'a'] }))).toEqual([
      'c',
      'b',
      'a',
    ]);
    expect(
      apply(
        meta(['a', 'b']),
        meta(['c'], { '$deleteFromPrimitiveList/finalizers': ['a'], '$setElementOrder/finalizers': ['b', 'c'] }),
      ),
    ).toEqual(['b', 'c']);
    expect(apply(meta(['a']), { '$deleteFromPrimitiveList/finalizers': ['a'] })).toEqual([]);
  });

  it('refuse directives in a wrong form', () => {
    expect(() => apply(meta(['a']), { '$deleteFromPrimitiveList/finalizers': 'a' })).toThrow(
      'invalid patch format of primitive list',
    );
    expect(() => apply(meta(['a']), { '$setElementOrder/finalizers': 'a' })).toThrow(
      'invalid patch format of setElementOrder list',
    );
  });
});
