// Workloads on simulated nodes. Tests are named after the behaviours of the conformance suite.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControllerRevision } from '../../api/kinds/apps/controller-revision.ts';
import { DaemonSet } from '../../api/kinds/apps/daemon-set.ts';
import { Deployment } from '../../api/kinds/apps/deployment.ts';
import { ReplicaSet } from '../../api/kinds/apps/replica-set.ts';
import { StatefulSet } from '../../api/kinds/apps/stateful-set.ts';
import { Node } from '../../api/kinds/core/node.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import { ReplicationController } from '../../api/kinds/core/replication-controller.ts';
import type { AnyKind } from '../../api/kind.ts';
import { controllerOf, type KubeObject } from '../../api/object.ts';
import type { Client } from '../../client/client.ts';
import { TestCluster } from '../testing.ts';
import { inDefault, make, names, podSpec, watching, workload } from './support.ts';

let cluster: TestCluster;
let client: Client;
beforeEach(async () => {
  cluster = await TestCluster.start({ seed: 1, nodes: 2 });
  client = cluster.client;
});
afterEach(() => cluster.stop());

const space = { namespace: 'default' };
const podsOf = async (app: string) =>
  (await client.list(Pod, { ...space, labelSelector: `app=${app}` })).items.filter(
    (p) => !p.metadata.deletionTimestamp,
  );
const images = async (app: string) => (await podsOf(app)).map((p) => p.spec!.containers[0]!.image);
const image = (value: string) => ({ spec: { template: { spec: { containers: [{ name: 'c', image: value }] } } } });
const patch = (kind: AnyKind, name: string, change: object) => client.patch(kind, inDefault(name), 'strategic', change);

interface Scale extends KubeObject {
  spec: { replicas: number };
  status: { replicas: number; selector: string };
}

describe.each([
  ['Deployment, completes the scaling of a Deployment subresource', Deployment],
  ['ReplicaSet, completes the scaling of a ReplicaSet subresource', ReplicaSet],
  ['Replication Controller, lifecycle', ReplicationController],
  ['StatefulSet resource Replica scaling (API)', StatefulSet],
] as const)('%s', (_, kind) => {
  test('scale', async () => {
    const body = workload('s', { replicas: 1, ...(kind === ReplicationController ? { selector: { app: 's' } } : {}) });
    await make(client, kind as AnyKind, 's', { spec: body });
    await cluster.settle();
    const subresource = { subresource: 'scale' };
    const read = () => client.get(kind as AnyKind, inDefault('s'), subresource) as Promise<Scale>;
    const replicas = async () =>
      ((await client.get(kind as AnyKind, inDefault('s'))) as KubeObject & { spec: { replicas: number } }).spec
        .replicas;
    const scale = await read();
    expect(scale).toMatchObject({
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      metadata: { name: 's' },
      spec: { replicas: 1 },
    });
    const updated = (await client.update(
      kind as AnyKind,
      { ...scale, spec: { replicas: 2 } } as Scale,
      subresource,
    )) as Scale;
    expect([updated.spec.replicas, await replicas()]).toEqual([2, 2]);
    await client.patch(kind as AnyKind, inDefault('s'), 'merge', { spec: { replicas: 4 } }, subresource);
    expect(await replicas()).toBe(4);
    await cluster.settle();
    if (kind !== StatefulSet) expect((await read()).status).toEqual({ replicas: 4, selector: 'app=s' });
  });
});

describe.each([
  ['Replica Set, adopt matching pods and release non matching pods', ReplicaSet],
  ['Replication Controller, adopt matching pods + Replication Controller, release pods', ReplicationController],
] as const)('%s', (_, kind) => {
  test('adoption', async () => {
    await make(client, Pod, 'orphan', { spec: podSpec() }, { labels: { app: 'a' } });
    await cluster.settle();
    const selector = kind === ReplicationController ? { app: 'a' } : { matchLabels: { app: 'a' } };
    await make(client, kind as AnyKind, 'owner', { spec: workload('a', { replicas: 1, selector }) });
    await cluster.settle();
    const orphan = () => client.get(Pod, inDefault('orphan'));
    expect(controllerOf(await orphan())).toMatchObject({ kind: kind.kind, name: 'owner' });
    expect(await names(client, Pod, space)).toEqual(['orphan']);
    await patch(Pod, 'orphan', { metadata: { labels: { app: 'other' } } });
    await cluster.settle();
    expect(controllerOf(await orphan())).toBeUndefined();
    expect(await podsOf('a')).toHaveLength(1);
  });
});

