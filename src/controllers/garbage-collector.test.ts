import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { builtinKinds } from '../api/kinds/index.ts';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Event } from '../api/kinds/core/event.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Secret } from '../api/kinds/core/secret.ts';
import { ClusterRole } from '../api/kinds/rbac/cluster-role.ts';
import type { AnyKind } from '../api/kind.ts';
import type { KubeObject, OwnerReference } from '../api/object.ts';
import type { Propagation } from '../api/op.ts';
import { startControllers, type TestControllers } from '../cluster/test-controllers.ts';
import { garbageCollector } from './garbage-collector.ts';

let t: TestControllers;
/** What the collector itself asked of the server. */
let calls: string[];
beforeEach(async () => {
  calls = [];
  t = await startControllers([garbageCollector(builtinKinds)], {
    observe: ({ user, verb, resource, name }) =>
      void (user.name.endsWith('collector') && !/list|watch/.test(verb) && calls.push(`${verb} ${resource} ${name}`)),
  });
});
afterEach(() => t.stop());

const namespace = 'default';
const refTo = (owner: KubeObject, more: Partial<OwnerReference> = {}): OwnerReference => ({
  apiVersion: owner.apiVersion!,
  kind: owner.kind!,
  name: owner.metadata.name,
  uid: owner.metadata.uid,
  ...more,
});
const blocking = { blockOwnerDeletion: true };

function create(
  kind: AnyKind,
  name: string,
  owners: OwnerReference[] = [],
  metadata: object = {},
): Promise<KubeObject> {
  const place = kind.namespaced ? { namespace } : {};
  return t.client.create(kind, { metadata: { name, ...place, ownerReferences: owners, ...metadata } } as never);
}
const map = (name: string, owners: OwnerReference[] = [], metadata: object = {}) =>
  create(ConfigMap, name, owners, metadata);

async function remove(object: KubeObject, propagationPolicy: Propagation = 'Background', kind: AnyKind = ConfigMap) {
  const { name } = object.metadata;
  await t.client.delete(kind, { ...(kind.namespaced ? { namespace } : {}), name }, { propagationPolicy });
  await t.settle();
}
const names = async (kind: AnyKind = ConfigMap) =>
  (await t.client.list(kind, { namespace })).items.map((o) => o.metadata.name).sort();
const ownersOf = async (name: string) =>
  (await t.client.get(ConfigMap, { namespace, name })).metadata.ownerReferences?.map((o) => o.name);
const release = async (name: string) => {
  await t.client.patch(ConfigMap, { namespace, name }, 'merge', { metadata: { finalizers: null } });
  await t.settle();
};
const warnings = async () =>
  (await t.client.list(Event)).items.map((e) => `${e.involvedObject.name} ${e.reason}: ${e.message}`);

describe('background', () => {
  test('a chain goes, one delete each, nothing asked', async () => {
    const a = await map('a');
    const b = await map('b', [refTo(a)]);
    await map('c', [refTo(b)]);
    await map('other');
    await t.settle();
    expect(calls).toEqual([]);
    await remove(a);
    expect(await names()).toEqual(['other']);
    expect(calls).toEqual(['delete configmaps b', 'delete configmaps c']);
  });

  test('a dependent of several owners stays until the last is gone', async () => {
    const [a, b] = [await map('a'), await map('b')];
    await map('c', [refTo(a), refTo(b)]);
    await remove(a);
    expect(await ownersOf('c')).toEqual(['b']);
    await remove(b);
    expect(await names()).toEqual([]);
  });

  test('an owner that never was: asked once for all who name it', async () => {
    const ghost = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'ghost', uid: 'no-such-uid' };
    for (const name of ['a', 'b', 'c']) await map(name, [ghost]);
    await t.settle();
    expect(await names()).toEqual([]);
    expect(calls.filter((c) => c.startsWith('get')).length).toBeLessThanOrEqual(3);
    calls.length = 0;
    await map('d', [ghost]);
    await t.settle();
    expect(calls).toEqual(['delete configmaps d']);
  });

  test('an owner of the same name but another uid is not the owner', async () => {
    const a = await map('a');
    await map('b', [refTo(a, { uid: 'another' })]);
    await t.settle();
    expect(await names()).toEqual(['a']);
  });

  test('an owner of a kind that is not served counts as alive', async () => {
    const unknown = { apiVersion: 'example.org/v1', kind: 'Widget', name: 'w', uid: 'w' };
    const a = await map('a');
    await map('b', [unknown]);
    await map('c', [unknown, refTo(a)]);
    await remove(a);
    expect(await names()).toEqual(['b', 'c']);
    expect(await ownersOf('c')).toEqual(['w']);
  });

  test('the version in the reference does not matter', async () => {
    const a = await create(Node, 'a');
    await map('b', [refTo(a, { apiVersion: 'v9' })]);
    await t.settle();
    expect(await names()).toEqual(['b']);
    await remove(a, 'Background', Node);
    expect(await names()).toEqual([]);
  });

  test('finalizers of a dependent hold it, and nothing else', async () => {
    const a = await map('a');
    const b = await map('b', [refTo(a)], { finalizers: ['test/hold'] });
    await map('c', [refTo(b)]);
    await remove(a);
    expect(await names()).toEqual(['b', 'c']);
    await release('b');
    expect(await names()).toEqual([]);
  });

  test('a dependent that appears after its owner has gone', async () => {
    const a = await map('a');
    await remove(a);
    await map('late', [refTo(a)]);
    await t.settle();
    expect(await names()).toEqual([]);
  });

  test('Deployment, ReplicaSet and 500 pods: a delete each', async () => {
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    const spec = { selector: { matchLabels: { a: 'b' } }, template };
    const of = (kind: AnyKind, name: string, owners: OwnerReference[]) =>
      t.client.create(kind, { metadata: { name, namespace, ownerReferences: owners }, spec } as never);
    const deployment = await of(Deployment, 'd', []);
    const set = await of(ReplicaSet, 'r', [refTo(deployment, blocking)]);
    for (let i = 0; i < 500; i++) {
      const metadata = { name: `p${i}`, namespace, labels: { a: 'b' }, ownerReferences: [refTo(set, blocking)] };
      await t.client.create(Pod, { metadata, spec: template.spec } as never);
    }
    await t.settle();
    await remove(deployment, 'Background', Deployment);
    expect(await names(Pod)).toEqual([]);
    expect(calls.length).toBe(501);
  });
});

