// What everybody does in the first hour: run, look, read logs, execute, copy, forward, change, delete.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canRunClusters, IMAGE, podManifest, startTestCluster, type TestCluster } from '../support/cluster.ts';

describe.skipIf(!canRunClusters)('basics', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startTestCluster('basic');
  });
  afterAll(async () => {
    expect((await cluster?.delete()) ?? []).toEqual([]);
  });

  test('run, get, logs, exec, delete', async () => {
    const kubectl = await cluster.namespace('run');
    await kubectl.ok(`run web --image=${IMAGE} --command -- sh -c 'echo serving; exec httpd -f -p 8080'`);
    await kubectl.ok('wait --for=condition=Ready pod/web --timeout=30s');
    expect(await kubectl.ok('logs web')).toBe('serving\n');
    expect(await kubectl.ok(`exec web -- sh -c 'echo $HOSTNAME; hostname'`)).toBe('web\nweb\n');
    expect(await kubectl.ok('delete pod web --grace-period=1')).toMatch(/^pod "web" deleted/);
    await kubectl.ok('apply -f -', podManifest('simple', 'sleep 1000'));
    await kubectl.ok('wait --for=condition=Ready pod/simple --timeout=30s');
  });
});
