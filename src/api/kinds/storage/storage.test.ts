// PersistentVolumes and claims, StorageClasses, LimitRanges and ResourceQuotas.

import { describe, expect, test } from 'vitest';
import { fieldErrorText, type FieldError } from '../../errors.ts';
import type {
  LimitRangeItem,
  PersistentVolumeClaimSpec,
  PersistentVolumeSpec,
  ResourceQuotaSpec,
} from '../../generated/core-v1.ts';
import type { StrategyContext } from '../../kind.ts';
import { LimitRange } from '../core/limit-range.ts';
import { PersistentVolume } from '../core/persistent-volume.ts';
import { PersistentVolumeClaim } from '../core/persistent-volume-claim.ts';
import { ResourceQuota } from '../core/resource-quota.ts';
import { StorageClass } from './storage-class.ts';

const context = { now: Date.UTC(2024, 0, 1) } as StrategyContext;
const NOW = Date.UTC(2024, 0, 1, 0, 5);
const texts = (errors: FieldError[]) => errors.map(fieldErrorText);
const metadata = { name: 'x', uid: 'u', resourceVersion: '', creationTimestamp: '2024-01-01T00:00:00Z' };

describe('PersistentVolume', () => {
  const volume = (spec: PersistentVolumeSpec = {}): PersistentVolume => {
    const v: PersistentVolume = {
      metadata: { ...metadata },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce', 'ReadOnlyMany'],
        hostPath: { path: '/d' },
        ...structuredClone(spec),
      },
    };
    PersistentVolume.default!(v);
    return v;
  };
  test.each<[string, PersistentVolumeSpec, string[]]>([
    ['fine', {}, []],
    [
      'empty',
      { capacity: {}, accessModes: [] },
      [
        'spec.accessModes: Required value',
        'spec.capacity: Required value',
        'spec.capacity: Unsupported value: {}: supported values: "storage"',
      ],
    ],
    [
      'two sources',
      { nfs: { server: 's', path: '/p' } },
      ['spec.nfs: Forbidden: may not specify more than 1 volume type'],
    ],
    [
      'modes',
      { accessModes: ['ReadWriteOncePod', 'ReadWriteOnce', 'Never'] },
      [
        'spec.accessModes: Unsupported value: "Never": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
        'spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes',
      ],
    ],
  ])('%s', (_, spec, expected) => {
    expect(texts(PersistentVolume.validate!(volume(spec), context))).toEqual(expected);
  });
  test('sources are for ever', () => {
    const changed = PersistentVolume.validateUpdate!(volume({ hostPath: { path: '/e' } }), volume(), context);
    expect(texts(changed)[0]).toContain(
      'spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n',
    );
    const old = volume();
    PersistentVolume.prepareForCreate!(old, context);
    const next = { ...volume(), status: { ...old.status, phase: 'Bound' } };
    PersistentVolume.status!.prepareForUpdate!(next, old, { ...context, now: NOW });
    expect(next.status.lastPhaseTransitionTime).toBe('2024-01-01T00:05:00Z');
  });
  test('row', () => {
    const v = volume({ claimRef: { namespace: 'ns', name: 'c' }, storageClassName: 'fast' });
    expect(PersistentVolume.row!(v, NOW)).toEqual([
      'x',
      '1Gi',
      'RWO,ROX',
      'Retain',
      'Pending',
      'ns/c',
      'fast',
      '<unset>',
      '',
      '5m',
      'Filesystem',
    ]);
  });
});

describe('PersistentVolumeClaim', () => {
  const claim = (
    spec: PersistentVolumeClaimSpec = {},
    status?: PersistentVolumeClaim['status'],
  ): PersistentVolumeClaim => {
    const c: PersistentVolumeClaim = {
      metadata: { ...metadata, namespace: 'default' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...structuredClone(spec) },
      ...(status ? { status } : {}),
    };
    PersistentVolumeClaim.default!(c);
    return c;
  };
  test('validation', () => {
    expect(texts(PersistentVolumeClaim.validate!(claim({ accessModes: [], resources: {} }), context))).toEqual([
      'spec.accessModes: Required value: at least 1 access mode is required',
      'spec.resources[storage]: Required value',
    ]);
    const sourced = claim({ dataSource: { kind: 'PersistentVolumeClaim', name: 'a' } });
    PersistentVolumeClaim.prepareForCreate!(sourced, context);
    expect(sourced.spec.dataSourceRef).toEqual({ kind: 'PersistentVolumeClaim', name: 'a' });
  });
  test('updates', () => {
    const update = (spec: PersistentVolumeClaimSpec, old: PersistentVolumeClaim) =>
      texts(PersistentVolumeClaim.validateUpdate!({ ...claim(spec), status: old.status! }, old, context)).map(
        (t) => t.split('\n')[0],
      );
    expect(update({ volumeName: 'v' }, claim())).toEqual([]);
    const text =
      'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
    expect(update({ volumeName: 'w' }, claim({ volumeName: 'v' }))).toEqual([text]);
    expect(update({ resources: { requests: { storage: '2Gi' } } }, claim())).toEqual([text]);
    const bound = claim({}, { phase: 'Bound', capacity: { storage: '1Gi' } });
    expect(update({ resources: { requests: { storage: '2Gi' } } }, bound)).toEqual([]);
    expect(update({ resources: { requests: { storage: '1Mi' } } }, bound)).toEqual([
      'spec.resources.requests.storage: Forbidden: field can not be less than status.capacity',
    ]);
  });
  test('row', () => {
    const status = { phase: 'Bound', capacity: { storage: '2Gi' }, accessModes: ['ReadWriteOnce'] };
    expect(PersistentVolumeClaim.row!(claim({ volumeName: 'v', storageClassName: 'fast' }, status), NOW)).toEqual([
      'x',
      'Bound',
      'v',
      '2Gi',
      'RWO',
      'fast',
      '<unset>',
      '5m',
      'Filesystem',
    ]);
    expect(PersistentVolumeClaim.row!(claim(), NOW).slice(1, 5)).toEqual(['Pending', '', '', '']);
  });
});

