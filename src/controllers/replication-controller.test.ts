import { afterEach, beforeEach, expect, it } from 'vitest';
import { ReplicationController } from '../api/kinds/core/replication-controller.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { startControllers, type TestControllers } from '../cluster/test-controllers.ts';
import { replicationController } from './replication-controller.ts';

let t: TestControllers;
beforeEach(async () => {
  t = await startControllers([replicationController]);
});
afterEach(() => t.stop());

const ref = { namespace: 'default', name: 'rc' };

it('keeps its pods by a plain map of labels', async () => {
  await t.client.create(ReplicationController, {
    metadata: ref,
    spec: {
      replicas: 2,
      selector: { app: 'rc' },
      template: { metadata: { labels: { app: 'rc' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  } as never);
  await t.settle();
  await t.makeReady();
  const [pod] = await t.pods();
  expect(pod!.metadata.ownerReferences).toMatchObject([
    { apiVersion: 'v1', kind: 'ReplicationController', name: 'rc' },
  ]);
  expect((await t.client.get(ReplicationController, ref)).status).toEqual({
    replicas: 2,
    fullyLabeledReplicas: 2,
    readyReplicas: 2,
    availableReplicas: 2,
    observedGeneration: 1,
  });
  await t.client.patch(Pod, pod!.metadata, 'merge', { metadata: { labels: { app: 'debug' } } });
  await t.settle();
  const pods = await t.pods();
  expect(pods.length).toBe(3);
  expect(pods.filter((p) => p.metadata.ownerReferences?.length).length).toBe(2);
  const { events } = t;
  expect((await events()).every((e) => e.startsWith('SuccessfulCreate: Created pod: rc-'))).toBe(true);
});
