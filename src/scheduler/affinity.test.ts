import { describe, expect, test } from 'vitest';
import type { Node, Pod } from '../api/generated/core-v1.ts';
import { ClusterState } from './node-state.ts';
import { schedule } from './plan.ts';
import { defaultPlugins } from './plugins/index.ts';

let uid = 0;
const NAMESPACES: Record<string, Record<string, string>> = { a: { team: 'x' }, b: { team: 'x' }, c: { team: 'y' } };

function state(zones: Record<string, string>) {
  const made = new ClusterState((name) => NAMESPACES[name]);
  for (const [name, zone] of Object.entries(zones)) {
    made.setNode({
      metadata: { name, uid: name, labels: { zone, 'kubernetes.io/hostname': name } },
      spec: {},
      status: { allocatable: { cpu: '8', memory: '8Gi', pods: '110' } },
    } as unknown as Node);
  }
  return made;
}
function pod(namespace: string, labels: Record<string, string>, spec: object = {}, nodeName?: string): Pod {
  const name = `p${++uid}`;
  return {
    metadata: { name, namespace, uid: name, labels, creationTimestamp: '' },
    spec: { containers: [{ name: 'c', image: 'i' }], ...spec, ...(nodeName ? { nodeName } : {}) },
  } as unknown as Pod;
}
const place = (p: Pod, s: ClusterState) => {
  const placement = schedule(p, s, { plugins: defaultPlugins });
  return 'node' in placement ? placement.node : placement.message;
};
const WEB = { app: 'web' };
const term = (more: object = {}) => ({ topologyKey: 'zone', labelSelector: { matchLabels: WEB }, ...more });
const hard = (what: 'podAffinity' | 'podAntiAffinity', ...terms: object[]) => ({
  affinity: { [what]: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const soft = (what: 'podAffinity' | 'podAntiAffinity', weight: number) => ({
  affinity: { [what]: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight, podAffinityTerm: term() }] } },
});
const TWO = { n1: 'z1', n2: 'z2' };

describe('namespaces of a term', () => {
  test.each<[string, object, string, boolean]>([
    ['its own', {}, 'a', true],
    ['not another', {}, 'b', false],
    ['a list', { namespaces: ['b'] }, 'b', true],
    ['a list without its own', { namespaces: ['b'] }, 'a', false],
    ['all', { namespaceSelector: {} }, 'c', true],
    ['by labels', { namespaceSelector: { matchLabels: { team: 'x' } } }, 'b', true],
    ['by other labels', { namespaceSelector: { matchLabels: { team: 'x' } } }, 'c', false],
    ['by labels or in a list', { namespaceSelector: { matchLabels: { team: 'x' } }, namespaces: ['c'] }, 'c', true],
  ])('%s', (_, more, namespace, counts) => {
    const wanted = (refusal: string) => (counts ? (expect.stringContaining(refusal) as string) : 'n1');
    const there = state({ n1: 'z1' });
    there.setPod(pod(namespace, WEB, {}, 'n1'));
    const shy = (nodeName?: string) => pod('a', {}, hard('podAntiAffinity', term(more)), nodeName);
    expect(place(shy(), there)).toEqual(wanted("didn't match pod anti-affinity rules"));
    // What placed pods want of the one that comes, likewise.
    const asked = state({ n1: 'z1' });
    asked.setPod(shy('n1'));
    expect(place(pod(namespace, WEB), asked)).toEqual(wanted("didn't satisfy existing pods anti-affinity rules"));
  });
});

describe('required', () => {
  test('all terms of one pod are met by the same pods', () => {
    const s = state({ n1: 'z1', n2: 'z2' });
    s.setPod(pod('a', { app: 'web' }, {}, 'n1'));
    s.setPod(pod('a', { app: 'web', tier: 'db' }, {}, 'n2'));
    const db = { topologyKey: 'zone', labelSelector: { matchLabels: { tier: 'db' } } };
    expect(place(pod('a', {}, hard('podAffinity', term(), db)), s)).toBe('n2');
  });

  test('a pod that goes frees its domain; one that is relabelled counts anew', () => {
    const s = state({ n1: 'z1' });
    const other = pod('a', WEB, {}, 'n1');
    const shy = () => pod('a', {}, hard('podAntiAffinity', term()));
    s.setPod(other);
    expect(place(shy(), s)).toContain('anti-affinity');
    s.setPod({ ...other, metadata: { ...other.metadata, labels: { app: 'api' } } });
    expect(place(shy(), s)).toBe('n1');
    s.setPod(other);
    expect(place(shy(), s)).toContain('anti-affinity');
    s.removePod(other.metadata.uid);
    expect(place(shy(), s)).toBe('n1');
  });

  test('terms of placed pods end with their last pod', () => {
    const s = state(TWO);
    const shy = [
      pod('a', WEB, hard('podAntiAffinity', term()), 'n1'),
      pod('a', WEB, hard('podAntiAffinity', term()), 'n1'),
    ];
    for (const p of shy) s.setPod(p);
    expect(place(pod('a', WEB), s)).toBe('n2');
    s.removePod(shy[0]!.metadata.uid);
    expect(place(pod('a', WEB), s)).toBe('n2');
    s.removePod(shy[1]!.metadata.uid);
    expect(place(pod('a', WEB), s)).toBe('n1');
  });
});

describe('preferred', () => {
  test.each<[string, object, object, string]>([
    ['near', soft('podAffinity', 50), {}, 'n2'],
    ['away', soft('podAntiAffinity', 50), {}, 'n1'],
  ])('%s others', (_, mine, theirs, wanted) => {
    const s = state(TWO);
    s.setPod(pod('a', WEB, theirs, 'n2'));
    expect(place(pod('a', {}, mine), s)).toBe(wanted);
  });

  test.each<[string, object, string]>([
    ['want it near', soft('podAffinity', 50), 'n2'],
    ['want it away', soft('podAntiAffinity', 50), 'n1'],
    ['must be near', hard('podAffinity', term()), 'n2'],
  ])('others %s', (_, theirs, wanted) => {
    const s = state(TWO);
    s.setPod(pod('a', {}, theirs, 'n2'));
    s.setPod(pod('a', {}, {}, 'n1'));
    expect(place(pod('a', WEB), s)).toBe(wanted);
  });
});

test('pretending leaves no trace', () => {
  const s = state(TWO);
  const [there, shy] = [pod('a', WEB, {}, 'n1'), pod('a', WEB, hard('podAntiAffinity', term()))];
  s.setPod(there);
  const n1 = s.node('n1')!;
  const before = JSON.stringify([n1.requested, n1.pods.size, [...s.antiAffinity].length]);
  expect(s.pretend({ without: [there] }, n1, () => place(shy, s))).toBe('n1');
  expect(s.pretend({ with: [shy] }, n1, () => place(pod('a', WEB), s))).toBe('n2');
  const fails = () =>
    s.pretend({ without: [there] }, n1, () => {
      throw new Error('no');
    });
  expect(fails).toThrow('no');
  expect(JSON.stringify([n1.requested, n1.pods.size, [...s.antiAffinity].length])).toBe(before);
  expect(place(shy, s)).toBe('n2');
});
