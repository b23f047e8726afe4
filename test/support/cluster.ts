// A whole cluster with real containers for a test file, as its user has it: the background process that `coracle up`
// starts, a kubeconfig, stock kubectl. One file shares one cluster; tests keep apart by namespaces.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { networkOf, slotOf, type ClusterNetwork } from '../../src/cluster/networks.ts';
import { pathsOf, type ClusterPaths } from '../../src/cluster/paths.ts';
import { nodeParts } from '../../src/cluster/real-node.ts';
import { runningState } from '../../src/cluster/state-file.ts';
import { startTicksOf } from '../../src/host/processes.ts';
import { dnsProgram } from '../../src/cluster/system-image.ts';
import { findLeftovers } from '../../src/host/leftovers.ts';
import { buildBusyboxImage, BUSYBOX_IMAGE } from '../fixtures/busybox.ts';
import { Kubectl, kubectls, type Outcome } from './kubectl.ts';
import { tracesOf } from './traces.ts';

/** sh, httpd, nc and the rest; only there when the cluster was started with images. */
export const IMAGE = BUSYBOX_IMAGE;
const ENTRY = fileURLToPath(new URL('../../src/cluster/main.ts', import.meta.url));

export const canRunClusters = process.getuid?.() === 0 && kubectls().size > 0;

export class TestCluster {
  readonly name: string;
  /** All that the cluster and the test keep. */
  readonly dir: string;
  readonly paths: ClusterPaths;
  readonly kubeconfig: string;
  readonly kubectl: Kubectl;
  readonly #env: NodeJS.ProcessEnv;
  #versions = kubectls();
  #namespaces = 0;

