import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { builtinKinds } from '../api/kinds/index.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Secret } from '../api/kinds/core/secret.ts';
import { ServiceAccount } from '../api/kinds/core/service-account.ts';
import { Lease } from '../api/kinds/coordination/lease.ts';
import { ClusterRole } from '../api/kinds/rbac/cluster-role.ts';
import type { AnyKind } from '../api/kind.ts';
import { StatusError } from '../api/errors.ts';
import type { AdmissionPlugin } from '../server/admission.ts';
import { namespaceLifecycle as terminatingNamespaces } from '../server/admission/namespace-lifecycle.ts';
import { startControllers, type TestControllers } from '../cluster/test-controllers.ts';
import { namespaceLifecycle } from './namespace.ts';
import { rootCa } from './root-ca.ts';
import { serviceAccount } from './service-account.ts';

let t: TestControllers;
/** Names that cannot be deleted now. */
let refused: Set<string>;
const refusing: AdmissionPlugin = {
  name: 'Refusing',
  handles: (operation) => operation === 'DELETE',
  validate({ old }) {
    if (refused.has(old!.metadata.name)) throw new StatusError('Forbidden', `${old!.metadata.name} must stay`);
  },
};
beforeEach(async () => {
  refused = new Set();
  t = await startControllers([namespaceLifecycle(() => builtinKinds), serviceAccount, rootCa('PEM')], {
    admission: (caches) => [terminatingNamespaces(caches), refusing],
  });
  await make('shop');
});
afterEach(() => t.stop());

async function make(name: string) {
  await t.client.create(Namespace, { metadata: { name } } as never);
  await t.settle();
}
const create = (kind: AnyKind, name: string, rest: object = {}, metadata: object = {}) =>
  t.client.create(kind, {
    metadata: { name, ...(kind.namespaced ? { namespace: 'shop' } : {}), ...metadata },
    ...rest,
  } as never);
async function drop() {
  await t.client.delete(Namespace, { name: 'shop' });
  await t.settle();
}
const gone = () => expect(t.client.get(Namespace, { name: 'shop' })).rejects.toThrow('namespaces "shop" not found');
const conditions = async () =>
  Object.fromEntries(
    (await t.client.get(Namespace, { name: 'shop' })).status!.conditions!.map((c) => [
      c.type,
      `${c.status} ${c.reason}: ${c.message}`,
    ]),
  );
const contents = async (kind: AnyKind) =>
  (await t.client.list(kind, { namespace: 'shop' })).items.map((o) => o.metadata.name);
const podSpec = { spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] } };

describe('a namespace that is deleted', () => {
  test('goes with all it holds, and nothing else; the same name starts anew', async () => {
    const first = await t.client.get(Namespace, { name: 'shop' });
    await create(ConfigMap, 'a');
    await create(Secret, 'b');
    await create(Lease, 'c', { spec: {} });
    await create(Node, 'n', { spec: {} });
    await create(ClusterRole, 'r');
    await drop();
    await gone();
    expect(await contents(ConfigMap)).toEqual([]);
    expect((await t.client.list(Node)).items).toHaveLength(1);
    expect((await t.client.list(ClusterRole)).items).toHaveLength(1);
    await make('shop');
    expect((await t.client.get(Namespace, { name: 'shop' })).metadata.uid).not.toBe(first.metadata.uid);
    expect([await contents(ConfigMap), await contents(ServiceAccount)]).toEqual([['kube-root-ca.crt'], ['default']]);
  });

  test('waits for its pods first, and says so; the last of them lets it go', async () => {
    await create(ConfigMap, 'needed');
    await create(Pod, 'p', podSpec);
    await drop();
    expect((await t.client.get(Namespace, { name: 'shop' })).status!.phase).toBe('Terminating');
    expect(await conditions()).toEqual({
      NamespaceDeletionDiscoveryFailure: 'False ResourcesDiscovered: All resources successfully discovered',
      NamespaceDeletionGroupVersionParsingFailure:
        'False ParsedGroupVersions: All legacy kube types successfully parsed',
      NamespaceDeletionContentFailure:
        'False ContentDeleted: All content successfully deleted, may be waiting on finalization',
      NamespaceContentRemaining:
        'True SomeResourcesRemain: Some resources are remaining: pods. has 1 resource instances',
      NamespaceFinalizersRemaining: 'False ContentHasNoFinalizers: All content-preserving finalizers finished',
    });
    expect(await contents(ConfigMap)).toContain('needed');
    const more = create(ConfigMap, 'more');
    await expect(more).rejects.toThrow('because it is being terminated');
    await t.client.delete(Pod, { namespace: 'shop', name: 'p' }, { gracePeriodSeconds: 0 });
    await t.settle();
    await gone();
  });

  test('names the finalizers that hold it, and goes when they are gone', async () => {
    await create(ConfigMap, 'a', {}, { finalizers: ['test/hold', 'test/other'] });
    await create(Secret, 'b', {}, { finalizers: ['test/hold'] });
    await drop();
    expect(await conditions()).toMatchObject({
      NamespaceContentRemaining:
        'True SomeResourcesRemain: Some resources are remaining: configmaps. has 1 resource instances, secrets. has 1 resource instances',
      NamespaceFinalizersRemaining:
        'True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: test/hold in 2 resource instances, test/other in 1 resource instances',
    });
    for (const [kind, name] of [
      [ConfigMap, 'a'],
      [Secret, 'b'],
    ] as const) {
      await t.client.patch(kind as AnyKind, { namespace: 'shop', name }, 'merge', { metadata: { finalizers: null } });
    }
    await t.clock.advance(10_000);
    await gone();
  });

  test('tells of content that cannot be deleted, and deletes the rest', async () => {
    refused.add('stubborn');
    await create(ConfigMap, 'stubborn');
    await create(Secret, 'b');
    await drop();
    expect(await conditions()).toMatchObject({
      NamespaceDeletionContentFailure:
        'True ContentDeletionFailed: Failed to delete all resource types, 1 remaining: stubborn must stay',
    });
    expect(await contents(Secret)).toEqual([]);
    refused.clear();
    await t.clock.advance(10_000);
    await gone();
  });

  test('keeps to finalizers that others have put on it', async () => {
    const namespace = await t.client.get(Namespace, { name: 'shop' });
    const object = { ...namespace, spec: { finalizers: ['kubernetes', 'test/other'] } };
    await t.client.update(Namespace, object, { subresource: 'finalize' });
    await create(ConfigMap, 'a');
    await drop();
    const left = await t.client.get(Namespace, { name: 'shop' });
    expect(left.spec!.finalizers).toEqual(['test/other']);
    expect(await contents(ConfigMap)).toEqual([]);
    await t.client.update(Namespace, { ...left, spec: { finalizers: [] } }, { subresource: 'finalize' });
    await gone();
  });
});

describe('what every namespace has', () => {
  test('comes back when it is deleted or changed', async () => {
    const ref = { namespace: 'shop', name: 'kube-root-ca.crt' };
    await t.client.delete(ConfigMap, ref);
    await t.client.delete(ServiceAccount, { namespace: 'shop', name: 'default' });
    await t.settle();
    expect((await t.client.get(ConfigMap, ref)).data).toEqual({ 'ca.crt': 'PEM' });
    expect(await contents(ServiceAccount)).toEqual(['default']);
    await t.client.patch(ConfigMap, ref, 'merge', { data: { 'ca.crt': 'forged', more: 'x' } });
    await t.settle();
    expect((await t.client.get(ConfigMap, ref)).data).toEqual({ 'ca.crt': 'PEM' });
  });
});
