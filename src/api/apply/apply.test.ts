import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StatusError } from '../errors.ts';
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts';
import { Deployment } from '../kinds/apps/deployment.ts';
import { ConfigMap } from '../kinds/core/config-map.ts';
import { Service } from '../kinds/core/service.ts';
import type { AnyKind } from '../kind.ts';
import type { KubeObject } from '../object.ts';
import { decodeKind } from '../typed.ts';
import { applyPatch, type ApplyOptions } from './apply.ts';
import { LAST_APPLIED } from './last-applied.ts';
import { trackUpdate } from './track.ts';

type Obj = Record<string, unknown>;
const T0 = Date.UTC(2026, 0, 1);
const of = (kind: AnyKind, body: object) => ({ apiVersion: kind.apiVersion, kind: kind.kind, ...body });
const cm = (data: object | undefined, metadata: object = {}) =>
  of(ConfigMap, { metadata: { name: 'a', ...metadata }, ...(data ? { data } : {}) });

/** Applies and decodes, as a registry does. */
function apply(
  kind: AnyKind,
  live: KubeObject | undefined,
  config: unknown,
  manager: string,
  more: Partial<ApplyOptions> = {},
): KubeObject {
  const { object } = applyPatch(live, config, { kind, manager, now: T0, ...more });
  return decodeKind<KubeObject>(kind, object).object;
}
function update(kind: AnyKind, live: KubeObject | undefined, value: object, manager: string): KubeObject {
  const { object } = decodeKind<KubeObject>(kind, value);
  const managedFields = trackUpdate(live, object, { kind, manager, now: T0 });
  if (managedFields) object.metadata.managedFields = managedFields;
  return object;
}
const data = (object: KubeObject) => (object as unknown as { data?: Obj }).data;
const owned = (object: KubeObject) =>
  Object.fromEntries((object.metadata.managedFields as ManagedFieldsEntry[]).map((e) => [e.manager, e.fieldsV1]));
function failure(run: () => unknown): StatusError {
  try {
    run();
  } catch (error) {
    return error as StatusError;
  }
  throw new Error('nothing was thrown');
}

describe('owning fields', () => {
  it('creates, and owns what the configuration names', () => {
    const object = apply(ConfigMap, undefined, cm({ a: '1' }, { labels: { x: 'y' } }), 'me');
    expect(object).toEqual({
      ...cm({ a: '1' }, { labels: { x: 'y' } }),
      metadata: {
        name: 'a',
        labels: { x: 'y' },
        managedFields: [
          {
            manager: 'me',
            operation: 'Apply',
            apiVersion: 'v1',
            time: '2026-01-01T00:00:00Z',
            fieldsType: 'FieldsV1',
            fieldsV1: { 'f:data': { 'f:a': {} }, 'f:metadata': { 'f:labels': { 'f:x': {} } } },
          },
        ],
      },
    });
  });

  it('shares fields that agree and drops what nobody applies any more', () => {
    let object = apply(ConfigMap, undefined, cm({ a: '1', b: '1' }), 'me');
    object = apply(ConfigMap, object, cm({ a: '1', c: '1' }), 'you');
    expect(owned(object)).toEqual({
      me: { 'f:data': { 'f:a': {}, 'f:b': {} } },
      you: { 'f:data': { 'f:a': {}, 'f:c': {} } },
    });
    object = apply(ConfigMap, object, cm({}), 'me');
    expect(data(object)).toEqual({ a: '1', c: '1' });
    object = apply(ConfigMap, object, cm(undefined), 'you');
    expect(data(object)).toBeUndefined();
    expect(object.metadata.managedFields).toEqual([
      expect.objectContaining({ manager: 'me', fieldsV1: { 'f:data': {} } }),
    ]);
  });

  it('keeps what an updater wrote into what an applier gives up', () => {
    let object = apply(ConfigMap, undefined, cm({ a: '1', b: '1' }), 'me');
    object = update(ConfigMap, object, { ...object, data: { a: '2', b: '1', c: '1' } }, 'editor');
    object = apply(ConfigMap, object, cm({ b: '1' }), 'me', { force: true });
    expect(data(object)).toEqual({ a: '2', b: '1', c: '1' });
  });

  it('changes nothing when it applies the same again', () => {
    const config = cm({ a: '1' });
    const object = apply(ConfigMap, undefined, config, 'me');
    const again = applyPatch(object, config, { kind: ConfigMap, manager: 'me', now: T0 + 60_000 });
    expect(again.changed).toBe(false);
    expect(again.managedFields).toEqual(object.metadata.managedFields);
  });
});

