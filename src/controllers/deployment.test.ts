import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { startControllers, type TestControllers } from '../cluster/test-controllers.ts';
import { deploymentController } from './deployment.ts';
import { replicaSetController } from './replica-set.ts';

let t: TestControllers;
beforeEach(async () => {
  t = await startControllers([deploymentController, replicaSetController]);
});
afterEach(() => t.stop());

const ref = { namespace: 'default', name: 'web' };
const labels = { app: 'web' };
const create = async (replicas: number, spec: object = {}, metadata: object = {}) => {
  await t.client.create(Deployment, {
    metadata: { ...ref, ...metadata },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web:1' }] } },
      ...spec,
    },
  } as never);
  await t.settle();
};
const patch = async (spec: object) => {
  await t.client.patch(Deployment, ref, 'strategic', { spec });
  await t.settle();
};
const image = (tag: string) => patch({ template: { spec: { containers: [{ name: 'web', image: `web:${tag}` }] } } });
const get = () => t.client.get(Deployment, ref);
/** Image tag -> replicas of the sets, oldest revision first. */
const sizes = async () => {
  const { items } = await t.client.list(ReplicaSet);
  return Object.fromEntries(
    [...items]
      .sort((a, b) => revision(a) - revision(b))
      .map((s) => [s.spec.template!.spec!.containers[0]!.image!.slice(4), s.spec.replicas]),
  );
};
const revision = (o: { metadata: { annotations?: Record<string, string> } }) =>
  Number(o.metadata.annotations?.['deployment.kubernetes.io/revision']);
const condition = async (type: string) => (await get()).status?.conditions?.find((c) => c.type === type);
/** What the kubelet does with a pod that was told to go. */
const reap = async () => {
  for (const pod of await t.pods())
    if (pod.metadata.deletionTimestamp) await t.client.delete(Pod, pod.metadata, { gracePeriodSeconds: 0 });
  await t.settle();
};
const roll = async () => {
  for (let i = 0; i < 30; i++) {
    const before = t.store.revision;
    await reap();
    await t.makeReady();
    if (t.store.revision === before) return;
  }
  throw new Error('never at rest');
};

