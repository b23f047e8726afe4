// Deployments change while clients ask: nothing is lost, history is kept, what stops can go on. Also DaemonSets.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  canRunClusters,
  eventually,
  podManifest,
  startTestCluster,
  until,
  webManifest,
  type TestCluster,
} from '../support/cluster.ts';

// As one runs web servers: not asked any more before they are gone.
const careful = {
  pod: { terminationGracePeriodSeconds: 5 },
  container: {
    lifecycle: { preStop: { sleep: { seconds: 1 } } },
    readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
  },
};

describe.skipIf(!canRunClusters)('rollouts', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startTestCluster('roll');
  });
  afterAll(async () => {
    expect((await cluster?.delete()) ?? []).toEqual([]);
  });

  test('a rolling update without one failed request', async () => {
    const kubectl = await cluster.namespace('update');
    const at = (version: string) => webManifest('web', { replicas: 3, version, ...careful });
    await kubectl.ok('apply -f -', at('1'));
    await kubectl.ok('expose deployment web --port 80 --target-port http');
    await kubectl.ok('rollout status deployment web --timeout=60s');
    const script =
      'while [ ! -e /tmp/stop ]; do wget -qO- http://web 2>&1 || echo FAILED; done; echo finished; sleep 1000';
    await kubectl.ok('apply -f -', podManifest('client', script));
    await kubectl.ok('wait --for=condition=Ready pod/client --timeout=30s');
    await kubectl.ok('apply -f -', at('2'));
    expect(await kubectl.ok('rollout status deployment web --timeout=60s')).toMatch(
      /deployment "web" successfully rolled out\n$/,
    );
    await until('all old pods are gone', async () => {
      const pods = await kubectl.ok('get pods -l app=web --no-headers');
      return pods.trim().split('\n').length === 3;
    });
    await kubectl.ok('exec client -- touch /tmp/stop');
    const answers = await eventually(
      () => kubectl.ok('logs client'),
      (log) => log.endsWith('finished\n'),
    );
    const lines = answers.trim().split('\n');
    expect(lines.filter((line) => !/^web-\S+ [12]$|^finished$/.test(line))).toEqual([]);
    expect(lines.length).toBeGreaterThan(50);
    expect(lines[0]).toMatch(/ 1$/);
    expect(lines.at(-2)).toMatch(/ 2$/);
    expect(new Set(lines).size).toBe(7);
  });

  test('set image, status, history, undo, pause, resume, restart', async () => {
    const kubectl = await cluster.namespace('history');
    const image = () => kubectl.ok(`get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'`);
    const status = () => kubectl.ok('rollout status deployment web --timeout=60s');
    await kubectl.ok('apply -f -', webManifest('web', { replicas: 2 }));
    await status();
    const good = await image();
    expect(await kubectl.ok('set image deployment/web web=127.0.0.1:1/web:2')).toBe(
      'deployment.apps/web image updated\n',
    );
    await eventually(
      () => kubectl.ok('get pods --no-headers'),
      (pods) => /ImagePullBackOff/.test(pods),
    );
    expect(await kubectl.fails('rollout status deployment web --timeout=1s')).toBe(
      'error: timed out waiting for the condition',
    );
    expect(await kubectl.ok('get deployment web --no-headers')).toMatch(/^web +2\/2 +1 +2 /);
    expect(await kubectl.ok('rollout undo deployment web')).toBe('deployment.apps/web rolled back\n');
    await status();
    expect(await image()).toBe(good);
    expect((await kubectl.ok('rollout history deployment web')).match(/^\d+/gm)).toEqual(['2', '3']);
    expect(await kubectl.ok('rollout history deployment web --revision=2')).toContain('127.0.0.1:1/web:2');
    expect(await kubectl.ok('rollout pause deployment web')).toBe('deployment.apps/web paused\n');
    expect(await kubectl.fails('rollout pause deployment web')).toBe('error: deployments.apps "web" is already paused');
    await kubectl.ok('set env deployment/web VERSION=9');
    expect(await kubectl.fails('rollout undo deployment web')).toMatch(/cannot rollback a paused deployment/);
    expect(await kubectl.ok('get replicasets --no-headers')).not.toMatch(/(.*\n){3}/);
    expect(await kubectl.ok('rollout resume deployment web')).toBe('deployment.apps/web resumed\n');
    await status();
    const before = await kubectl.ok('get pods -o name');
    expect(await kubectl.ok('rollout restart deployment web')).toBe('deployment.apps/web restarted\n');
    await status();
    await eventually(
      () => kubectl.ok('get pods -o name'),
      (names) => names.split('\n').every((name) => name === '' || !before.includes(name)),
    );
    expect(await kubectl.ok('describe deployment web')).toMatch(
      /ScalingReplicaSet .* deployment-controller +Scaled up replica set web-\S+ from 0 to 2\n/,
    );
    await kubectl.ok('delete deployment web');
  });

  test('a DaemonSet has a pod on every node, and updates it', async () => {
    const kubectl = await cluster.namespace('daemon');
    const at = (version: string) => {
      const deployment = JSON.parse(webManifest('agent', { version })) as { spec: Record<string, unknown> };
      const { replicas: _, ...spec } = deployment.spec;
      return JSON.stringify({ ...deployment, kind: 'DaemonSet', spec });
    };
    await kubectl.ok('apply -f -', at('1'));
    await kubectl.ok('rollout status daemonset agent --timeout=30s');
    const nodes = (await cluster.kubectl.ok(`get nodes -o jsonpath='{.items[*].metadata.name}'`)).split(' ');
    const on = async () =>
      (await kubectl.ok(`get pods -l app=agent -o jsonpath='{.items[*].spec.nodeName}'`)).split(' ').toSorted();
    expect(await on()).toEqual(nodes.toSorted());
    await kubectl.ok('apply -f -', at('2'));
    await kubectl.ok('rollout status daemonset agent --timeout=30s');
    expect(await kubectl.ok('exec daemonset/agent -- cat /tmp/w/index.html')).toMatch(/ 2\n$/);
    expect((await kubectl.ok('rollout history daemonset agent')).match(/^\d+/gm)).toEqual(['1', '2']);
    expect(await kubectl.ok('get daemonset agent --no-headers')).toMatch(/^agent +1 +1 +1 +1 +1 +<none> /);
    const pod = (await kubectl.ok('get pods -o name')).trim();
    await kubectl.ok(`delete ${pod}`);
    await kubectl.ok('rollout status daemonset agent --timeout=30s');
    expect(await kubectl.ok('get pods -o name')).not.toContain(pod);
    await kubectl.ok('delete daemonset agent');
  });
});
