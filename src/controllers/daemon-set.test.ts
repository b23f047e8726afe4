import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControllerRevision } from '../api/kinds/apps/controller-revision.ts';
import { DaemonSet } from '../api/kinds/apps/daemon-set.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { startControllers, type TestControllers } from '../cluster/test-controllers.ts';
import { daemonSetController } from './daemon-set.ts';
import { targetNode } from './daemon-set-nodes.ts';

let t: TestControllers;
beforeEach(async () => {
  t = await startControllers([daemonSetController]);
  for (const name of ['n1', 'n2', 'n3']) await t.client.create(Node, { metadata: { name } } as never);
});
afterEach(() => t.stop());

const ref = { namespace: 'default', name: 'ds' };
const labels = { app: 'ds' };
const create = async (spec: object = {}) => {
  await t.client.create(DaemonSet, {
    metadata: ref,
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'c:1' }] } },
      ...spec,
    },
  } as never);
  await t.settle();
};
const image = async (tag: string) => {
  const spec = { template: { spec: { containers: [{ name: 'c', image: `c:${tag}` }] } } };
  await t.client.patch(DaemonSet, ref, 'strategic', { spec });
  await t.settle();
};
/** Binds pods where they want to go, makes them ready, removes those on their way out. */
const kubelets = async () => {
  for (const pod of await t.pods())
    if (pod.metadata.deletionTimestamp) await t.client.delete(Pod, pod.metadata, { gracePeriodSeconds: 0 });
  await t.settle();
  await t.makeReady();
};
const roll = async () => {
  for (let before = -1; before !== t.store.revision;) {
    before = t.store.revision;
    await kubelets();
  }
};
const status = async () => (await t.client.get(DaemonSet, ref)).status;
const onNodes = async () => (await t.pods()).map((p) => `${targetNode(p)} ${p.spec.containers[0]!.image}`).sort();

describe('daemonset-controller', () => {
  it('runs one pod on every node, also on later ones', async () => {
    await create();
    expect(await onNodes()).toEqual(['n1 c:1', 'n2 c:1', 'n3 c:1']);
    await roll();
    expect(await status()).toEqual({
      currentNumberScheduled: 3,
      desiredNumberScheduled: 3,
      numberAvailable: 3,
      numberMisscheduled: 0,
      numberReady: 3,
      observedGeneration: 1,
      updatedNumberScheduled: 3,
    });
    await t.client.create(Node, { metadata: { name: 'n4' } } as never);
    await t.settle();
    expect((await onNodes()).length).toBe(4);
    const events = await t.events();
    expect(events.length).toBe(4);
    expect(events.every((e) => /^SuccessfulCreate: Created pod: ds-[a-z0-9]{5}$/.test(e))).toBe(true);
    const revision = t.store.revision;
    await t.clock.advance(600_000);
    expect(t.store.revision).toBe(revision);
  });

  it('leaves nodes that no longer fit', async () => {
    await create({
      template: {
        metadata: { labels },
        spec: { nodeSelector: { gpu: 'yes' }, containers: [{ name: 'c', image: 'c:1' }] },
      },
    });
    expect(await onNodes()).toEqual([]);
    await t.client.patch(Node, { name: 'n2' }, 'merge', { metadata: { labels: { gpu: 'yes' } } });
    await t.settle();
    expect(await onNodes()).toEqual(['n2 c:1']);
    await t.client.patch(Node, { name: 'n2' }, 'merge', { metadata: { labels: { gpu: null } } });
    await roll();
    expect(await onNodes()).toEqual([]);
    expect(await status()).toMatchObject({ desiredNumberScheduled: 0, numberMisscheduled: 0 });
  });

  it('replaces failed pods, with an event', async () => {
    await create();
    await roll();
    const [pod] = await t.pods();
    await t.client.patch(Pod, pod!.metadata, 'merge', { status: { phase: 'Failed' } }, { subresource: 'status' });
    await t.settle();
    await roll();
    expect((await t.pods()).some((p) => p.metadata.uid === pod!.metadata.uid)).toBe(false);
    expect((await onNodes()).length).toBe(3);
    const { namespace, name } = pod!.metadata;
    expect(await t.events()).toContain(
      `FailedDaemonPod: Found failed daemon pod ${namespace}/${name} on node ${targetNode(pod!)}, will try to kill it`,
    );
  });

  it('moves to a new template node by node, keeping history', async () => {
    await create({ revisionHistoryLimit: 1 });
    await roll();
    await image('2');
    expect((await t.pods()).filter((p) => p.metadata.deletionTimestamp).length).toBe(1);
    await roll();
    expect(await onNodes()).toEqual(['n1 c:2', 'n2 c:2', 'n3 c:2']);
    await image('3');
    await roll();
    expect(await onNodes()).toEqual(['n1 c:3', 'n2 c:3', 'n3 c:3']);
    await image('2');
    await roll();
    const { items } = await t.client.list(ControllerRevision);
    expect(items.map((r) => r.revision).sort()).toEqual([3, 4]);
    const current = items.find((r) => r.revision === 4)!;
    expect(current.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'DaemonSet', name: 'ds', controller: true });
    expect((await t.pods())[0]!.metadata.labels!['controller-revision-hash']).toBe(
      current.metadata.labels!['controller-revision-hash'],
    );
    expect(current.data).toMatchObject({
      spec: { template: { $patch: 'replace', spec: { containers: [{ image: 'c:2' }] } } },
    });
  });

  it('surges', async () => {
    await create({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } });
    await roll();
    await image('2');
    expect((await onNodes()).length).toBe(4);
    expect((await t.pods()).some((p) => p.metadata.deletionTimestamp)).toBe(false);
    await roll();
    expect(await onNodes()).toEqual(['n1 c:2', 'n2 c:2', 'n3 c:2']);
  });

  it('waits for deletions under OnDelete', async () => {
    await create({ updateStrategy: { type: 'OnDelete' } });
    await roll();
    await image('2');
    expect(await onNodes()).toEqual(['n1 c:1', 'n2 c:1', 'n3 c:1']);
    expect(await status()).toMatchObject({ numberReady: 3 });
    expect((await status())?.updatedNumberScheduled).toBeUndefined();
    const [pod] = await t.pods();
    await t.client.delete(Pod, pod!.metadata, { gracePeriodSeconds: 0 });
    await roll();
    expect((await onNodes()).filter((p) => p.endsWith('c:2')).length).toBe(1);
  });

  it('adopts pods and revisions that are its own by label', async () => {
    await create();
    await roll();
    const before = (await t.pods()).map((p) => p.metadata.uid).sort();
    const [revision] = (await t.client.list(ControllerRevision)).items;
    await t.client.delete(DaemonSet, ref, { propagationPolicy: 'Orphan' });
    for (const pod of await t.pods())
      await t.client.patch(Pod, pod.metadata, 'merge', { metadata: { ownerReferences: null } });
    await t.client.patch(ControllerRevision, revision!.metadata, 'merge', { metadata: { ownerReferences: null } });
    await t.client.patch(DaemonSet, ref, 'merge', { metadata: { finalizers: null } }).catch(() => {});
    await create();
    const pods = await t.pods();
    expect(pods.map((p) => p.metadata.uid).sort()).toEqual(before);
    const { uid } = (await t.client.get(DaemonSet, ref)).metadata;
    expect(pods.every((p) => p.metadata.ownerReferences?.[0]?.uid === uid)).toBe(true);
    const revisions = (await t.client.list(ControllerRevision)).items;
    expect(revisions.map((r) => r.metadata.ownerReferences?.[0]?.uid)).toEqual([uid]);
  });
});
