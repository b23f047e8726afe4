import { describe, expect, it } from 'vitest';
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts';
import { Deployment } from '../kinds/apps/deployment.ts';
import { ConfigMap } from '../kinds/core/config-map.ts';
import { Pod } from '../kinds/core/pod.ts';
import type { AnyKind } from '../kind.ts';
import type { KubeObject } from '../object.ts';
import { decodeKind } from '../typed.ts';
import { managerOfUserAgent, settledManagedFields } from './managers.ts';
import { trackUpdate, type ManagerOptions } from './track.ts';

const T0 = Date.UTC(2026, 0, 1);
const at = (s: number) => T0 + s * 1000;
const make = (kind: AnyKind, value: object) => decodeKind<KubeObject>(kind, value).object;
const options = (
  kind: AnyKind,
  manager: string,
  seconds: number,
  more: Partial<ManagerOptions> = {},
): ManagerOptions => ({
  kind,
  manager,
  now: at(seconds),
  ...more,
});
/** Writes like a registry would: tracks, and stores the result. */
function write(
  kind: AnyKind,
  live: KubeObject | undefined,
  value: object,
  manager: string,
  s: number,
  more = {},
): KubeObject {
  const updated = make(kind, value);
  const managedFields = trackUpdate(live, updated, options(kind, manager, s, more));
  const { managedFields: _, ...metadata } = updated.metadata;
  return { ...updated, metadata: managedFields ? { ...metadata, managedFields } : metadata };
}
const entries = (object: KubeObject) => object.metadata.managedFields as ManagedFieldsEntry[] | undefined;
const map = (data: object, more: object = {}) => ({ metadata: { name: 'a', uid: 'u', ...more }, data });

describe('create', () => {
  it('gives the creator all fields but identity, as upstream writes them', () => {
    const object = write(
      Deployment,
      undefined,
      {
        metadata: { name: 'a', namespace: 'n', labels: { app: 'a' } },
        spec: {
          replicas: 1,
          selector: { matchLabels: { app: 'a' } },
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } },
          template: {
            metadata: { labels: { app: 'a' } },
            spec: {
              containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }] }],
              securityContext: {},
              volumes: [{ name: 'v', emptyDir: {} }],
            },
          },
        },
      },
      'kubectl-create',
      1,
    );
    expect(entries(object)).toEqual([
      {
        manager: 'kubectl-create',
        operation: 'Update',
        apiVersion: 'apps/v1',
        time: '2026-01-01T00:00:01Z',
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
          'f:spec': {
            'f:replicas': {},
            'f:selector': {},
            'f:strategy': { 'f:rollingUpdate': { '.': {}, 'f:maxSurge': {} }, 'f:type': {} },
            'f:template': {
              'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
              'f:spec': {
                'f:containers': {
                  'k:{"name":"c"}': {
                    '.': {},
                    'f:image': {},
                    'f:name': {},
                    'f:ports': {
                      '.': {},
                      'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} },
                    },
                    'f:resources': {},
                  },
                },
                'f:securityContext': {},
                'f:volumes': { '.': {}, 'k:{"name":"v"}': { '.': {}, 'f:emptyDir': {}, 'f:name': {} } },
              },
            },
          },
        },
      },
    ]);
  });

  it('shares one set between objects of one shape', () => {
    const pod = (name: string) => ({
      metadata: { name, labels: { a: name } },
      spec: { containers: [{ name: 'c', image: name }] },
    });
    const [a, b] = ['a', 'b'].map((name) => write(Pod, undefined, pod(name), 'x', 1));
    expect(entries(a!)![0]!.fieldsV1).toBe(entries(b!)![0]!.fieldsV1);
  });
});