test('ReplicaSet, is created, Replaced and Patched', async () => {
  await make(client, Pod, 'first', { spec: podSpec() }, { labels: { app: 'r' } });
  await make(client, ReplicaSet, 'r', { spec: workload('r', { replicas: 1 }) });
  await cluster.settle();
  const scale = await client.get(ReplicaSet, inDefault('r'), { subresource: 'scale' });
  await client.update(ReplicaSet, { ...scale, spec: { replicas: 2 } } as never, { subresource: 'scale' });
  await cluster.settle();
  expect(await podsOf('r')).toHaveLength(2);
  await patch(ReplicaSet, 'r', {
    metadata: { labels: { patched: 'yes' } },
    spec: { replicas: 3, ...image('app:2').spec },
  });
  await cluster.settle();
  const set = await client.get(ReplicaSet, inDefault('r'));
  expect(set).toMatchObject({ metadata: { labels: { patched: 'yes' } }, status: { replicas: 3, readyReplicas: 3 } });
  expect((await images('r')).sort()).toEqual(['app:1', 'app:1', 'app:2']);
});

describe('Deployment', () => {
  const deploy = (more: object = {}, pod: object = {}) =>
    make(client, Deployment, 'd', { spec: workload('d', more, pod) });
  const read = () => client.get(Deployment, inDefault('d'));
  const roll = (value: string) => patch(Deployment, 'd', image(value));

  test('Deployment RollingUpdate', async () => {
    await make(client, ReplicaSet, 'old', { spec: workload('d', { replicas: 1 }) }, { labels: { app: 'd' } });
    await cluster.settle();
    await deploy({ replicas: 1 });
    await roll('app:2');
    await cluster.settle();
    const sets = (await client.list(ReplicaSet)).items;
    expect(sets.map((s) => controllerOf(s)?.name)).toEqual(['d', 'd']);
    expect(sets.find((s) => s.metadata.name === 'old')?.spec?.replicas).toBe(0);
    expect(await images('d')).toEqual(['app:2']);
  });

  test('Deployment Recreate', async () => {
    await deploy({ replicas: 1, strategy: { type: 'Recreate' } });
    await cluster.settle();
    const watch = await watching(client, Pod, space);
    await roll('app:2');
    await cluster.settle();
    const marks = watch.events
      .filter((e) => e.type !== 'MODIFIED')
      .map((e) => `${e.type} ${e.object.spec!.containers[0]!.image}`);
    expect(marks).toEqual(['DELETED app:1', 'ADDED app:2']);
  });

  test('Deployment RevisionHistoryLimit', async () => {
    await deploy({ replicas: 1, revisionHistoryLimit: 0 });
    await cluster.settle();
    await roll('app:2');
    await cluster.settle();
    const sets = (await client.list(ReplicaSet)).items;
    expect(sets.map((s) => s.spec!.template!.spec!.containers[0]!.image)).toEqual(['app:2']);
  });

  test('Deployment Rollover', async () => {
    await deploy({ replicas: 2, strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } });
    await cluster.settle();
    await patch(Deployment, 'd', { spec: { minReadySeconds: 10 } });
    await roll('app:2');
    await cluster.advance('2s');
    await roll('app:3');
    await cluster.settle();
    const sets = (await client.list(ReplicaSet)).items;
    expect(sets.map((s) => [s.spec!.template!.spec!.containers[0]!.image, s.spec!.replicas]).sort()).toEqual([
      ['app:1', 0],
      ['app:2', 0],
      ['app:3', 2],
    ]);
    expect((await read()).status).toMatchObject({ replicas: 2, updatedReplicas: 2, availableReplicas: 2 });
  });

  test('Deployment Proportional Scaling', async () => {
    await deploy({ replicas: 10, strategy: { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } });
    await cluster.settle();
    // The second template's pods never become ready.
    await patch(Deployment, 'd', {
      spec: {
        template: {
          spec: {
            containers: [
              {
                name: 'c',
                image: 'app:404',
                readinessProbe: { exec: { command: ['false'] }, periodSeconds: 3600, initialDelaySeconds: 3600 },
              },
            ],
          },
        },
      },
    });
    await cluster.advance('30s');
    const sizes = async () =>
      Object.fromEntries(
        (await client.list(ReplicaSet)).items.map((s) => [
          s.spec!.template!.spec!.containers[0]!.image,
          s.spec!.replicas,
        ]),
      );
    expect(await sizes()).toEqual({ 'app:1': 8, 'app:404': 5 });
    await patch(Deployment, 'd', { spec: { replicas: 30 } });
    await cluster.advance('30s');
    expect(await sizes()).toEqual({ 'app:1': 20, 'app:404': 13 });
  });

  test('Deployment, completes the lifecycle of a Deployment + Deployment, status sub-resource', async () => {
    const watch = await watching(client, Deployment, { ...space, labelSelector: 'e2e=yes' });
    await make(client, Deployment, 'd', { spec: workload('d', { replicas: 1 }) }, { labels: { e2e: 'yes' } });
    await cluster.settle();
    await patch(Deployment, 'd', {
      metadata: { labels: { patched: 'yes' } },
      spec: { replicas: 2, ...image('app:2').spec },
    });
    await cluster.settle();
    const now = await read();
    expect(now.status).toMatchObject({ replicas: 2, readyReplicas: 2, observedGeneration: now.metadata.generation });
    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set by a test' };
    const updated = await client.update(
      Deployment,
      { ...now, status: { ...now.status, conditions: [...now.status!.conditions!, condition] } } as typeof now,
      { subresource: 'status' },
    );
    expect(updated.status!.conditions).toContainEqual(expect.objectContaining(condition));
    await cluster.settle();
    expect((await read()).status!.conditions).toContainEqual(expect.objectContaining(condition));
    await client.deleteCollection(Deployment, { ...space, labelSelector: 'e2e=yes' });
    await cluster.settle();
    expect([watch.types()[0], watch.types().at(-1)]).toEqual(['ADDED', 'DELETED']);
    expect(await names(client, Pod, space)).toEqual([]);
  });
});

