// For tests: a kubelet on the simulated runtime against the real API server, all in virtual time.

import { isReason } from '../api/errors.ts';
import type { Container, PodSpec } from '../api/generated/core-v1.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import type { Draft } from '../api/object.ts';
import type { Client } from '../client/client.ts';
import type { EventNote } from '../client/controller.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { createTestServer, type TestServer } from './test-server.ts';
import { kubeletConfig, type KubeletConfig } from '../kubelet/config.ts';
import type { HostProber } from '../kubelet/host.ts';
import { runKubelet, type KubeletPods } from '../kubelet/kubelet.ts';
import type { KubeletMetrics } from '../kubelet/kubelet-metrics.ts';
import { MemoryHost } from '../kubelet/memory-host.ts';
import { SimulatedRuntime, type SimulatedRuntimeOptions } from '../kubelet/simulated-runtime.ts';

export interface TestNodeOptions {
  readonly server?: TestServer;
  readonly runtime?: SimulatedRuntime;
  readonly simulate?: Omit<SimulatedRuntimeOptions, 'env'>;
  readonly config?: Partial<KubeletConfig>;
  readonly host?: MemoryHost;
  readonly prober?: HostProber;
  readonly metrics?: KubeletMetrics;
}

export interface PodInBrief extends Partial<Omit<PodSpec, 'containers'>> {
  readonly name: string;
  readonly annotations?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly containers?: readonly Partial<Container>[];
}

export interface TestNode {
  readonly server: TestServer;
  readonly client: Client;
  readonly runtime: SimulatedRuntime;
  readonly host: MemoryHost;
  /** `reason: message` of each event about a pod or the node, in order. */
  readonly events: string[];
  readonly pods: () => KubeletPods;
  create(pod: PodInBrief): Promise<Pod>;
  pod(name: string): Promise<Pod | undefined>;
  /** Lets everything due within `ms` happen. */
  settle(ms?: number): Promise<void>;
  /** Stops the kubelet and leaves runtime, host and server as they are. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

export async function testNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const server = options.server ?? createTestServer();
  const { client, env, clock } = server;
  const runtime = options.runtime ?? new SimulatedRuntime({ env, record: true, ...options.simulate });
  const host = options.host ?? new MemoryHost(options.prober ? { prober: options.prober } : {});
  const abort = new AbortController();
  const events: string[] = [];
  let pods: KubeletPods | undefined;
  for (const name of ['default', 'kube-node-lease']) await ensureNamespace(client, name);
  const running = runKubelet(
    {
      client,
      env,
      config: kubeletConfig({ nodeName: 'node-1', nodeIPs: ['192.168.0.1'], ...options.config }),
      runtime: options.metrics?.counted(runtime, clock) ?? runtime,
      host,
      ...(options.metrics ? { metrics: options.metrics } : {}),
      informers: createInformerFactory({ client, env }, { signal: abort.signal }),
      record: (_, note: EventNote) => void events.push(`${note.reason}: ${note.message}`),
      onPods: (p) => void (pods = p),
    },
    { signal: abort.signal },
  );
  let failure: unknown;
  running.catch((error: unknown) => void (failure = error));
  const settle = async (ms = 0) => {
    await clock.advance(ms);
    if (failure) throw failure;
  };
  await settle(1);
  const stop = async () => {
    abort.abort(new Error('the test is over'));
    await running;
  };
  return {
    server,
    client,
    runtime,
    host,
    events,
    pods: () => pods!,
    create: (pod) => client.create(Pod, draft(pod)),
    pod: (name) => ignoreMissing(client.get(Pod, { namespace: 'default', name })),
    settle,
    stop,
    async close() {
      await stop();
      if (!options.server) server.close();
    },
  };
}

function draft({ name, annotations, labels, containers = [{}], ...spec }: PodInBrief): Draft<Pod> {
  return {
    metadata: {
      name,
      namespace: 'default',
      ...(annotations ? { annotations } : {}),
      ...(labels ? { labels } : {}),
    },
    spec: {
      nodeName: 'node-1',
      ...spec,
      containers: containers.map((c, i) => ({
        name: i === 0 ? 'c' : `c${i}`,
        image: 'busybox:1',
        ...c,
      })),
    },
  };
}

async function ensureNamespace(client: Client, name: string): Promise<void> {
  try {
    await client.create(Namespace, { metadata: { name }, spec: {} });
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
  }
}

async function ignoreMissing<T>(get: Promise<T>): Promise<T | undefined> {
  try {
    return await get;
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
