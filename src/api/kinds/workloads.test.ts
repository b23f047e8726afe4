// Deployments, ReplicaSets, ReplicationControllers, DaemonSets and ControllerRevisions.

import { describe, expect, test } from 'vitest';
import { fieldErrorText, type FieldError } from '../errors.ts';
import type { DaemonSetSpec, DeploymentSpec, ReplicaSetSpec } from '../generated/apps-v1.ts';
import type { PodSpec, PodTemplateSpec, ReplicationControllerSpec } from '../generated/core-v1.ts';
import type { StrategyContext } from '../kind.ts';
import { ControllerRevision } from './apps/controller-revision.ts';
import { DaemonSet } from './apps/daemon-set.ts';
import { Deployment } from './apps/deployment.ts';
import { ReplicaSet } from './apps/replica-set.ts';
import { ReplicationController } from './core/replication-controller.ts';

const context = {} as StrategyContext;
const NOW = Date.UTC(2024, 0, 1, 0, 5);
const texts = (errors: FieldError[]) => errors.map(fieldErrorText);
const meta = {
  name: 'web',
  namespace: 'default',
  uid: 'u',
  resourceVersion: '',
  creationTimestamp: '2024-01-01T00:00:00Z',
};
const selector = { matchLabels: { app: 'web' } };
const template = (spec: Partial<PodSpec> = {}): PodTemplateSpec => ({
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'c', image: 'nginx:1' }], ...spec },
});
const OTHER = { matchLabels: { app: 'other' } };

