import { expect, test } from 'vitest';
import type { Node, Pod } from '../api/generated/core-v1.ts';
import { ClusterState } from './node-state.ts';
import { enoughNodes, schedule } from './plan.ts';
import { defaultPlugins } from './plugins/index.ts';

let uid = 0;
const meta = (name: string, more: object = {}) => ({
  name,
  namespace: 'default',
  uid: `u${++uid}`,
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
  ...more,
});

function node(
  name: string,
  spec: Node['spec'] = {},
  labels: Record<string, string> = {},
  cpu = '2',
  pods = '110',
): Node {
  const allocatable = { cpu, memory: '4Gi', pods };
  return {
    metadata: meta(name, { labels: { 'kubernetes.io/hostname': name, ...labels } }),
    spec,
    status: { allocatable },
  };
}

function pod(name: string, spec: Partial<Pod['spec']> = {}, more: object = {}): Pod {
  return { metadata: meta(name, more), spec: { containers: [{ name: 'c', image: 'i' }], ...spec } };
}
const asking = (cpu: string) => ({ containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }] });

function place(p: Pod, nodes: Node[], placed: [Pod, string][] = []) {
  const state = new ClusterState();
  for (const n of nodes) state.setNode(n);
  for (const [other, where] of placed) state.assume(other, where);
  return schedule(p, state, { plugins: defaultPlugins });
}

test('no nodes', () => {
  expect(place(pod('a'), [])).toMatchObject({ message: 'no nodes available to schedule pods' });
});

test.each<[string, Partial<Pod['spec']>, Node[], string]>([
  ['cpu', asking('3'), [node('n1'), node('n2')], '0/2 nodes are available: 2 Insufficient cpu.'],
  [
    'taint, cordon and selector',
    { nodeSelector: { disk: 'ssd' } },
    [
      node('n1', { unschedulable: true }),
      node('n2', { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] }, { disk: 'ssd' }),
      node('n3'),
    ],
    "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint {gpu: yes}, 1 node(s) were unschedulable.",
  ],
  ['too many pods', {}, [node('n1', {}, {}, '2', '0')], '0/1 nodes are available: 1 Too many pods.'],
])('says why nothing fits: %s', (_, spec, nodes, message) => {
  expect(place(pod('a', spec), nodes)).toMatchObject({ message });
});

test('what is placed counts: cpu, host ports', () => {
  const big = pod('big', asking('1500m'));
  expect(place(pod('a', asking('1')), [node('n1'), node('n2')], [[big, 'n1']])).toMatchObject({ node: 'n2' });
  const port = { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, hostPort: 8080 }] }] };
  expect(place(pod('b', port), [node('n1'), node('n2')], [[pod('p', port), 'n2']])).toMatchObject({ node: 'n1' });
});

test('replicas of one owner spread', () => {
  const owned = {
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'owner', controller: true }],
  };
  const state = new ClusterState();
  for (const name of ['n1', 'n2', 'n3']) state.setNode(node(name));
  const used: Record<string, number> = {};
  for (let i = 0; i < 9; i++) {
    const p = pod(`p${i}`, {}, owned);
    const placement = schedule(p, state, { plugins: defaultPlugins });
    if (!('node' in placement)) throw new Error(placement.message);
    state.assume(p, placement.node);
    used[placement.node] = (used[placement.node] ?? 0) + 1;
  }
  expect(used).toEqual({ n1: 3, n2: 3, n3: 3 });
});

test('affinity, anti-affinity and spread constraints', () => {
  const zones = [node('a1', {}, { zone: 'a' }), node('a2', {}, { zone: 'a' }), node('b1', {}, { zone: 'b' })];
  const web = pod('web', {}, { labels: { app: 'web' } });
  const term = { labelSelector: { matchLabels: { app: 'web' } }, topologyKey: 'zone' };
  const near = { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } };
  const away = { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } };
  expect(place(pod('x', near), zones, [[web, 'b1']])).toMatchObject({ node: 'b1' });
  expect(place(pod('y', away), zones, [[web, 'a1']])).toMatchObject({ node: 'b1' });
  expect(place(pod('z', near), zones)).toMatchObject({ refusedBy: ['InterPodAffinity'] });
  const even = { ...term, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' };
  const spread = pod('s', { topologySpreadConstraints: [even] }, { labels: { app: 'web' } });
  expect(place(spread, zones, [[web, 'a2']])).toMatchObject({ node: 'b1' });
});

test('a forgotten assumption frees its room; a removed node keeps its pods for its return', () => {
  const state = new ClusterState();
  const [n, p] = [node('n1'), pod('a', asking('2'))];
  state.setNode(n);
  state.assume(p, 'n1');
  expect(state.nodes[0]!.requested.milliCpu).toBe(2000);
  state.forget(p.metadata.uid);
  expect(state.nodes[0]!.requested.milliCpu).toBe(0);
  state.setPod({ ...p, spec: { ...p.spec, nodeName: 'n1' } });
  state.removeNode('n1');
  expect(state.nodes).toEqual([]);
  state.setNode(n);
  expect(state.nodes[0]!.requested.milliCpu).toBe(2000);
});

test('large clusters are sampled', () => {
  expect([50, 100, 1000, 5000].map(enoughNodes)).toEqual([50, 100, 420, 500]);
});