describe('update', () => {
  const created = write(ConfigMap, undefined, map({ a: '1', b: '1' }), 'one', 1);

  it('moves changed fields to the writer, forgets removed ones, keeps the rest', () => {
    const updated = write(ConfigMap, created, map({ a: '2', c: '1' }), 'two', 2);
    expect(entries(updated)).toMatchObject([
      { manager: 'one', time: '2026-01-01T00:00:01Z' },
      { manager: 'two', time: '2026-01-01T00:00:02Z', fieldsV1: { 'f:data': { 'f:a': {}, 'f:c': {} } } },
    ]);
    expect(entries(updated)![0]!.fieldsV1).toEqual({ 'f:data': {} });
    const again = write(ConfigMap, updated, map({ a: '3', c: '1' }), 'one', 3);
    expect(entries(again)!.map((e) => [e.manager, e.time?.slice(17), e.fieldsV1])).toEqual([
      ['two', '02Z', { 'f:data': { 'f:c': {} } }],
      ['one', '03Z', { 'f:data': { '.': {}, 'f:a': {} } }],
    ]);
  });

  it('drops an owner without fields, and keeps everything when nothing changes', () => {
    const updated = write(ConfigMap, created, { metadata: { name: 'a', uid: 'u' } }, 'two', 2);
    expect(entries(updated)).toBeUndefined();
    const same = write(ConfigMap, created, map({ a: '1', b: '1' }), 'two', 2);
    expect(entries(same)).toBe(entries(created));
  });

  it('keeps owners by subresource and leaves out what the request cannot change', () => {
    const spec = { containers: [{ name: 'c', image: 'i' }] };
    const pod = write(Pod, undefined, { metadata: { name: 'a' }, spec }, 'kubectl', 1, { reset: { 'f:status': {} } });
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    const running = write(Pod, pod, { metadata: { name: 'a' }, spec, status }, 'kubelet', 2, { subresource: 'status' });
    expect(entries(running)![0]).toBe(entries(pod)![0]);
    expect(entries(running)![1]).toMatchObject({
      subresource: 'status',
      fieldsV1: {
        'f:status': {
          'f:conditions': {
            '.': {},
            'k:{"type":"Ready"}': { '.': {}, 'f:type': {}, 'f:status': {}, 'f:lastProbeTime': {} },
          },
          'f:phase': {},
        },
      },
    });
    const main = write(Pod, running, { metadata: { name: 'a' }, spec }, 'x', 3, { reset: { 'f:status': {} } });
    expect(entries(main)).toEqual(entries(running));
  });

  it('does not begin to track an object that is not tracked', () => {
    const untracked = make(ConfigMap, map({ a: '1' }));
    expect(entries(write(ConfigMap, untracked, map({ a: '2' }), 'x', 1))).toBeUndefined();
  });
});

describe('managed fields that clients send', () => {
  const created = write(ConfigMap, undefined, map({ a: '1' }), 'one', 1);
  const sent = (managedFields: unknown) =>
    entries(write(ConfigMap, created, map({ a: '1' }, { managedFields }), 'two', 2));

  it('are taken when they make sense', () => {
    const edited = { ...entries(created)![0]!, manager: 'renamed' };
    expect(sent([edited])).toEqual([edited]);
    expect(sent([{}])).toBeUndefined();
    expect(sent([])).toEqual(entries(created));
    expect(sent([{ ...edited, fieldsV1: { x: 1 } }])).toEqual(entries(created));
    expect(sent([{ ...edited, operation: 'Do' }])).toEqual(entries(created));
  });
});

it('keeps the times of managed fields when nothing else changes', () => {
  const created = write(ConfigMap, undefined, map({ a: '1' }), 'one', 1);
  const entry = entries(created)![0]!;
  const as = (change: object, data: object = { a: '1' }) =>
    make(ConfigMap, map(data, { managedFields: [{ ...entry, ...change }] }));
  expect(settledManagedFields(created, as({ time: '2027-01-01T00:00:00Z' }))).toBe(entries(created));
  expect(settledManagedFields(created, as({ time: '2027-01-01T00:00:00Z' }, { a: '2' }))![0]!.time).toBe(
    '2027-01-01T00:00:00Z',
  );
  expect(settledManagedFields(created, as({ manager: 'x' }))![0]!.manager).toBe('x');
});

it('merges the oldest of more than ten updaters', () => {
  let object = write(ConfigMap, undefined, map({ k0: '0' }), 'm0', 0);
  const data: Record<string, string> = { k0: '0' };
  for (let i = 1; i < 13; i++) {
    data[`k${i}`] = '1';
    object = write(ConfigMap, object, map({ ...data }), `m${i}`, i);
  }
  expect(entries(object)!.map((e) => e.manager)).toEqual([
    'ancient-changes',
    ...[4, 5, 6, 7, 8, 9, 10, 11, 12].map((i) => `m${i}`),
  ]);
  expect(entries(object)![0]!.fieldsV1).toEqual({
    'f:data': { '.': {}, 'f:k0': {}, 'f:k1': {}, 'f:k2': {}, 'f:k3': {} },
  });
});

it('follows owners into other versions of the kind', () => {
  const created = write(ConfigMap, undefined, map({ a: '1', b: '1' }), 'one', 1);
  const old = {
    ...created,
    metadata: { ...created.metadata, managedFields: [{ ...entries(created)![0]!, apiVersion: 'v0' }] },
  };
  const versions = (apiVersion: string, object: KubeObject) =>
    apiVersion === 'v0' ? { schema: ConfigMap.schema, object } : undefined;
  const update = (more: object) => entries(write(ConfigMap, old, map({ a: '2', b: '1' }), 'two', 2, more))!;
  expect(update({ versions }).map((e) => [e.apiVersion, e.fieldsV1])).toEqual([
    ['v0', { 'f:data': { '.': {}, 'f:b': {} } }],
    ['v1', { 'f:data': { 'f:a': {} } }],
  ]);
  expect(update({}).map((e) => e.apiVersion)).toEqual(['v1']);
});

it('names managers after their User-Agent', () => {
  expect(managerOfUserAgent('kubectl/v1.33 (linux/amd64)')).toBe('kubectl');
  expect(managerOfUserAgent(`é${'x'.repeat(200)}`)).toBe('x'.repeat(128));
});
