// Crowds of pods to be measured: through a kubelet in this process, or through a whole cluster that `coracle up` started,
// over HTTPS. Both tell where their containerd listens, so that the same containers can be made bare.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuUsage } from 'node:process';
import type { Pod as PodObject } from '../../src/api/generated/core-v1.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import type { KubeObject } from '../../src/api/object.ts';
import { realEnv } from '../../src/base/real-env.ts';
import { Client } from '../../src/client/client.ts';
import { createInformer } from '../../src/client/create-informer.ts';
import { containerdPaths } from '../../src/host/containerd/start.ts';
import { httpTransport } from '../../src/host/http-transport.ts';
import { readKubeconfig } from '../../src/host/kubeconfig.ts';
import { nodeParts } from '../../src/cluster/real-node.ts';
import { BUSYBOX_IMAGE } from '../../test/fixtures/busybox.ts';
import { startRealKubelet } from '../../test/fixtures/real-kubelet.ts';
import { startTestCluster } from '../../test/support/cluster.ts';

export interface PodWorld {
  readonly client: Client;
  /** containerd's. */
  readonly socket: string;
  /** Binds pods by itself: there is no scheduler. */
  readonly nodeName?: string;
  /** Milliseconds of CPU that the process with the kubelet has taken. */
  cpu(): number;
  /** Takes everything down; resolves to what is left. */
  remove(): Promise<string[]>;
}

/** Ends at once when it is asked to. */
const SCRIPT = 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done';
export const GRACE_SECONDS = 30;
const TICK_MS = 10;

export async function kubeletWorld(): Promise<PodWorld> {
  const kubelet = await startRealKubelet('kb', '10.197.0.0/24');
  return {
    client: kubelet.client,
    socket: kubelet.node.containerd.paths.socket,
    nodeName: 'node-1',
    cpu: () => {
      const { user, system } = cpuUsage();
      return (user + system) / 1000;
    },
    remove: () => kubelet.remove(),
  };
}

export async function clusterWorld(): Promise<PodWorld> {
  const cluster = await startTestCluster('pods');
  const transport = httpTransport({ env: realEnv(), ...readKubeconfig([cluster.kubeconfig]).access() });
  const parts = nodeParts(cluster.name, cluster.paths, cluster.network);
  const { pid } = cluster;
  return {
    client: new Client(transport, 'bench'),
    socket: containerdPaths(parts).socket,
    cpu: () => {
      const stat = readFileSync(join('/proc', String(pid), 'stat'), 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    },
    async remove() {
      transport.close();
      return cluster.delete();
    },
  };
}

const isReady = (pod: PodObject) => pod.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';

/** Makes pods, waits for them by a watch, and deletes them. */
export class PodCrowd {
  readonly #world: PodWorld;
  readonly #stop = new AbortController();
  readonly #states = new Map<string, 'pending' | 'running'>();
  #changed: () => void = () => {};

  constructor(world: PodWorld) {
    this.#world = world;
    const context = { client: world.client, env: realEnv() };
    const pods = createInformer(Pod, context, { namespace: 'default', signal: this.#stop.signal });
    pods.on((pod, old) => {
      const { name } = ((pod ?? old) as KubeObject).metadata;
      if (pod) this.#states.set(name, pod.status?.phase === 'Running' && isReady(pod) ? 'running' : 'pending');
      else this.#states.delete(name);
      this.#changed();
    });
  }

  /** Resolves once all run and are ready. */
  async start(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#create(name)));
    await this.#until(() => names.every((name) => this.#states.get(name) === 'running'));
  }

  /** Resolves once the API has none of them. */
  async stop(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#world.client.delete(Pod, { namespace: 'default', name })));
    await this.#until(() => !names.some((name) => this.#states.has(name)));
  }

  close(): void {
    this.#stop.abort(new Error('over'));
  }

  async #create(name: string): Promise<void> {
    const { client, nodeName } = this.#world;
    await client.create(Pod, {
      metadata: { name, namespace: 'default' },
      spec: {
        terminationGracePeriodSeconds: GRACE_SECONDS,
        ...(nodeName ? { nodeName } : {}),
        containers: [{ name: 'c', image: BUSYBOX_IMAGE, command: ['sh', '-c', SCRIPT] }],
      },
    });
  }

  #until(test: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!test()) return;
        this.#changed = () => {};
        resolve();
      };
      this.#changed = check;
      check();
    });
  }
}