describe('DaemonSet', () => {
  const daemon = (more: object = {}, pod: object = {}) =>
    make(client, DaemonSet, 'ds', { spec: workload('ds', more, pod) }, { labels: { app: 'ds' } });
  const nodesOf = async () => (await podsOf('ds')).map((p) => p.spec!.nodeName).sort();

  test('DaemonSet-Creation', async () => {
    await daemon();
    await cluster.settle();
    expect(await nodesOf()).toEqual(['node-1', 'node-2']);
    await client.delete(Pod, inDefault((await podsOf('ds'))[0]!.metadata.name));
    await cluster.settle();
    expect(await nodesOf()).toEqual(['node-1', 'node-2']);
  });

  test('DaemonSet-FailedPodCreation', async () => {
    await daemon();
    await cluster.settle();
    const [victim] = await podsOf('ds');
    await client.patch(
      Pod,
      inDefault(victim!.metadata.name),
      'merge',
      { status: { phase: 'Failed' } },
      { subresource: 'status' },
    );
    await cluster.settle();
    await cluster.advance('10s');
    expect(await nodesOf()).toEqual(['node-1', 'node-2']);
    expect((await podsOf('ds')).map((p) => p.metadata.name)).not.toContain(victim!.metadata.name);
  });

  test('DaemonSet-NodeSelection', async () => {
    await daemon({ updateStrategy: { type: 'RollingUpdate' } }, { nodeSelector: { color: 'blue' } });
    await cluster.settle();
    const paint = async (color: string | null) => {
      await client.patch(Node, { name: 'node-1' }, 'merge', { metadata: { labels: { color } } });
      await cluster.settle();
      return nodesOf();
    };
    expect(await nodesOf()).toEqual([]);
    expect(await paint('blue')).toEqual(['node-1']);
    expect(await paint('green')).toEqual([]);
    await patch(DaemonSet, 'ds', { spec: { template: { spec: { nodeSelector: { color: 'green' } } } } });
    await cluster.settle();
    expect(await nodesOf()).toEqual(['node-1']);
  });

  test('DaemonSet-RollingUpdate + ControllerRevision, resource lifecycle', async () => {
    await daemon();
    await cluster.settle();
    const hash = async () => new Set((await podsOf('ds')).map((p) => p.metadata.labels!['controller-revision-hash']));
    const before = await hash();
    await patch(DaemonSet, 'ds', image('app:2'));
    await cluster.settle();
    expect(await images('ds')).toEqual(['app:2', 'app:2']);
    const after = await hash();
    expect([before.size, after.size, [...before][0] === [...after][0]]).toEqual([1, 1, false]);
    const revisions = (await client.list(ControllerRevision, { ...space, labelSelector: 'app=ds' })).items;
    expect(revisions.map((r) => [r.revision, controllerOf(r)?.name]).sort()).toEqual([
      [1, 'ds'],
      [2, 'ds'],
    ]);
    const old = revisions.find((r) => r.revision === 1)!;
    const labelled = await patch(ControllerRevision, old.metadata.name, { metadata: { labels: { e2e: 'patched' } } });
    expect(labelled.metadata.labels).toMatchObject({ e2e: 'patched' });
    await client.deleteCollection(ControllerRevision, { ...space, labelSelector: 'e2e=patched' });
    expect(await names(client, ControllerRevision, { labelSelector: 'app=ds' })).toHaveLength(1);
  });

  test('DaemonSet-Rollback', async () => {
    await daemon({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } } });
    await cluster.settle();
    const before = (await podsOf('ds')).map((p) => p.metadata.name);
    // Its pods never become ready: the update stops at the first.
    await patch(DaemonSet, 'ds', {
      spec: {
        template: {
          spec: {
            containers: [
              {
                name: 'c',
                image: 'foo:non-existent',
                readinessProbe: { exec: { command: ['false'] }, initialDelaySeconds: 3600 },
              },
            ],
          },
        },
      },
    });
    await cluster.advance('1m');
    const healthy = (await podsOf('ds')).map((p) => p.metadata.name).filter((n) => before.includes(n));
    expect(healthy).toHaveLength(1);
    await client.patch(DaemonSet, inDefault('ds'), 'json', [
      { op: 'remove', path: '/spec/template/spec/containers/0/readinessProbe' },
      { op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'app:1' },
    ]);
    await cluster.settle();
    expect((await podsOf('ds')).map((p) => p.metadata.name)).toContain(healthy[0]);
    expect(await images('ds')).toEqual(['app:1', 'app:1']);
  });

  test('DaemonSet, list and delete a collection of DaemonSets + DaemonSet, status sub-resource', async () => {
    await daemon();
    await cluster.settle();
    const now = await client.get(DaemonSet, inDefault('ds'), { subresource: 'status' });
    expect(now.status).toMatchObject({ desiredNumberScheduled: 2, numberReady: 2, numberMisscheduled: 0 });
    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set by a test' };
    const updated = await client.update(
      DaemonSet,
      { ...now, status: { ...now.status!, conditions: [condition] } },
      { subresource: 'status' },
    );
    expect(updated.status?.conditions).toMatchObject([condition]);
    await client.deleteCollection(DaemonSet, { ...space, labelSelector: 'app=ds' });
    await cluster.settle();
    expect([await names(client, DaemonSet), await names(client, Pod, space)]).toEqual([[], []]);
  });
});

test('ReplicaSet, list and delete a collection of ReplicaSets', async () => {
  await make(client, ReplicaSet, 'rs', { spec: workload('rs', { replicas: 3 }) }, { labels: { e2e: 'rs' } });
  await cluster.settle();
  expect(await names(client, ReplicaSet, { labelSelector: 'e2e=rs' })).toEqual(['rs']);
  await client.deleteCollection(ReplicaSet, { ...space, labelSelector: 'e2e=rs' });
  await cluster.settle();
  expect([await names(client, ReplicaSet), await names(client, Pod, space)]).toEqual([[], []]);
});
