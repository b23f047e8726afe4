import { afterEach, describe, expect, it } from 'vitest';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { StatusError } from '../api/errors.ts';
import type { KubeObject } from '../api/object.ts';
import type { WatchSink } from '../api/op.ts';
import { Client } from '../client/client.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { kubeletConfig } from './config.ts';
import { PREFIX } from './simulated-behaviour.ts';
import { runSimulatedNodes } from './simulated-node.ts';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function fleet(size: number, server: TestServer = createTestServer(), watching = server.client) {
  const { client, env, clock } = server;
  const abort = new AbortController();
  for (const name of ['default', 'kube-node-lease']) {
    await client.create(Namespace, { metadata: { name }, spec: {} }).catch(() => {});
  }
  const running = runSimulatedNodes(
    {
      env,
      informers: createInformerFactory({ client: watching, env }, { signal: abort.signal }),
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

/** A client whose watches can be made to miss events, and then to learn that their history is gone. */
function forgetful(server: TestServer) {
  let deaf = false;
  const ends: (() => void)[] = [];
  const client = new Client(async (op, options) => {
    const result = await server.client.do(op, options?.signal);
    if (result.type !== 'watch') return result;
    const { stream } = result;
    const start = (sink: WatchSink) => {
      const status = new StatusError('Expired', 'too old').toStatus() as unknown as KubeObject;
      ends.push(() => sink.events([{ type: 'ERROR', object: status }]));
      stream.start({ events: (batch) => deaf || sink.events(batch), closed: () => sink.closed() });
    };
    return { type: 'watch', stream: { start, stop: () => stream.stop() } };
  }, 'forgetful');
  return {
    client,
    miss: () => (deaf = true),
    relist: () => {
      deaf = false;
      for (const end of ends.splice(0)) end();
    },
  };
}

describe('simulated nodes', () => {
  it('see a deletion whose event they missed, though they have written since', async () => {
    const server = createTestServer();
    const watching = forgetful(server);
    const f = await fleet(1, server, watching.client);
    await f.create('p', { 'crash-loop': '10' });
    await f.clock.advance(5000);
    watching.miss();
    await f.client.delete(Pod, { namespace: 'default', name: 'p' });
    await f.clock.advance(8000);
    expect((await f.pod('p')).status?.containerStatuses?.[0]?.restartCount).toBe(1);
    watching.relist();
    // Sooner than its container would start again, and look.
    await f.clock.advance(4000);
    await expect(f.pod('p')).rejects.toThrow('not found');
  });

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