describe('conflicts', () => {
  const live = update(ConfigMap, undefined, cm({ a: '1', b: '1' }), 'editor');

  it('name field and manager', () => {
    const one = failure(() => apply(ConfigMap, live, cm({ a: '2' }), 'me'));
    expect([one.code, one.reason, one.message]).toEqual([
      409,
      'Conflict',
      'Apply failed with 1 conflict: conflict with "editor" using v1: .data.a',
    ]);
    expect(one.details).toEqual({
      causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "editor" using v1', field: '.data.a' }],
    });
    const both = apply(ConfigMap, live, cm({ c: '1' }), 'other');
    expect(failure(() => apply(ConfigMap, both, cm({ a: '2', b: '2', c: '2' }), 'me')).message).toBe(
      'Apply failed with 3 conflicts: conflicts with "editor" using v1:\n- .data.a\n- .data.b\nconflicts with "other":\n- .data.c',
    );
  });

  it('are overruled by force', () => {
    const object = apply(ConfigMap, live, cm({ a: '2' }), 'me', { force: true });
    expect(data(object)).toEqual({ a: '2', b: '1' });
    expect(owned(object)).toEqual({ editor: { 'f:data': { '.': {}, 'f:b': {} } }, me: { 'f:data': { 'f:a': {} } } });
  });

  it('do not arise from equal values, nor between the writes of one applier', () => {
    expect(owned(apply(ConfigMap, live, cm({ a: '1' }), 'me'))).toMatchObject({ editor: { 'f:data': { 'f:a': {} } } });
    const mine = apply(ConfigMap, undefined, cm({ a: '1' }), 'me');
    expect(data(apply(ConfigMap, mine, cm({ a: '2' }), 'me'))).toEqual({ a: '2' });
  });

  it('meet an object that was never tracked', () => {
    const { metadata, ...rest } = live;
    const { managedFields: _, ...plain } = metadata;
    const untracked = { ...rest, metadata: plain } as KubeObject;
    expect(failure(() => apply(ConfigMap, untracked, cm({ a: '2' }), 'me')).message).toBe(
      'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a',
    );
  });

  it('give way to kubectl where its client-side apply wrote', () => {
    const annotation = (object: object) => ({ annotations: { [LAST_APPLIED]: JSON.stringify(object) } });
    const csa = update(
      ConfigMap,
      undefined,
      cm({ a: '1', b: '1' }, annotation(cm({ a: '1' }))),
      'kubectl-client-side-apply',
    );
    const object = apply(ConfigMap, csa, cm({ a: '2' }), 'kubectl');
    expect(data(object)).toEqual({ a: '2', b: '1' });
    expect(JSON.parse(object.metadata.annotations![LAST_APPLIED]!)).toEqual(cm({ a: '2' }));
    expect(failure(() => apply(ConfigMap, csa, cm({ a: '2', b: '2' }), 'kubectl')).message).toContain('1 conflict:');
    expect(failure(() => apply(ConfigMap, csa, cm({ a: '2' }), 'me')).code).toBe(409);
  });
});

describe('lists', () => {
  const c = (name: string, more: object = {}) => ({ name, ...more });
  const deployment = (containers: object[]) =>
    of(Deployment, { metadata: { name: 'a' }, spec: { selector: {}, template: { spec: { containers } } } });
  const names = (object: KubeObject) =>
    (object as unknown as { spec: { template: { spec: { containers: Obj[] } } } }).spec.template.spec.containers.map(
      (x) => x['name'],
    );

  it('merge by key in the order applied, and lose items no longer applied', () => {
    let object = apply(Deployment, undefined, deployment([c('a', { image: '1' }), c('b')]), 'me');
    object = apply(Deployment, object, deployment([c('x', { image: '1' }), c('b', { image: '2' })]), 'you');
    expect(names(object)).toEqual(['a', 'x', 'b']);
    object = apply(Deployment, object, deployment([c('b')]), 'me');
    expect(names(object)).toEqual(['x', 'b']);
    object = apply(Deployment, object, deployment([c('b'), c('x')]), 'me');
    expect(names(object)).toEqual(['b', 'x']);
  });

  it('use default keys, sets by value, and atomic ones as a whole', () => {
    const service = (ports: object[], more: object = {}) =>
      of(Service, { metadata: { name: 'a' }, spec: { ports, ...more } });
    let object = apply(Service, undefined, service([{ port: 80 }, { port: 80, protocol: 'UDP', name: 'u' }]), 'me');
    object = apply(Service, object, service([{ port: 80, protocol: 'TCP', name: 't' }]), 'you');
    expect((object as unknown as { spec: { ports: Obj[] } }).spec.ports).toEqual([
      { port: 80, protocol: 'TCP', name: 't', targetPort: 0 },
      { port: 80, protocol: 'UDP', name: 'u', targetPort: 0 },
    ]);
    const finalizers = (list: string[]) => cm(undefined, { finalizers: list });
    let map = apply(ConfigMap, undefined, finalizers(['x/a', 'x/b']), 'me');
    map = apply(ConfigMap, map, finalizers(['x/c', 'x/b']), 'you');
    expect(map.metadata.finalizers).toEqual(['x/a', 'x/c', 'x/b']);
    expect(owned(map)['you']).toEqual({ 'f:metadata': { 'f:finalizers': { 'v:"x/b"': {}, 'v:"x/c"': {} } } });
    map = apply(ConfigMap, map, finalizers(['x/b']), 'me');
    expect(map.metadata.finalizers).toEqual(['x/c', 'x/b']);
    const selector = (labels: object) => service([], { selector: labels });
    const atomic = apply(Service, apply(Service, undefined, selector({ a: '1' }), 'me'), selector({ b: '1' }), 'you', {
      force: true,
    });
    expect((atomic as unknown as { spec: Obj }).spec['selector']).toEqual({ b: '1' });
  });
});

