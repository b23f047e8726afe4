// Deaths and restarts: Coracle's process, containerd, the whole cluster; two clusters on one machine.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findContainerds } from '../../src/host/containerd/daemon.ts';
import { findProcesses, isAlive, signalProcess } from '../../src/host/processes.ts';
import type { Kubectl } from '../support/kubectl.ts';
import {
  canRunClusters,
  eventually,
  podManifest,
  startTestCluster,
  until,
  webManifest,
  type TestCluster,
} from '../support/cluster.ts';

/** What tells whether containers are the same as before: names, restarts, container IDs. */
const containers = (kubectl: Kubectl) =>
  kubectl.ok(
    `get pods -o jsonpath='{range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].containerID}{"\\n"}{end}'`,
  );

describe.skipIf(!canRunClusters)('survival', () => {
  let cluster: TestCluster;
  let kubectl: Kubectl;
  beforeAll(async () => {
    cluster = await startTestCluster('live');
    kubectl = await cluster.namespace('live');
    await kubectl.ok('apply -f -', webManifest('web', { replicas: 3 }));
    await kubectl.ok('expose deployment web --port=80 --target-port=http');
    await kubectl.ok('rollout status deployment web --timeout=60s');
    const script = 'i=0; while :; do i=$((i+1)); echo $i $(wget -qO- http://web 2>&1 || echo FAILED); sleep 0.05; done';
    await kubectl.ok('apply -f -', podManifest('client', script));
    await kubectl.ok('wait --for=condition=Ready pod/client --timeout=30s');
  });
  afterAll(async () => {
    expect((await cluster?.delete()) ?? []).toEqual([]);
  });

  test('Coracle killed under load: containers run on, Services answer, nothing is doubled, work goes on', async () => {
    const before = await containers(kubectl);
    const mark = async () => (await kubectl.ok('logs client --tail=1')).split(' ')[0];
    const last = Number(await mark());
    const watching = kubectl.start('get configmaps -w --no-headers');
    expect(await watching.line()).toMatch(/^kube-root-ca\.crt /);
    // Half of what is asked for is under way when it dies.
    const scaling = kubectl.run(['scale', 'deployment', 'web', '--replicas=6']);
    await scaling;
    await cluster.kill();
    expect((await kubectl.run(['get', 'pods'])).err).toMatch(/refused/);
    await cluster.up();
    await kubectl.ok('rollout status deployment web --timeout=60s');
    watching.stop();
    const after = await containers(kubectl);
    for (const line of before.trim().split('\n')) expect(after).toContain(line);
    expect(after.trim().split('\n').length).toBe(7);
    await eventually(mark, (now) => Number(now) > last + 20);
    const log = await kubectl.ok('logs client');
    expect(log.split('\n').filter((line) => line && !/^\d+ web-\S+ 1$/.test(line))).toEqual([]);
    const numbers = log
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ')[0]));
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
    expect(await kubectl.ok('exec client -- echo works')).toBe('works\n');
    const servers = findProcesses((words) => words[0] === 'httpd' && words.includes('/tmp/w'));
    expect(servers.length).toBe(6);
  });

  test('containerd killed: it comes back, containers run on, new ones start', async () => {
    const before = await containers(kubectl);
    const [containerd] = findContainerds(cluster.paths.run);
    expect(signalProcess(containerd!, 'SIGKILL')).toBe(true);
    await until('it is gone', () => !isAlive(containerd!));
    await kubectl.ok('apply -f -', podManifest('late', 'sleep 1000'));
    await kubectl.ok('wait --for=condition=Ready pod/late --timeout=60s');
    const after = await containers(kubectl);
    for (const line of before.trim().split('\n')) expect(after).toContain(line);
    expect(await kubectl.ok('exec late -- echo works')).toBe('works\n');
    // The node looks at itself when its runtime is back, not at the next check ten seconds on.
    await eventually(
      () => cluster.kubectl.ok('get nodes --no-headers'),
      (nodes) => / Ready /.test(nodes),
      5,
    );
  });

  test('stopped and started, a cluster has what it had', async () => {
    await kubectl.ok('create configmap kept --from-literal=a=b');
    expect(await cluster.coracle('down')).toMatch(/stopped/);
    expect(await cluster.coracle('down')).toMatch(/was not running/);
    expect((await cluster.cli('status')).code).toBe(1);
    await cluster.up();
    expect(await kubectl.ok(`get configmap kept -o jsonpath='{.data.a}'`)).toBe('b');
    await kubectl.ok('rollout status deployment web --timeout=90s');
    await kubectl.ok('wait --for=condition=Ready pod/client pod/late --timeout=90s');
    await eventually(
      () => kubectl.ok('exec client -- sh -c "wget -qO- http://web || true"'.replaceAll('"', `'`)),
      (answer) => /^web-\S+ 1\n$/.test(answer),
    );
    expect(await cluster.coracle('up')).toMatch(/is up already/);
    expect(await cluster.coracle('status')).toMatch(/running/);
  });

  test('a second cluster beside the first', async () => {
    const second = await startTestCluster('twin');
    try {
      const there = await second.namespace('there');
      await there.ok('apply -f -', webManifest('web', { replicas: 1, version: 'second' }));
      await there.ok('expose deployment web --port=80 --target-port=http');
      await there.ok('rollout status deployment web --timeout=60s');
      expect(await there.ok(`exec deployment/web -- wget -qO- http://web`)).toMatch(/ second\n$/);
      expect(await kubectl.ok('exec deployment/web -- wget -qO- http://web')).toMatch(/ 1\n$/);
      expect(await second.kubectl.ok('get namespaces -o name')).not.toContain('live');
      expect(second.network.slot).not.toBe(cluster.network.slot);
    } finally {
      expect(await second.delete()).toEqual([]);
    }
    expect(await kubectl.ok('exec deployment/web -- wget -qO- http://web')).toMatch(/ 1\n$/);
  });
});
