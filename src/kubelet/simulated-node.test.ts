import { afterEach, describe, expect, it } from 'vitest';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { kubeletConfig } from './config.ts';
import { PREFIX } from './simulated-behaviour.ts';
import { runSimulatedNodes } from './simulated-node.ts';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function fleet(size: number, server: TestServer = createTestServer()) {
  const { client, env, clock } = server;
  const abort = new AbortController();
  for (const name of ['default', 'kube-node-lease']) {
    await client.create(Namespace, { metadata: { name }, spec: {} }).catch(() => {});
  }
  const running = runSimulatedNodes(
    {
      env,
      informers: createInformerFactory({ client, env }, { signal: abort.signal }),
      nodes: Array.from({ length: size }, (_, i) => ({
        client,
        config: kubeletConfig({ nodeName: `n${i}`, nodeIPs: [`192.168.0.${i}`], port: 0 }),
      })),
    },
    { signal: abort.signal },
  );
  await clock.advance(1);
  const stop = async () => {
    abort.abort(new Error('the test is over'));
    await running;
  };
  ends.push(async () => {
    await stop();
    server.close();
  });
  const create = (name: string, says: Record<string, string> = {}, spec: object = {}) =>
    client.create(Pod, {
      metadata: {
        name,
        namespace: 'default',
        annotations: Object.fromEntries(Object.entries(says).map(([k, v]) => [PREFIX + k, v])),
      },
      spec: { nodeName: 'n0', containers: [{ name: 'c', image: 'busybox:1' }], ...spec },
    });
  const pod = (name: string) => client.get(Pod, { namespace: 'default', name });
  return { server, client, clock, create, pod, stop };
}

describe('simulated nodes', () => {
  it('register, and run a pod with a single status write', async () => {
    const f = await fleet(3);
    const nodes = await f.client.list(Node);
    expect(nodes.items.map((n) => n.status?.conditions?.find((c) => c.type === 'Ready')?.status)).toEqual(
      Array(3).fill('True'),
    );
    const made = await f.create('p');
    await f.clock.advance(100);
    const pod = await f.pod('p');
    expect(pod.status).toMatchObject({ phase: 'Running', podIP: '10.0.0.0', hostIP: '192.168.0.0' });
    expect(pod.status?.conditions?.find((c) => c.type === 'Ready')?.status).toBe('True');
    expect(Number(pod.metadata.resourceVersion) - Number(made.metadata.resourceVersion)).toBe(1);
    await f.client.delete(Pod, { namespace: 'default', name: 'p' });
    await f.clock.advance(100);
    await expect(f.pod('p')).rejects.toThrow('not found');
  });

  it('follow the annotations of pods', async () => {
    const f = await fleet(1);
    await f.create('slow', { 'start-delay': '5', 'stop-after': '3' });
    await f.create('job', { 'exit-after': '2' }, { restartPolicy: 'Never' });
    await f.create('crash', { 'crash-loop': '1' });
    const readinessProbe = { tcpSocket: { port: 1 } };
    const ready = { containers: [{ name: 'c', image: 'busybox:1', readinessProbe }] };
    await f.create('late', { 'ready-after': '4' }, ready);
    await f.clock.advance(3000);
    expect((await f.pod('slow')).status?.phase).toBe('Pending');
    expect((await f.pod('job')).status?.phase).toBe('Succeeded');
    expect((await f.pod('crash')).status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { waiting: { reason: 'CrashLoopBackOff' } },
    });
    expect((await f.pod('late')).status?.containerStatuses?.[0]?.ready).toBe(false);
    await f.clock.advance(3000);
    expect((await f.pod('slow')).status?.phase).toBe('Running');
    expect((await f.pod('late')).status?.containerStatuses?.[0]?.ready).toBe(true);
    await f.client.delete(Pod, { namespace: 'default', name: 'slow' });
    await f.clock.advance(2000);
    expect((await f.pod('slow')).status?.phase).toBe('Running');
    await f.clock.advance(2000);
    await expect(f.pod('slow')).rejects.toThrow('not found');
  });

  it('take up what an earlier run has left running', async () => {
    const f = await fleet(1);
    await f.create('p');
    await f.clock.advance(100);
    const before = await f.pod('p');
    await f.stop();
    await fleet(1, f.server);
    await f.clock.advance(100);
    expect((await f.pod('p')).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });
});