test('StorageClass', () => {
  const cls: StorageClass = {
    metadata: { ...metadata, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'example.com/disk',
  };
  StorageClass.default!(cls);
  expect(StorageClass.row!(cls, NOW)).toEqual([
    'x (default)',
    'example.com/disk',
    'Delete',
    'Immediate',
    'false',
    '5m',
  ]);
  expect(texts(StorageClass.validate!({ ...cls, provisioner: '', reclaimPolicy: 'Burn' }, context))).toEqual([
    'provisioner: Required value',
    'reclaimPolicy: Unsupported value: "Burn": supported values: "Delete", "Retain"',
  ]);
  expect(texts(StorageClass.validateUpdate!({ ...cls, parameters: { a: 'b' } }, cls, context))).toEqual([
    'parameters: Forbidden: updates to parameters are forbidden.',
  ]);
});

describe('LimitRange', () => {
  const range = (item: LimitRangeItem): LimitRange => {
    const r: LimitRange = { metadata, spec: { limits: [structuredClone(item)] } };
    LimitRange.default!(r);
    return r;
  };
  test('defaults of containers', () => {
    const item = { type: 'Container', max: { cpu: '2' }, min: { memory: '1Mi' }, default: { memory: '1Gi' } };
    expect(range(item).spec.limits[0]).toMatchObject({
      default: { cpu: '2', memory: '1Gi' },
      defaultRequest: { cpu: '2', memory: '1Gi' },
    });
  });
  test.each<[LimitRangeItem, string[]]>([
    [
      { type: 'Pod', max: { cpu: '1' }, min: { cpu: '2' }, default: { cpu: '1' } },
      [
        "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
      ],
    ],
    [
      { type: 'Container', max: { storage: '1' }, default: { storage: '1' }, defaultRequest: { storage: '1' } },
      [
        'spec.limits[0].max[storage]: Invalid value: "storage": must be a standard resource for containers',
        'spec.limits[0].default[storage]: Invalid value: "storage": must be a standard resource for containers',
        'spec.limits[0].defaultRequest[storage]: Invalid value: "storage": must be a standard resource for containers',
      ],
    ],
    [
      { type: 'PersistentVolumeClaim' },
      [
        'spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided',
      ],
    ],
    [
      { type: 'Robot' },
      ['spec.limits[0].type: Invalid value: "Robot": must be a standard limit type or fully qualified'],
    ],
  ])('%j', (item, expected) => {
    expect(texts(LimitRange.validate!(range(item), context))).toEqual(expected);
  });
});

describe('ResourceQuota', () => {
  const quota = (spec: ResourceQuotaSpec, status?: ResourceQuota['status']): ResourceQuota => ({
    metadata,
    spec,
    ...(status ? { status } : {}),
  });
  test.each<[ResourceQuotaSpec, string[]]>([
    [{ hard: { 'requests.cpu': '1', pods: '5', 'count/jobs.batch': '1', 'requests.hugepages-2Mi': '2Mi' } }, []],
    [
      { hard: { pods: '500m', foo: '1' } },
      [
        'spec.hard[pods]: Invalid value: "500m": must be an integer',
        'spec.hard[foo]: Invalid value: "foo": must be a standard resource type or fully qualified',
        'spec.hard[foo]: Invalid value: "foo": must be a standard resource for quota',
      ],
    ],
    [
      { hard: { services: '1' }, scopes: ['BestEffort', 'NotBestEffort', 'Odd'] },
      [
        'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: unsupported scope applied to resource',
        'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: unsupported scope applied to resource',
        'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: unsupported scope',
        'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: conflicting scopes',
      ],
    ],
    [
      { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In' }] } },
      [
        "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
      ],
    ],
  ])('%j', (spec, expected) => {
    expect(texts(ResourceQuota.validate!(quota(spec), context))).toEqual(expected);
  });
  test('row and update', () => {
    const status = {
      hard: { 'limits.cpu': '2', pods: '5', 'requests.cpu': '1' },
      used: { pods: '1', 'requests.cpu': '500m' },
    };
    expect(ResourceQuota.row!(quota({}, status), NOW)).toEqual([
      'x',
      'pods: 1/5, requests.cpu: 500m/1',
      'limits.cpu: 0/2',
      '5m',
    ]);
    expect(texts(ResourceQuota.validateUpdate!(quota({ scopes: ['BestEffort'] }), quota({}), context))).toEqual([
      'spec.scopes: Invalid value: ["BestEffort"]: field is immutable',
    ]);
  });
});