describe('deployment-controller', () => {
  it('creates a set with all that goes with it', async () => {
    await create(3, {}, { annotations: { note: 'x' } });
    const [set] = (await t.client.list(ReplicaSet)).items;
    const hash = set!.metadata.labels!['pod-template-hash']!;
    expect(set!.metadata.name).toBe(`web-${hash}`);
    expect(set!.metadata.annotations).toEqual({
      note: 'x',
      'deployment.kubernetes.io/revision': '1',
      'deployment.kubernetes.io/desired-replicas': '3',
      'deployment.kubernetes.io/max-replicas': '4',
    });
    expect((await t.pods()).map((p) => p.metadata.labels)).toEqual(
      Array.from({ length: 3 }, () => ({ app: 'web', 'pod-template-hash': hash })),
    );
    let d = await get();
    expect(revision(d)).toBe(1);
    expect(d.status).toMatchObject({ observedGeneration: 1, replicas: 3, updatedReplicas: 3, unavailableReplicas: 3 });
    expect(d.status?.conditions?.map((c) => [c.type, c.status, c.reason, c.message])).toEqual([
      ['Available', 'False', 'MinimumReplicasUnavailable', 'Deployment does not have minimum availability.'],
      ['Progressing', 'True', 'ReplicaSetUpdated', `ReplicaSet "${set!.metadata.name}" is progressing.`],
    ]);
    await t.clock.advance(2000);
    await t.makeReady();
    d = await get();
    expect(d.status).toEqual({
      observedGeneration: 1,
      replicas: 3,
      updatedReplicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
      terminatingReplicas: 0,
      conditions: expect.anything(),
    });
    expect(d.status?.conditions?.map((c) => [c.type, c.status, c.reason, c.message])).toEqual([
      ['Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.'],
      [
        'Progressing',
        'True',
        'NewReplicaSetAvailable',
        `ReplicaSet "${set!.metadata.name}" has successfully progressed.`,
      ],
    ]);
    expect(await t.events()).toContain(`ScalingReplicaSet: Scaled up replica set ${set!.metadata.name} from 0 to 3`);
  });

  it('is still once all is well', async () => {
    await create(2);
    await roll();
    const revision = t.store.revision;
    await t.clock.advance(3_000_000);
    await t.settle();
    expect(t.store.revision).toBe(revision);
  });

  it('rolls within its limits and never below the minimum', async () => {
    await create(4, { strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } } });
    await roll();
    await image('2');
    expect(await sizes()).toEqual({ 1: 3, 2: 2 });
    for (let i = 0; i < 20; i++) {
      await reap();
      const pods = (await t.pods()).filter((p) => !p.metadata.deletionTimestamp);
      const ready = pods.filter((p) => p.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'));
      expect(pods.length).toBeLessThanOrEqual(5);
      expect(ready.length).toBeGreaterThanOrEqual(3);
      const next = pods.find((p) => !ready.includes(p));
      if (!next) break;
      await t.makeReady([next]);
    }
    expect(await sizes()).toEqual({ 1: 0, 2: 4 });
    expect(revision(await get())).toBe(2);
    expect((await condition('Progressing'))?.reason).toBe('NewReplicaSetAvailable');
    const events = (await t.events())
      .filter((e) => e.startsWith('Scaling'))
      .map((e) => e.replace(/web-[a-z0-9]+/, 'S'));
    expect(events.slice(0, 3)).toEqual([
      'ScalingReplicaSet: Scaled up replica set S from 0 to 4',
      'ScalingReplicaSet: Scaled up replica set S from 0 to 1',
      'ScalingReplicaSet: Scaled down replica set S from 4 to 3',
    ]);
  });

  it('keeps the old version running when the new one does not work, and goes back', async () => {
    await create(4);
    await roll();
    const [first] = (await t.client.list(ReplicaSet)).items;
    await image('bad');
    await reap();
    expect(await sizes()).toEqual({ 1: 3, bad: 2 });
    await t.settle();
    await image('1');
    await roll();
    expect(await sizes()).toEqual({ bad: 0, 1: 4 });
    const again = await t.client.get(ReplicaSet, first!.metadata);
    expect(again.metadata.annotations).toMatchObject({
      'deployment.kubernetes.io/revision': '3',
      'deployment.kubernetes.io/revision-history': '1',
    });
    expect(revision(await get())).toBe(3);
    expect((await t.client.list(ReplicaSet)).items.length).toBe(2);
  });

  it('recreates: nothing of the new before all of the old is gone', async () => {
    await create(3, { strategy: { type: 'Recreate' } });
    await roll();
    await image('2');
    expect(await sizes()).toEqual({ 1: 0 });
    const pods = await t.pods();
    expect(pods.length).toBe(3);
    expect(pods.every((p) => p.metadata.deletionTimestamp)).toBe(true);
    for (const pod of pods.slice(1)) await t.client.delete(Pod, pod.metadata, { gracePeriodSeconds: 0 });
    await t.settle();
    expect(await sizes()).toEqual({ 1: 0 });
    await reap();
    expect(await sizes()).toEqual({ 1: 0, 2: 3 });
  });

  it('recreates though it was resized in the middle of a rollout', async () => {
    await create(3);
    await roll();
    await image('2');
    await t.client.patch(Deployment, ref, 'merge', {
      spec: { replicas: 5, strategy: { type: 'Recreate', rollingUpdate: null } },
    });
    await t.settle();
    await roll();
    expect(await sizes()).toEqual({ 1: 0, 2: 5 });
  });

  it('resizes in proportion in the middle of a rollout', async () => {
    await create(10, { strategy: { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } });
    await roll();
    await image('2');
    await reap();
    expect(await sizes()).toEqual({ 1: 8, 2: 5 });
    await patch({ replicas: 15 });
    expect(await sizes()).toEqual({ 1: 11, 2: 7 });
    await roll();
    expect(await sizes()).toEqual({ 1: 0, 2: 15 });
  });

  it('does not roll while paused, but scales; resumes', async () => {
    await create(2);
    await roll();
    await patch({ paused: true });
    expect(await condition('Progressing')).toMatchObject({ status: 'Unknown', reason: 'DeploymentPaused' });
    await image('2');
    expect(await sizes()).toEqual({ 1: 2 });
    await patch({ replicas: 3 });
    expect(await sizes()).toEqual({ 1: 3 });
    await patch({ paused: false });
    await roll();
    expect(await sizes()).toEqual({ 1: 0, 2: 3 });
    expect((await condition('Progressing'))?.reason).toBe('NewReplicaSetAvailable');
  });

  it('says when it makes no progress in time, and recovers', async () => {
    await create(1, { progressDeadlineSeconds: 10 });
    await t.clock.advance(9_000);
    await t.settle();
    expect((await condition('Progressing'))?.reason).toBe('ReplicaSetUpdated');
    await t.clock.advance(5_000);
    await t.settle();
    const [set] = (await t.client.list(ReplicaSet)).items;
    expect(await condition('Progressing')).toMatchObject({
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: `ReplicaSet "${set!.metadata.name}" has timed out progressing.`,
    });
    await roll();
    expect(await condition('Progressing')).toMatchObject({ status: 'True', reason: 'NewReplicaSetAvailable' });
  });

  it('keeps no more old sets than asked for', async () => {
    await create(1, { revisionHistoryLimit: 2 });
    for (const tag of ['2', '3', '4', '5']) {
      await roll();
      await image(tag);
    }
    await roll();
    expect(await sizes()).toEqual({ 3: 0, 4: 0, 5: 1 });
  });

  it('steps around a name that is taken by another set', async () => {
    await create(1);
    const { name } = (await t.client.list(ReplicaSet)).items[0]!.metadata;
    await t.client.delete(Deployment, ref);
    await t.client.delete(ReplicaSet, { namespace: 'default', name });
    await t.settle();
    await t.client.create(ReplicaSet, {
      metadata: { namespace: 'default', name },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: 'other' } },
        template: { metadata: { labels: { app: 'other' } }, spec: { containers: [{ name: 'x', image: 'x' }] } },
      },
    } as never);
    await create(1);
    const mine = (await t.client.list(ReplicaSet)).items.filter((s) => s.metadata.ownerReferences);
    expect(mine.length).toBe(1);
    expect(mine[0]!.metadata.name).not.toBe(name);
    expect((await get()).status?.collisionCount).toBe(1);
  });

  it('adopts a set that matches, and takes over minReadySeconds and annotations', async () => {
    await create(2);
    await roll();
    await t.client.patch(ReplicaSet, (await t.client.list(ReplicaSet)).items[0]!.metadata, 'merge', {
      metadata: { ownerReferences: null },
    });
    await t.settle();
    expect((await t.client.list(ReplicaSet)).items[0]!.metadata.ownerReferences?.[0]?.name).toBe('web');
    await t.client.patch(Deployment, ref, 'merge', {
      metadata: { annotations: { team: 'a' } },
      spec: { minReadySeconds: 7 },
    });
    await t.settle();
    const [set] = (await t.client.list(ReplicaSet)).items;
    expect(set!.spec.minReadySeconds).toBe(7);
    expect(set!.metadata.annotations?.['team']).toBe('a');
    expect((await t.client.list(ReplicaSet)).items.length).toBe(1);
  });
});