describe('Deployment', () => {
  const deployment = (spec: Partial<DeploymentSpec> = {}): Deployment => {
    const d: Deployment = { metadata: { ...meta }, spec: { selector, template: template(), ...structuredClone(spec) } };
    Deployment.default!(d);
    return d;
  };
  test('defaults', () => {
    const { template: t, ...spec } = deployment().spec;
    expect(spec).toEqual({
      selector,
      replicas: 1,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
    });
    expect(t.spec).toMatchObject({ restartPolicy: 'Always', terminationGracePeriodSeconds: 30 });
    expect(t.spec).not.toHaveProperty('enableServiceLinks');
  });
  test.each<[string, Partial<DeploymentSpec>, string[]]>([
    ['fine', {}, []],
    [
      'empty selector',
      { selector: {} },
      ['spec.selector: Invalid value: {}: empty selector is invalid for deployment'],
    ],
    [
      'another selector',
      { selector: OTHER },
      ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'],
    ],
    [
      'restart policy',
      { template: template({ restartPolicy: 'Never' }) },
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ],
    [
      'numbers',
      { replicas: -1, minReadySeconds: 600 },
      [
        'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
        'spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds',
      ],
    ],
    [
      'recreate',
      { strategy: { type: 'Recreate', rollingUpdate: {} } },
      ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
    ],
    [
      'strategy',
      { strategy: { type: 'Slowly' } },
      ['spec.strategy.type: Unsupported value: "Slowly": supported values: "Recreate", "RollingUpdate"'],
    ],
    [
      'no room',
      { strategy: { rollingUpdate: { maxSurge: '0%', maxUnavailable: 0 } } },
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0'],
    ],
    [
      'more than all',
      { strategy: { rollingUpdate: { maxUnavailable: '101%', maxSurge: 'x' } } },
      [
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
        "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      ],
    ],
  ])('%s', (_, spec, expected) => {
    expect(texts(Deployment.validate!(deployment(spec), context))).toEqual(expected);
  });
  test('updates', () => {
    const old = deployment();
    const next = deployment({ selector: OTHER });
    expect(texts(Deployment.validateUpdate!(next, old, context))).toEqual([
      'spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable',
    ]);
    next.metadata.annotations = { a: 'b' };
    expect(Deployment.bumpsGeneration!(next, old)).toBe(true);
    expect(Deployment.bumpsGeneration!(old, old)).toBe(false);
  });
  test('status', () => {
    const old = { ...deployment(), status: { collisionCount: 2 } };
    const next = { ...deployment(), status: { replicas: 1, readyReplicas: 2, collisionCount: 1 } };
    expect(texts(Deployment.status!.validateUpdate!(next, old, context))).toEqual([
      'status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas',
      'status.collisionCount: Invalid value: 1: cannot be decremented',
    ]);
  });
  test('row and scale', () => {
    const d = {
      ...deployment({ replicas: 3 }),
      status: { replicas: 3, readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2 },
    };
    expect(Deployment.row!(d, NOW)).toEqual(['web', '2/3', 1, 2, '5m', 'c', 'nginx:1', 'app=web']);
    expect(Deployment.scale!.read(d)).toEqual({ replicas: 3, statusReplicas: 3, selector: 'app=web' });
    expect(Deployment.scale!.write(d, 7)).toMatchObject({ spec: { replicas: 7, selector } });
  });
});

describe('ReplicaSet', () => {
  const set = (spec: Partial<ReplicaSetSpec> = {}): ReplicaSet => {
    const s: ReplicaSet = { metadata: { ...meta }, spec: { selector, template: template(), ...structuredClone(spec) } };
    ReplicaSet.default!(s);
    return s;
  };
  test('validation and row', () => {
    expect(set().spec.replicas).toBe(1);
    expect(texts(ReplicaSet.validate!(set({ selector: OTHER, replicas: -1 }), context))).toEqual([
      'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ]);
    const s = set();
    ReplicaSet.prepareForCreate!(s, context);
    expect(s.status).toEqual({ replicas: 0 });
    expect(ReplicaSet.row!({ ...s, status: { replicas: 1, readyReplicas: 1 } }, NOW)).toEqual([
      'web',
      1,
      1,
      1,
      '5m',
      'c',
      'nginx:1',
      'app=web',
    ]);
  });
});

describe('ReplicationController', () => {
  const rc = (spec: Partial<ReplicationControllerSpec> = {}): ReplicationController => {
    const r: ReplicationController = {
      metadata: { ...meta },
      spec: { template: template(), ...structuredClone(spec) },
    };
    ReplicationController.default!(r);
    return r;
  };
  test('selector and labels come from the template', () => {
    expect(rc()).toMatchObject({
      metadata: { labels: { app: 'web' } },
      spec: { selector: { app: 'web' }, replicas: 1 },
    });
    expect(texts(ReplicationController.validate!(rc({ selector: { app: 'other' } }), context))).toEqual([
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ]);
    const bare: ReplicationController = { metadata: { ...meta }, spec: {} };
    ReplicationController.default!(bare);
    expect(texts(ReplicationController.validate!(bare, context))).toEqual([
      'spec.selector: Required value',
      'spec.template: Required value',
    ]);
    expect(ReplicationController.scale!.read(rc())).toEqual({ replicas: 1, statusReplicas: 0, selector: 'app=web' });
    expect(ReplicationController.row!(rc(), NOW)).toEqual(['web', 1, 0, 0, '5m', 'c', 'nginx:1', 'app=web']);
  });
});

describe('DaemonSet', () => {
  const set = (spec: Partial<DaemonSetSpec> = {}): DaemonSet => {
    const s: DaemonSet = { metadata: { ...meta }, spec: { selector, template: template(), ...structuredClone(spec) } };
    DaemonSet.default!(s);
    return s;
  };
  test('defaults and template generation', () => {
    const s = set();
    expect(s.spec).toMatchObject({
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
      revisionHistoryLimit: 10,
    });
    DaemonSet.prepareForCreate!(s, context);
    const next = set({ template: template({ nodeSelector: { a: 'b' } }) });
    DaemonSet.prepareForUpdate!(next, s, context);
    expect(next.metadata.annotations).toEqual({ 'deprecated.daemonset.template.generation': '2' });
    expect(DaemonSet.row!({ ...next, status: { ...s.status!, numberReady: 1 } }, NOW)).toEqual([
      'web',
      0,
      0,
      1,
      0,
      0,
      'a=b',
      '5m',
      'c',
      'nginx:1',
      'app=web',
    ]);
  });
  test.each<[string, Partial<DaemonSetSpec>, string[]]>([
    ['fine', { updateStrategy: { type: 'OnDelete' } }, []],
    [
      'both',
      { updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } } },
      ['spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero'],
    ],
    [
      'none',
      { updateStrategy: { rollingUpdate: { maxUnavailable: 0 } } },
      ['spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0'],
    ],
    [
      'type',
      { updateStrategy: { type: 'x' } },
      ['spec.updateStrategy.type: Unsupported value: "x": supported values: "RollingUpdate", "OnDelete"'],
    ],
  ])('%s', (_, spec, expected) => {
    expect(texts(DaemonSet.validate!(set(spec), context))).toEqual(expected);
  });
});

test('ControllerRevision', () => {
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web', uid: 'u', controller: true }];
  const revision: ControllerRevision = { metadata: { ...meta, ownerReferences }, data: { a: 1 }, revision: 2 };
  expect(ControllerRevision.row!(revision, NOW)).toEqual(['web', 'statefulset.apps/web', 2, '5m']);
  expect(texts(ControllerRevision.validate!({ metadata: meta, revision: -1 }, context))).toEqual([
    'data: Required value: data is mandatory',
    'revision: Invalid value: -1: must be greater than or equal to 0',
  ]);
  expect(texts(ControllerRevision.validateUpdate!({ ...revision, data: {} }, revision, context))).toEqual([
    'data: Invalid value: {}: field is immutable',
  ]);
});
