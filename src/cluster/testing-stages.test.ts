// The stages of simulated pods, as annotations and scenarios set them: the same for records and for whole kubelets.

import { describe, expect, test } from 'vitest';
import type { Probe } from '../api/generated/core-v1.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { TestCluster, type Scenario } from './testing.ts';

const NAME = 'simulator.coracle.dev';

interface Brief {
  readonly annotations?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly restartPolicy?: string;
  readonly readinessProbe?: Probe;
}

describe.each(['simulated', 'full'] as const)('%s', (kubelet) => {
  const start = (scenario?: Scenario) => TestCluster.start({ kubelet, seed: 1, ...(scenario ? { scenario } : {}) });
  const create = async (cluster: TestCluster, name: string, pod: Brief) => {
    const { annotations = {}, labels = {}, restartPolicy = 'Always', readinessProbe } = pod;
    const container = { name: 'c', image: 'app:1', ...(readinessProbe ? { readinessProbe } : {}) };
    await cluster.client.create(Pod, {
      metadata: { name, namespace: 'default', annotations, labels },
      spec: { restartPolicy, containers: [container] },
    });
  };
  const look = async (cluster: TestCluster, name: string) => {
    const { status } = await cluster.client.get(Pod, { namespace: 'default', name });
    const container = status?.containerStatuses?.[0];
    const { waiting, running, terminated } = container?.state ?? {};
    const ready = status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';
    const state = waiting?.reason ?? terminated?.reason ?? (running ? 'Running' : undefined);
    return { phase: status?.phase, state, ready, restarts: container?.restartCount, code: terminated?.exitCode };
  };

  test('a start that takes its time', async () => {
    await using cluster = await start();
    await create(cluster, 'slow', { annotations: { [`${NAME}/start-delay`]: '30' } });
    await cluster.advance('20s');
    expect(await look(cluster, 'slow')).toMatchObject({ phase: 'Pending', state: 'ContainerCreating', ready: false });
    await cluster.advance('20s');
    expect(await look(cluster, 'slow')).toMatchObject({ phase: 'Running', state: 'Running', ready: true });
  });

  test('an end with a code, for good', async () => {
    await using cluster = await start();
    const fails = { [`${NAME}/exit-after`]: '5', [`${NAME}/exit-code`]: '3', [`${NAME}/exit-reason`]: 'OOMKilled' };
    await create(cluster, 'fails', { annotations: fails, restartPolicy: 'Never' });
    await create(cluster, 'succeeds', { annotations: { [`${NAME}/exit-after`]: '5' }, restartPolicy: 'Never' });
    await cluster.advance('10s');
    expect(await look(cluster, 'fails')).toMatchObject({ phase: 'Failed', state: 'OOMKilled', code: 3 });
    expect(await look(cluster, 'succeeds')).toMatchObject({ phase: 'Succeeded', state: 'Completed', code: 0 });
  });

  test('a crash loop, with the back-off of a real one', async () => {
    await using cluster = await start();
    await create(cluster, 'loops', { annotations: { [`${NAME}/crash-loop`]: '1' } });
    await cluster.advance('15s');
    expect(await look(cluster, 'loops')).toMatchObject({ phase: 'Running', state: 'CrashLoopBackOff', ready: false });
    await cluster.advance('2h');
    // 10, 20, 40, 80 and 160 seconds, then 300 each time.
    const { restarts } = await look(cluster, 'loops');
    expect(restarts).toBeGreaterThanOrEqual(26);
    expect(restarts).toBeLessThanOrEqual(30);
  });

  test('what cannot be made, and what cannot run', async () => {
    let broken = true;
    await using cluster = await start(({ pod }) => {
      if (!broken) return {};
      return pod.name === 'unmade' ? { createError: 'no such device' } : { startError: 'no such file' };
    });
    await create(cluster, 'unmade', {});
    await create(cluster, 'unstarted', { restartPolicy: 'Never' });
    await cluster.advance('5s');
    expect(await look(cluster, 'unmade')).toMatchObject({ phase: 'Pending', state: 'CreateContainerError' });
    expect(await look(cluster, 'unstarted')).toMatchObject({ phase: 'Failed', state: 'StartError', code: 128 });
    broken = false;
    await cluster.advance('1m');
    expect(await look(cluster, 'unmade')).toMatchObject({ phase: 'Running', ready: true });
  });

  test('readiness that comes later, for every kind of probe', async () => {
    await using cluster = await start();
    const probes: Record<string, Probe> = {
      http: { httpGet: { path: '/', port: 80 } },
      tcp: { tcpSocket: { port: 80 } },
      exec: { exec: { command: ['ready'] } },
    };
    const annotations = { [`${NAME}/ready-after`]: '60' };
    for (const [name, probe] of Object.entries(probes)) {
      await create(cluster, name, { annotations, readinessProbe: { ...probe, periodSeconds: 5 } });
    }
    await cluster.advance('50s');
    for (const name in probes) expect(await look(cluster, name)).toMatchObject({ state: 'Running', ready: false });
    await cluster.advance('20s');
    for (const name in probes) expect(await look(cluster, name)).toMatchObject({ state: 'Running', ready: true });
  });

  test('a scenario by label and attempt; annotations where it does not say', async () => {
    await using cluster = await start(({ pod, image, attempt }) => {
      if (pod.labels['app'] !== 'flaky') return undefined;
      expect(image).toBe('app:1');
      return attempt < 2 ? { exitAfter: 1000, exitCode: 1 } : {};
    });
    await create(cluster, 'flaky', { labels: { app: 'flaky' } });
    await create(cluster, 'annotated', { annotations: { [`${NAME}/exit-after`]: '1' }, restartPolicy: 'Never' });
    await cluster.advance('5m');
    expect(await look(cluster, 'flaky')).toMatchObject({ state: 'Running', restarts: 2, ready: true });
    expect(await look(cluster, 'annotated')).toMatchObject({ phase: 'Succeeded' });
  });
});