describe('foreground', () => {
  test('the owner waits for dependents that block it, not for others', async () => {
    const a = await map('a');
    await map('blocks', [refTo(a, blocking)], { finalizers: ['test/hold'] });
    await map('does-not', [refTo(a)], { finalizers: ['test/hold'] });
    await remove(a, 'Foreground');
    expect(await names()).toEqual(['a', 'blocks', 'does-not']);
    expect((await t.client.get(ConfigMap, { namespace, name: 'a' })).metadata.finalizers).toEqual([
      'foregroundDeletion',
    ]);
    await release('blocks');
    expect(await names()).toEqual(['does-not']);
  });

  test('a chain goes from its end; leaves get no finalizer', async () => {
    const a = await map('a');
    const b = await map('b', [refTo(a, blocking)]);
    await map('c', [refTo(b, blocking)]);
    await remove(a, 'Foreground');
    expect(await names()).toEqual([]);
    expect(calls).toEqual(['delete configmaps b', 'delete configmaps c', 'patch configmaps b', 'patch configmaps a']);
  });

  test('a dependent that lets go of its owner sets it free', async () => {
    const a = await map('a');
    await map('b', [refTo(a, blocking)], { finalizers: ['test/hold'] });
    await remove(a, 'Foreground');
    await t.client.patch(ConfigMap, { namespace, name: 'b' }, 'merge', { metadata: { ownerReferences: null } });
    await t.settle();
    expect(await names()).toEqual(['b']);
  });

  test('a dependent with another living owner stays', async () => {
    const [a, other] = [await map('a'), await map('other')];
    await map('b', [refTo(a, blocking), refTo(other)]);
    await remove(a, 'Foreground');
    expect(await names()).toEqual(['b', 'other']);
    expect(await ownersOf('b')).toEqual(['other']);
  });

  test('two that own each other both go', async () => {
    const a = await map('a');
    const b = await map('b', [refTo(a, blocking)]);
    await t.client.patch(ConfigMap, { namespace, name: 'a' }, 'merge', {
      metadata: { ownerReferences: [refTo(b, blocking)] },
    });
    await remove(a, 'Foreground');
    expect(await names()).toEqual([]);
  });
});

describe('orphan', () => {
  test('dependents lose the owner and stay, with their other owners', async () => {
    const [a, other] = [await map('a'), await map('other')];
    const b = await map('b', [refTo(a), refTo(other)]);
    await map('c', [refTo(a)]);
    await map('d', [refTo(b)]);
    await remove(a, 'Orphan');
    expect(await names()).toEqual(['b', 'c', 'd', 'other']);
    expect([await ownersOf('b'), await ownersOf('c'), await ownersOf('d')]).toEqual([['other'], undefined, ['b']]);
  });
});

describe('namespaces', () => {
  test('cluster-scoped owners and dependents', async () => {
    const node = await create(Node, 'n');
    await map('in-namespace', [refTo(node)]);
    await create(ClusterRole, 'r', [refTo(node)]);
    await remove(node, 'Background', Node);
    expect(await names()).toEqual([]);
    expect((await t.client.list(ClusterRole)).items).toEqual([]);
  });

  test('an owner in another namespace does not exist; the dependent goes, and an event says why', async () => {
    await t.client.create(Namespace, { metadata: { name: 'other' } } as never);
    const owner = await t.client.create(Secret, { metadata: { name: 's', namespace: 'other' } } as never);
    await map('a', [refTo(owner)]);
    await t.settle();
    expect(await names()).toEqual([]);
    expect(await warnings()).toEqual([
      `a OwnerRefInvalidNamespace: ownerRef [v1/Secret, namespace: default, name: s, uid: ${owner.metadata.uid}] does not exist in namespace "default"`,
    ]);
  });

  test('a cluster-scoped object of a namespaced owner is never collected', async () => {
    const [node, owner] = [await create(Node, 'n'), await map('a')];
    await create(ClusterRole, 'r', [refTo(owner), refTo(node)]);
    await remove(owner);
    await remove(node, 'Background', Node);
    expect((await t.client.list(ClusterRole)).items).toHaveLength(1);
    expect((await warnings())[0]).toContain(`does not exist in namespace ""`);
  });
});

test('a change that leaves the owners alone asks nothing', async () => {
  const a = await map('a');
  await map('b', [refTo(a)]);
  await t.client.patch(ConfigMap, { namespace, name: 'b' }, 'merge', { data: { x: 'y' } });
  await t.settle();
  expect(calls).toEqual([]);
});