  constructor(short: string) {
    this.name = `t-${short}-${process.pid % 10_000}`;
    this.dir = mkdtempSync(join(tmpdir(), `coracle-${short}-`));
    this.kubeconfig = join(this.dir, 'kubeconfig');
    this.paths = pathsOf({ name: this.name, dataDir: join(this.dir, this.name) });
    this.#env = { ...process.env, CORACLE_HOME: this.dir, KUBECONFIG: this.kubeconfig };
    this.kubectl = this.kubectlOf([...this.#versions.keys()].at(-1)!);
  }

  /** kubectl of a version, as `1.27`; the newest installed is `kubectl`. */
  kubectlOf(version: string): Kubectl {
    return new Kubectl(this.#versions.get(version)!, this.kubeconfig, join(this.dir, `kubectl-${version}`));
  }

  /** Where the newest kubectl is, a static binary. */
  get kubectlPath(): string {
    return [...this.#versions.values()].at(-1)!;
  }

  /** Runs `coracle <args> --name <this>` to its end; never rejects. */
  cli(...args: string[]): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const argv = [ENTRY, ...args, '--name', this.name];
      const child = spawn(process.execPath, argv, { env: this.#env, cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
      let [out, err] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
      child.once('error', reject);
      child.once('close', (code) => resolve({ code: code ?? 255, out, err }));
    });
  }

  /** The same, rejecting when it fails. */
  async coracle(...args: string[]): Promise<string> {
    const { code, out, err } = await this.cli(...args);
    if (code !== 0) throw new Error(`coracle ${args.join(' ')}: exit ${code}\n${out}${err}${this.log()}`);
    return out;
  }

  /** Starts the cluster (again), at the port it had. */
  async up(): Promise<void> {
    const port = existsSync(this.paths.adminKubeconfig) ? [] : ['--port', String(await freePort())];
    await this.coracle('up', '--nodes', 'real', ...port);
  }

  /** A namespace of its own and kubectl in it. Its default ServiceAccount exists. */
  async namespace(prefix: string): Promise<Kubectl> {
    const name = `${prefix}-${++this.#namespaces}`;
    await this.kubectl.ok(`create namespace ${name}`);
    const kubectl = this.kubectl.with(['-n', name]);
    await until(`the service account of ${name}`, async () => (await kubectl.run(['get', 'sa', 'default'])).code === 0);
    return kubectl;
  }

  get network(): ClusterNetwork {
    return networkOf(slotOf(this.paths)!);
  }

  /** The cluster's process. */
  get pid(): number {
    const state = runningState(this.paths.stateFile);
    if (!state) throw new Error(`cluster ${this.name} does not run${this.log()}`);
    return state.pid;
  }

  /** Kills the cluster's process without asking; containers go on. */
  async kill(): Promise<void> {
    const { pid } = this;
    process.kill(pid, 'SIGKILL');
    await until('the process is gone', () => startTicksOf(pid) === undefined);
  }

  /** The end of the cluster's log, for messages. */
  log(): string {
    if (!existsSync(this.paths.logFile)) return '';
    return `\n--- log\n${readFileSync(this.paths.logFile, 'utf8').split('\n').slice(-30).join('\n')}`;
  }

  /** Deletes the cluster and all files; resolves to what it left on the machine. */
  async delete(): Promise<string[]> {
    this.kubectl.stop();
    const slot = slotOf(this.paths);
    const { code, out, err } = await this.cli('delete');
    const failed = code === 0 ? [] : [`coracle delete: exit ${code} ${out}${err}`];
    const left = slot === undefined ? [] : await findLeftovers(nodeParts(this.name, this.paths, networkOf(slot)));
    const traces = tracesOf([this.dir, `coracle-${this.name}`]);
    const files = [this.paths.data, this.paths.run]
      .filter((path) => existsSync(path))
      .map((path) => `${path} is there`);
    rmSync(this.dir, { recursive: true, force: true });
    return [...failed, ...left, ...traces, ...files];
  }
}

/** Starts a cluster named after `short` (a few letters) with the busybox image. */
export async function startTestCluster(short: string): Promise<TestCluster> {
  if (!existsSync(dnsProgram())) throw new Error('clusters in tests need the built DNS program: npm run build');
  const cluster = new TestCluster(short);
  const archive = join(cluster.dir, 'busybox.tar');
  try {
    await Promise.all([cluster.up(), buildBusyboxImage(archive)]);
    await cluster.coracle('image', 'load', archive);
    await cluster.kubectl.ok('rollout status deployment coredns -n kube-system --timeout=60s');
  } catch (error) {
    await cluster.delete();
    throw error;
  }
  return cluster;
}

/** Resolves once the test holds; what it throws counts as "not yet". Rejects after `seconds`, with the last reason. */
export async function until(what: string, test: () => boolean | Promise<boolean>, seconds = 30): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  for (let reason: unknown; ; await delay(25)) {
    try {
      if (await test()) return;
      reason = undefined;
    } catch (error) {
      reason = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`, { cause: reason });
  }
}

/** Resolves to what `read` gives once it satisfies the test. The error tells the last value. */
export async function eventually<T>(read: () => Promise<T>, test: (value: T) => boolean, seconds = 30): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const value = await read();
    if (test(value)) return value;
    if (performance.now() > deadline)
      throw new Error(`not within ${seconds} s: ${test.toString()}; the last was ${JSON.stringify(value)}`);
    await delay(25);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '0.0.0.0', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

/** A manifest of a pod with one busybox container that runs a script. `spec` and `container` are JSON of more fields. */
export function podManifest(
  name: string,
  script: string,
  more: { spec?: object; container?: object; metadata?: object } = {},
): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name }, ...more.metadata },
    spec: {
      terminationGracePeriodSeconds: 0,
      ...more.spec,
      containers: [
        { name: 'main', image: IMAGE, command: ['sh', '-c', script], ...more.container },
        ...((more.spec as { containers?: object[] } | undefined)?.containers ?? []),
      ],
    },
  });
}

/** A Deployment of web servers on port 8080 (`http`) that answer with their name and `version`. */
export function webManifest(
  name: string,
  options: { replicas?: number; version?: string; spec?: object; pod?: object; container?: object } = {},
): string {
  const { replicas = 2, version = '1', spec, pod, container } = options;
  const script = 'mkdir /tmp/w; echo "$HOSTNAME $VERSION" > /tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w';
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: { app: name } },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      ...spec,
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 0,
          ...pod,
          containers: [
            {
              name: 'web',
              image: IMAGE,
              command: ['sh', '-c', script],
              env: [{ name: 'VERSION', value: version }],
              ports: [{ name: 'http', containerPort: 8080 }],
              readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
              ...container,
            },
          ],
        },
      },
    },
  });
}
