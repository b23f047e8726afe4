// Runs `coracle up` as anybody would and notes when the API answers, when the node is Ready and when a pod has had an
// answer of cluster DNS, all counted from the start of the command.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Kind } from '../../src/api/kind.ts';
import { Node } from '../../src/api/kinds/core/node.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import type { KubeObject } from '../../src/api/object.ts';
import { createLogger } from '../../src/base/log.ts';
import { realEnv } from '../../src/base/real-env.ts';
import { Client } from '../../src/client/client.ts';
import { createInformer } from '../../src/client/create-informer.ts';
import type { InformerOptions } from '../../src/client/informer.ts';
import { pathsOf, type ClusterPaths } from '../../src/cluster/paths.ts';
import { httpTransport } from '../../src/host/http-transport.ts';
import { readKubeconfig } from '../../src/host/kubeconfig.ts';
import { logSink } from '../../src/host/log-sink.ts';
import { BUSYBOX_IMAGE } from '../../test/fixtures/busybox.ts';

export const root = new URL('../..', import.meta.url).pathname;
const env = realEnv(createLogger({ level: 'error', sink: logSink(2, 'text') }));
const NAMESPACE = 'default';
const LOOK_MS = 5;
const PATIENCE_MS = 60_000;

/** Milliseconds since the command was started. */
export interface Laps {
  readonly api: number;
  readonly nodeReady: number;
  /** The first container of the cluster runs. */
  readonly podRuns: number;
  /** It has looked up kubernetes.default. */
  readonly dns: number;
  /** The command has ended. */
  readonly command: number;
}

export class BenchCluster {
  readonly name = `bench-${process.pid}`;
  readonly #dir: string;
  readonly #port: number;
  #round = 0;

  constructor(dir: string, port: number) {
    this.#dir = dir;
    this.#port = port;
  }

  get paths(): ClusterPaths {
    return pathsOf({ name: this.name, dataDir: join(this.#dir, this.name) });
  }

  /** Resolves when the command has ended; rejects with what it said when it failed. */
  coracle(...args: string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const child = spawn(join(root, 'bin/coracle'), [...args, '--name', this.name], {
        env: { ...process.env, CORACLE_HOME: this.#dir, KUBECONFIG: join(this.#dir, 'kubeconfig') },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += String(chunk)));
      child.once('error', reject);
      child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`coracle ${args.join(' ')}: ${said}`))));
    });
  }

  async up(): Promise<Laps> {
    const before = uptime();
    const began = performance.now();
    const lap = () => performance.now() - began;
    const command = this.coracle('up', '--nodes', 'real', '--port', String(this.#port)).then(lap);
    command.catch(() => {});
    const rest = async () => {
      await patiently(() => answers(this.#port));
      const api = lap();
      await patiently(() => Promise.resolve(existsSync(this.paths.adminKubeconfig)));
      const { client, close } = this.connect();
      try {
        const pod = lookUp(client, `lookup-${++this.#round}`, before * 1000);
        const [nodeReady, { podRuns, dns }] = await Promise.all([nodeIsReady(client).then(lap), pod]);
        return { api, nodeReady, podRuns, dns };
      } finally {
        close();
      }
    };
    const [laps, ended] = await Promise.all([rest(), command]);
    return { ...laps, command: ended };
  }

  connect(): { client: Client; close(): void } {
    const transport = httpTransport({ env, ...readKubeconfig([this.paths.adminKubeconfig]).access() });
    return { client: new Client(transport, 'bench'), close: () => transport.close() };
  }
}

async function patiently(test: () => Promise<boolean>): Promise<void> {
  for (const began = performance.now(); !(await test()); await delay(LOOK_MS))
    if (performance.now() - began > PATIENCE_MS) throw new Error(`nothing in ${PATIENCE_MS / 1000} seconds`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, path: '/readyz', rejectUnauthorized: false, agent: false };
    request(options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
      .on('error', () => resolve(false))
      .end();
  });
}

/** By a list and a watch, as kubectl waits. */
async function watched<T extends KubeObject>(
  client: Client,
  kind: Kind<T>,
  options: InformerOptions,
  test: (object: T) => boolean,
): Promise<T> {
  const stop = new AbortController();
  const informer = createInformer(kind, { client, env }, { ...options, signal: stop.signal });
  informer.synced.catch(() => {});
  const found = await new Promise<T>((resolve) => informer.on((object) => object && test(object) && resolve(object)));
  stop.abort();
  return found;
}

const nodeIsReady = (client: Client) =>
  watched(client, Node, {}, (node) =>
    Boolean(node.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True')),
  );

/** Seconds since the machine started, for clocks of containers to compare with. */
const uptime = () => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);

/** The pod itself notes when it runs and when it got its answer: what it takes to hear of it does not count. */
const SCRIPT = `cut -d' ' -f1 /proc/uptime > /dev/termination-log
until nslookup kubernetes.default.svc.cluster.local > /dev/null 2>&1; do usleep 10000; done
cut -d' ' -f1 /proc/uptime >> /dev/termination-log`;

async function lookUp(client: Client, name: string, before: number): Promise<{ podRuns: number; dns: number }> {
  const pod = {
    metadata: { name, namespace: NAMESPACE },
    spec: {
      restartPolicy: 'Never',
      containers: [{ name: 'main', image: BUSYBOX_IMAGE, command: ['sh', '-c', SCRIPT] }],
    },
  };
  // Until the namespace has its ServiceAccount it is refused.
  await patiently(() =>
    client.create(Pod, pod).then(
      () => true,
      (error: { code?: number }) => {
        if (error.code === 403 || error.code === 404) return false;
        throw error as Error;
      },
    ),
  );
  const ended = await untilPod(client, name, (p) => p.status?.phase === 'Succeeded');
  await client.delete(Pod, { namespace: NAMESPACE, name }, { gracePeriodSeconds: 0 });
  const message = ended.status?.containerStatuses?.[0]?.state?.terminated?.message ?? '';
  const [podRuns = NaN, dns = NaN] = message
    .trim()
    .split('\n')
    .map((text) => Number(text) * 1000 - before);
  if (Number.isNaN(dns)) throw new Error(`the pod wrote no times but ${JSON.stringify(message)}`);
  return { podRuns, dns };
}

export const untilPod = (client: Client, name: string, test: (pod: Pod) => boolean): Promise<Pod> =>
  watched(client, Pod, { namespace: NAMESPACE, fieldSelector: `metadata.name=${name}` }, test);
