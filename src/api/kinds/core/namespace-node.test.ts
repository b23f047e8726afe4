import { expect, test } from 'vitest';
import { fieldErrorText, type FieldError } from '../../errors.ts';
import type { NodeSpec, NodeStatus } from '../../generated/core-v1.ts';
import type { StrategyContext } from '../../kind.ts';
import { Namespace } from './namespace.ts';
import { Node } from './node.ts';

const context = {} as StrategyContext;
const NOW = Date.UTC(2024, 0, 1, 0, 5);
const texts = (errors: FieldError[]) => errors.map(fieldErrorText);
const meta = { name: 'x', uid: 'u', resourceVersion: '', creationTimestamp: '2024-01-01T00:00:00Z' };

test('a namespace is labelled with its name and holds its finalizer', () => {
  const namespace: Namespace = { metadata: { ...meta }, spec: {} };
  Namespace.default!(namespace);
  Namespace.prepareForCreate!(namespace, context);
  expect(namespace).toMatchObject({
    metadata: { labels: { 'kubernetes.io/metadata.name': 'x' } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  });
  expect(texts(Namespace.validate!({ ...namespace, spec: { finalizers: ['odd'] } }, context))).toEqual([
    'spec.finalizers[0]: Invalid value: "odd": name is neither a standard finalizer name nor is it fully qualified',
  ]);
  const next: Namespace = { metadata: { ...meta }, spec: {} };
  Namespace.prepareForUpdate!(next, namespace, context);
  expect(next.spec).toEqual({ finalizers: ['kubernetes'] });
  const ending: Namespace = { ...namespace, metadata: { ...meta, deletionTimestamp: 't' } };
  expect(texts(Namespace.status!.validateUpdate!(ending, ending, context))).toEqual([
    'status.Phase: Invalid value: "Active": may only be \'Terminating\' if `deletionTimestamp` is not empty',
  ]);
  expect(Namespace.row!(namespace, NOW)).toEqual(['x', 'Active', '5m']);
});

const node = (spec: NodeSpec = {}, status?: NodeStatus): Node => {
  const n: Node = { metadata: { ...meta }, spec, ...(status ? { status } : {}) };
  Node.default!(n);
  return n;
};

test('node defaults', () => {
  expect(node({ podCIDR: '10.0.0.0/24' }, { capacity: { cpu: '1' } })).toMatchObject({
    spec: { podCIDRs: ['10.0.0.0/24'] },
    status: { allocatable: { cpu: '1' } },
  });
  expect(node({ podCIDRs: ['10.0.0.0/24'] }).spec.podCIDR).toBe('10.0.0.0/24');
});

test.each<[string, NodeSpec, NodeStatus, string[]]>([
  ['fine', { taints: [{ key: 'a', effect: 'NoSchedule' }] }, {}, []],
  [
    'taints',
    {
      taints: [
        { key: 'a', effect: 'NoSchedule' },
        { key: 'a', effect: 'NoSchedule' },
        { key: '', effect: 'Never' },
      ],
    },
    {},
    [
      'metadata.taints[1]: Duplicate value: {"key":"a","effect":"NoSchedule"}: taints must be unique by key and effect pair',
      'metadata.taints[2].key: Invalid value: "": name part must be non-empty',
      expect.stringContaining('metadata.taints[2].key: Invalid value: "": name part must consist of') as string,
      'metadata.taints[2].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ],
  ],
  [
    'cidrs',
    { podCIDRs: ['10.0.0.0/24', '10.0.1.0/24'] },
    {},
    [
      'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family',
    ],
  ],
  [
    'capacity',
    {},
    { capacity: { cpu: '-1', pods: '1500m' } },
    [
      'status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0',
      'status.capacity.pods: Invalid value: "1500m": must be an integer',
      'status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0',
      'status.allocatable.pods: Invalid value: "1500m": must be an integer',
    ],
  ],
])('node: %s', (_, spec, status, expected) => {
  expect(texts(Node.validate!(node(spec, status), context))).toEqual(expected);
});

test('node update', () => {
  const old = node({ podCIDRs: ['10.0.0.0/24'], providerID: 'a' });
  expect(texts(Node.validateUpdate!(node({ podCIDRs: ['10.0.1.0/24'], providerID: 'b' }), old, context))).toEqual([
    'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
    'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
  ]);
});

test('node row', () => {
  const n = node(
    { unschedulable: true },
    {
      conditions: [{ type: 'Ready', status: 'True' }],
      addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
    },
  );
  n.metadata.labels = { 'node-role.kubernetes.io/worker': '', 'node-role.kubernetes.io/control-plane': '' };
  expect(Node.row!(n, NOW)).toEqual([
    'x',
    'Ready,SchedulingDisabled',
    'control-plane,worker',
    '5m',
    '',
    '10.0.0.1',
    '<none>',
    '<unknown>',
    '<unknown>',
    '<unknown>',
  ]);
  expect(Node.row!(node(), NOW)[1]).toBe('Unknown');
});