describe('configurations that cannot be applied', () => {
  const spec = (value: object) => of(Deployment, { metadata: { name: 'a', namespace: 'n' }, spec: value });
  it.each([
    [
      spec({ foo: 1 }),
      500,
      'failed to create typed patch object (n/a; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema',
    ],
    [
      spec({ foo: 1, template: { spec: { containers: [{ name: 'a' }, { name: 'a' }, { image: 'x' }] } } }),
      500,
      'failed to create typed patch object (n/a; apps/v1, Kind=Deployment): errors:\n  .spec.foo: field not declared in schema\n' +
        '  .spec.template.spec.containers: duplicate entries for key [name="a"]\n' +
        '  .spec.template.spec.containers: element 2: associative list with keys has an element that omits all key fields ["name"]',
    ],
    [{ apiVersion: 'v1', kind: 'Pod' }, 400, 'invalid object type: v1, Kind=Pod'],
    [of(Deployment, { metadata: { name: 'a', managedFields: [{}] } }), 400, 'metadata.managedFields must be nil'],
    ['x', 400, 'error decoding YAML'],
  ])('%j', (config, code, message) => {
    const error = failure(() => apply(Deployment, undefined, config, 'me'));
    expect([error.code, error.message.slice(0, message.length)]).toEqual([code, message]);
  });

  it('leaves out what the endpoint cannot change', () => {
    const config = of(Deployment, { metadata: { name: 'a' }, spec: { replicas: 1 }, status: { replicas: 1 } });
    const object = apply(Deployment, undefined, config, 'me', { reset: { 'f:status': {} } });
    expect(owned(object)).toEqual({ me: { 'f:spec': { 'f:replicas': {} } } });
  });
});

// Random configurations of a few managers.
const strings = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2'));
const container = fc.record(
  {
    name: fc.constantFrom('x', 'y', 'z'),
    image: fc.constantFrom('1', '2'),
    env: fc.uniqueArray(fc.record({ name: fc.constantFrom('e', 'f'), value: fc.constantFrom('1', '2') }), {
      selector: (e) => e.name,
    }),
  },
  { requiredKeys: ['name'] },
);
const config = fc
  .tuple(strings, fc.uniqueArray(container, { selector: (c) => c.name, minLength: 1, maxLength: 3 }), strings)
  .map(([labels, containers, selector]) =>
    of(Deployment, {
      metadata: { name: 'a', labels },
      spec: { template: { spec: { containers, nodeSelector: selector } } },
    }),
  );
const step = fc.tuple(fc.constantFrom('m1', 'm2', 'm3'), config);

it('applying is idempotent, and one alone owns and gives back everything', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 5 }), (steps) => {
      let live: KubeObject | undefined;
      for (const [manager, config] of steps) live = apply(Deployment, live, config, manager, { force: true });
      const [manager, config] = steps.at(-1)!;
      const again = applyPatch(live, config, { kind: Deployment, manager, now: T0 + 1000 });
      expect(again.changed).toBe(false);
      expect(decodeKind(Deployment, again.object).object).toEqual(live);
      // When all managers give everything up, nothing they made is left.
      const empty = of(Deployment, { metadata: { name: 'a' } });
      for (const name of new Set(steps.map(([m]) => m))) live = apply(Deployment, live, empty, name);
      expect(live).toEqual(decodeKind(Deployment, empty).object);
    }),
    { seed: 1, numRuns: 60 },
  );
});
