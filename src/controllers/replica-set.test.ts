import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { StatusError } from '../api/errors.ts';
import type { AdmissionPlugin } from '../server/admission.ts';
import { startControllers, type TestControllers } from '../cluster/test-controllers.ts';
import { replicaSetController } from './replica-set.ts';

let t: TestControllers;
beforeEach(async () => {
  t = await startControllers([replicaSetController]);
});
afterEach(() => t.stop());

const labels = { app: 'web' };
const spec = (replicas: number, extra: object = {}) => ({
  replicas,
  selector: { matchLabels: labels },
  template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web:1' }] } },
  ...extra,
});
const createSet = async (replicas: number, extra: object = {}, name = 'web') => {
  await t.client.create(ReplicaSet, { metadata: { name, namespace: 'default' }, spec: spec(replicas, extra) } as never);
  await t.settle();
};
const ref = { namespace: 'default', name: 'web' };
const scale = async (replicas: number) => {
  await t.client.patch(ReplicaSet, ref, 'merge', { spec: { replicas } });
  await t.settle();
};
const status = async () => (await t.client.get(ReplicaSet, ref)).status;
const freePod = (name: string, extra: object = {}) =>
  t.client.create(Pod, {
    metadata: { name, namespace: 'default', labels, ...extra },
    spec: { containers: [{ name: 'web', image: 'web:1' }] },
  } as never);

describe('replicaset-controller', () => {
  it('creates the pods asked for and reports them', async () => {
    await createSet(3);
    const pods = await t.pods();
    expect(pods.length).toBe(3);
    const set = await t.client.get(ReplicaSet, ref);
    for (const pod of pods) {
      expect(pod.metadata.name).toMatch(/^web-[a-z0-9]{5}$/);
      expect(pod.metadata.generateName).toBe('web-');
      expect(pod.metadata.ownerReferences).toEqual([
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: 'web',
          uid: set.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ]);
    }
    expect(set.status).toEqual({
      replicas: 3,
      fullyLabeledReplicas: 3,
      terminatingReplicas: 0,
      observedGeneration: set.metadata.generation,
    });
    await t.makeReady();
    expect(await status()).toMatchObject({ replicas: 3, readyReplicas: 3, availableReplicas: 3 });
    expect((await t.events()).sort()).toEqual(
      pods.map((p) => `SuccessfulCreate: Created pod: ${p.metadata.name}`).sort(),
    );
  });

  it('writes nothing once all is well', async () => {
    await createSet(3);
    await t.makeReady();
    const revision = t.store.revision;
    await t.clock.advance(600_000);
    await t.settle();
    expect(t.store.revision).toBe(revision);
  });

  it('replaces what is deleted or has failed, deletes what is too much', async () => {
    await createSet(3);
    await t.makeReady();
    const [first, second] = await t.pods();
    await t.client.delete(Pod, first!.metadata, { gracePeriodSeconds: 0 });
    await t.client.patch(Pod, second!.metadata, 'merge', { status: { phase: 'Failed' } }, { subresource: 'status' });
    await t.settle();
    expect((await t.pods()).filter((p) => p.status?.phase !== 'Failed').length).toBe(3);
    await freePod('fourth');
    await t.settle();
    const active = (await t.pods()).filter((p) => p.status?.phase !== 'Failed' && !p.metadata.deletionTimestamp);
    expect(active.length).toBe(3);
    await scale(1);
    await scale(0);
    expect(await status()).toMatchObject({ replicas: 0 });
  });

  it('adopts matching orphans and releases what no longer matches', async () => {
    await freePod('orphan');
    await freePod('stranger', { labels: { app: 'other' } });
    await createSet(2);
    const pods = await t.pods();
    expect(pods.filter((p) => p.metadata.ownerReferences).length).toBe(2);
    expect(pods.find((p) => p.metadata.name === 'orphan')!.metadata.ownerReferences?.[0]?.name).toBe('web');
    await t.client.patch(Pod, { namespace: 'default', name: 'orphan' }, 'merge', {
      metadata: { labels: { app: 'off' } },
    });
    await t.settle();
    const after = await t.pods();
    expect(after.find((p) => p.metadata.name === 'orphan')!.metadata.ownerReferences ?? []).toEqual([]);
    expect(after.filter((p) => p.metadata.ownerReferences?.length).length).toBe(2);
  });

  it('counts pods available only after minReadySeconds', async () => {
    await createSet(2, { minReadySeconds: 30 });
    const seen: (number | undefined)[] = [];
    const pods = await t.pods();
    await t.makeReady(pods.slice(0, 1));
    const rs = await t.client.get(ReplicaSet, ref);
    // makeReady settles, and settling waits for the pod to become available.
    seen.push(rs.status?.readyReplicas, rs.status?.availableReplicas);
    expect(seen).toEqual([1, 1]);
    expect(t.clock.now()).toBeGreaterThanOrEqual(Date.parse(rs.metadata.creationTimestamp) + 30_000);
  });

  it('does not create twice while the cache lags behind its writes', async () => {
    await createSet(40, {}, 'web');
    expect((await t.events()).length).toBeLessThanOrEqual(40);
    expect((await t.pods()).length).toBe(40);
    await scale(10);
    expect((await t.pods()).filter((p) => !p.metadata.deletionTimestamp).length).toBe(10);
  });

  it('leaves a set on its way out alone', async () => {
    await createSet(2);
    await t.client.patch(ReplicaSet, ref, 'merge', { metadata: { finalizers: ['example.com/hold'] } });
    await t.client.delete(ReplicaSet, ref);
    await t.settle();
    const [pod] = await t.pods();
    await t.client.delete(Pod, pod!.metadata, { gracePeriodSeconds: 0 });
    await t.settle();
    expect((await t.pods()).length).toBe(1);
    expect(await status()).toMatchObject({ replicas: 1 });
  });
});

describe('when pods are refused', () => {
  let refuse = true;
  let asked = 0;
  const quota: AdmissionPlugin = {
    name: 'Quota',
    handles: (operation) => operation === 'CREATE',
    validate({ kind }) {
      if (kind.plural !== 'pods' || !refuse) return;
      asked++;
      throw new StatusError('Forbidden', 'exceeded quota');
    },
  };

  it('says so in a condition, starts slowly, and recovers', async () => {
    await t.stop();
    t = await startControllers([replicaSetController], { admission: () => [quota] });
    await t.client.create(ReplicaSet, { metadata: ref, spec: spec(64) } as never);
    await t.clock.advance(3);
    // Once, and once more because its own status was news.
    expect(asked).toBe(2);
    expect((await status())?.conditions).toMatchObject([
      { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota' },
    ]);
    expect((await t.events())[0]).toMatch(/^FailedCreate: Error creating: exceeded quota/);
    await t.clock.advance(1000);
    expect(asked).toBeGreaterThan(2);
    expect(asked).toBeLessThan(20);
    refuse = false;
    await t.settle();
    expect((await t.pods()).length).toBe(64);
    expect((await status())?.conditions ?? []).toEqual([]);
  });
});
