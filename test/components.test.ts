// The parts of a cluster as processes of their own, each with its own identity: server, two schedulers, controller manager,
// and two nodes in network namespaces of their own. Stock kubectl, real containers, kill -9.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { realEnv } from '../src/base/real-env.ts';
import { networkOf, slotOf } from '../src/cluster/networks.ts';
import { pathsOf } from '../src/cluster/paths.ts';
import { nodeParts } from '../src/cluster/real-node.ts';
import { containerdPaths } from '../src/host/containerd/start.ts';
import { criRuntime } from '../src/host/cri/runtime.ts';
import { loadImages } from '../src/host/images/load.ts';
import { findLeftovers } from '../src/host/leftovers.ts';
import { buildBusyboxImage, BUSYBOX_IMAGE } from './fixtures/busybox.ts';
import { canRunClusters, until } from './support/cluster.ts';
import { Kubectl, kubectls } from './support/kubectl.ts';

const ENTRY = fileURLToPath(new URL('../src/cluster/main.ts', import.meta.url));
const ID = process.pid % 10_000;
const PORT = 20_000 + ID;
const HUB = '10.77.0.1';
const ELECTION = [
  '--leader-elect-lease-duration=12s',
  '--leader-elect-renew-deadline=10s',
  '--leader-elect-retry-period=1s',
];

const sh = (command: string) =>
  execFileSync('/bin/sh', ['-ec', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const dir = mkdtempSync(join(tmpdir(), 'coracle-parts-'));

/** A process that a test starts, kills and starts again. */
class Part {
  readonly #command: readonly string[];
  #child: ChildProcess | undefined;
  #said = '';

  constructor(command: readonly string[]) {
    this.#command = command;
  }

  start(): void {
    const [program = '', ...args] = this.#command;
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, CORACLE_HOME: dir },
    });
    child.stderr.on('data', (chunk: Buffer) => (this.#said = (this.#said + chunk.toString()).slice(-20_000)));
    this.#child = child;
  }

  get said(): string {
    return this.#said;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return null;
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    // nsenter forks into a PID namespace: its child is the one that counts.
    for (const pid of sh(`pgrep -P ${child.pid} || true`).split('\n').filter(Boolean))
      process.kill(Number(pid), signal);
    child.kill(signal);
    return ended;
  }
}

/** A machine of its own as far as containers can tell: network, mounts and processes. */
class Machine {
  readonly node: string;
  readonly ip: string;
  readonly agent: Part;
  readonly dataDir: string;
  readonly #netns: string;
  readonly #unshare: ChildProcess;
  readonly #init: string;

  constructor(index: number) {
    this.node = `w${index}-${ID}`;
    this.ip = `10.77.0.${index + 1}`;
    this.dataDir = join(dir, this.node);
    this.#netns = `cp${index}x${ID}`;
    const veth = `cpv${index}x${ID}`;
    sh(
      `ip netns add ${this.#netns}; ip link add ${veth} type veth peer name eth0 netns ${this.#netns};` +
        `ip link set ${veth} master cpb${ID} up`,
    );
    sh(
      `nsenter --net=/run/netns/${this.#netns} sh -ec 'ip link set lo up; ip addr add ${this.ip}/24 dev eth0; ip link set eth0 up; ip route add default via ${HUB}'`,
    );
    const args = [`--net=/run/netns/${this.#netns}`, 'unshare', '-m', '-p', '-f', '--kill-child=KILL', '--mount-proc'];
    this.#unshare = spawn('nsenter', [...args, 'sleep', 'infinity'], { stdio: 'ignore' });
    let init = '';
    while (!init) init = sh(`pgrep -P ${this.#unshare.pid} || true; sleep 0.02`).trim();
    this.#init = init;
    this.agent = new Part([...this.#inside, process.execPath, ENTRY, ...this.#args]);
  }

  get #inside(): string[] {
    return ['nsenter', '-t', this.#init, '-m', '-p', '-n'];
  }

  get #args(): string[] {
    return ['agent', '--kubeconfig', join(dir, `${this.node}.kubeconfig`), '--data-dir', this.dataDir];
  }

  run(command: string): string {
    const [program = '', ...args] = [...this.#inside, 'sh', '-ec', command];
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  get parts() {
    const paths = pathsOf({ name: `node.${this.node}`, dataDir: this.dataDir });
    return nodeParts(`node.${this.node}`, paths, networkOf(slotOf(paths) ?? 0));
  }

  async load(archive: string): Promise<void> {
    const { socket, streamDir } = containerdPaths(this.parts);
    const runtime = criRuntime({ env: realEnv(), socket, streamDir });
    try {
      await loadImages({ socket, runtime }, archive);
    } finally {
      runtime.close();
    }
  }

  /** Resolves to what is left. */
  async remove(): Promise<string[]> {
    const { parts } = this;
    await this.agent.end('SIGTERM');
    const left: string[] = [];
    try {
      this.run(`${process.execPath} ${ENTRY} ${this.#args.join(' ')} --cleanup 2>&1`);
      left.push(...this.run('ip -o link show type bridge; nft list tables; ip route show proto 119').split('\n'));
      left.push(...this.run(`grep -F ${this.dataDir} /proc/self/mountinfo || true`).split('\n'));
    } catch (error) {
      left.push(String((error as { stdout?: string }).stdout ?? error));
    }
    const gone = new Promise((resolve) => this.#unshare.once('exit', resolve));
    this.#unshare.kill('SIGKILL');
    await gone;
    sh(`ip netns del ${this.#netns}`);
    left.push(...(await findLeftovers(parts)));
    if (existsSync(parts.runDir)) left.push(`${parts.runDir} is there`);
    return left.filter(Boolean);
  }
}

describe.skipIf(!canRunClusters)('parts on their own', () => {
  const data = join(dir, 'server');
  const pki = join(data, 'pki');
  const admin = join(data, 'admin.kubeconfig');
  const coracle = (...args: string[]) => [process.execPath, ENTRY, ...args];
  const server = new Part(
    coracle(
      'server',
      `--data-dir=${data}`,
      `--secure-port=${PORT}`,
      `--advertise-address=${HUB}`,
      '--controllers=-*',
      '--disable-scheduler',
    ),
  );
  const scheduler = () =>
    new Part(coracle('scheduler', '--kubeconfig', join(dir, 'scheduler.kubeconfig'), ...ELECTION));
  const schedulers = [scheduler(), scheduler()] as const;
  const manager = new Part(
    coracle(
      'controller-manager',
      `--kubeconfig=${join(dir, 'controller-manager.kubeconfig')}`,
      `--root-ca-file=${join(pki, 'ca.crt')}`,
      `--service-account-private-key-file=${join(pki, 'sa.key')}`,
      `--cluster-signing-cert-file=${join(pki, 'ca.crt')}`,
      `--cluster-signing-key-file=${join(pki, 'ca.key')}`,
      ...ELECTION,
    ),
  );
  let machines: Machine[] = [];
  let kubectl: Kubectl;
  const parts = () => [server, manager, ...schedulers, ...machines.map((m) => m.agent)];
  const logs = () =>
    parts()
      .map((part) => part.said.slice(-1500))
      .join('\n---\n');
  const answers = async () => (await kubectl.run(['get', '--raw', '/readyz'])).code === 0;
  const eventually = async (what: string, check: () => boolean | Promise<boolean>, seconds = 40) => {
    try {
      await until(what, check, seconds);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${logs()}`, { cause: error });
    }
  };
  const kubeconfig = (name: string, ...args: string[]) => {
    const [program = '', ...rest] = coracle('kubeconfig', '--data-dir', data, ...args);
    writeFileSync(join(dir, `${name}.kubeconfig`), execFileSync(program, rest), { mode: 0o600 });
  };
  const column = async (args: string) => (await kubectl.ok(args)).split('\n').filter(Boolean);

  beforeAll(async () => {
    sh(`ip link add cpb${ID} type bridge; ip addr add ${HUB}/24 dev cpb${ID}; ip link set cpb${ID} up`);
    machines = [new Machine(1), new Machine(2)];
    const archive = join(dir, 'busybox.tar');
    server.start();
    await buildBusyboxImage(archive);
    kubectl = new Kubectl([...kubectls().values()].at(-1)!, admin, join(dir, 'cache'));
    await eventually('the server answers', () => existsSync(admin) && answers());
    kubeconfig('scheduler', '--component', 'scheduler');
    kubeconfig('controller-manager', '--component', 'controller-manager');
    for (const { node } of machines) kubeconfig(node, '--node', node);
    for (const part of parts().slice(1)) part.start();
    for (const { node } of machines)
      await eventually(
        `${node} is Ready`,
        async () => (await kubectl.run(['wait', 'node', node, '--for=condition=Ready', '--timeout=20s'])).code === 0,
      );
    for (const machine of machines) await machine.load(archive);
  });

  afterAll(async () => {
    kubectl?.stop();
    for (const part of [...schedulers, manager]) await part.end('SIGTERM');
    const left = (await Promise.all(machines.map((m) => m.remove()))).flat();
    await server.end('SIGTERM');
    sh(`ip link del cpb${ID}`);
    rmSync(dir, { recursive: true, force: true });
    expect(left).toEqual([]);
  });

  test('each part acts as itself, and nodes get certificates for their endpoints', async () => {
    const holders = await column('get leases -n kube-system -o jsonpath={.items[*].metadata.name}');
    expect(holders).toEqual(['kube-controller-manager kube-scheduler']);
    const requests = await column('get csr');
    expect(requests.join('\n')).toContain('kubernetes.io/kubelet-serving');
    for (const { node } of machines) expect(requests.join('\n')).toContain(`system:node:${node}`);
  });

  test('a Deployment runs on both nodes; logs and exec go through the server', async () => {
    const script = 'echo started on $NODE; mkdir /www; echo $NODE > /www/index.html; exec httpd -f -p 8080 -h /www';
    const manifest = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: {
            terminationGracePeriodSeconds: 0,
            topologySpreadConstraints: [
              {
                maxSkew: 1,
                topologyKey: 'kubernetes.io/hostname',
                whenUnsatisfiable: 'DoNotSchedule',
                labelSelector: { matchLabels: { app: 'web' } },
              },
            ],
            containers: [
              {
                name: 'main',
                image: BUSYBOX_IMAGE,
                command: ['sh', '-c', script],
                env: [{ name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
              },
            ],
          },
        },
      },
    };
    await kubectl.ok('apply -f -', JSON.stringify(manifest));
    await kubectl.ok('rollout status deployment web --timeout=60s').catch((error: unknown) => {
      throw new Error(`${String(error)}\n${logs()}`);
    });
    await kubectl.ok('expose deployment web --port 80 --target-port 8080');
    const accounts = await column('get serviceaccounts -n kube-system -o name');
    expect(accounts).toContain('serviceaccount/deployment-controller');
    const nodes = await column('get pods -l app=web -o jsonpath={.items[*].spec.nodeName}');
    expect(nodes[0]!.split(' ').sort()).toEqual(machines.map((m) => m.node).sort());
    for (const pod of await column('get pods -l app=web -o name')) {
      expect(await kubectl.ok(`logs ${pod}`)).toContain('started on w');
      expect((await kubectl.ok(`exec ${pod} -- cat /www/index.html`)).trim()).toMatch(/^w[12]-/);
    }
  });

  test('pods reach each other across nodes, by address and through the Service', async () => {
    const [from = '', to = ''] = (await column('get pods -l app=web -o jsonpath={.items[*].metadata.name}'))[0]!.split(
      ' ',
    );
    const [ip = ''] = await column(`get pod ${to} -o jsonpath={.status.podIP}`);
    const [other = ''] = await column(`get pod ${to} -o jsonpath={.spec.nodeName}`);
    const fetch = (host: string) => kubectl.ok(`exec ${from} -- wget -q -O - http://${host}/`);
    await eventually('by address', async () => (await fetch(`${ip}:8080`)).includes(other));
    const [vip = ''] = await column('get service web -o jsonpath={.spec.clusterIP}');
    const seen = new Set<string>();
    await eventually('both endpoints behind the Service', async () => {
      seen.add(/w[12]-\d+/.exec(await fetch(vip))?.[0] ?? '');
      return machines.every((m) => seen.has(m.node));
    });
  });

  test('kill -9 of each part: nothing is lost', async () => {
    const ids = () => column('get pods -l app=web -o jsonpath={.items[*].status.containerStatuses[0].containerID}');
    const before = await ids();
    for (const part of [machines[0]!.agent, manager, server]) {
      await part.end('SIGKILL');
      part.start();
    }
    await eventually('the server answers again', answers);
    // Whoever leads dies and stays dead: the other takes over.
    const leader = schedulers.find((part) => part.said.includes('became the leader'))!;
    await leader.end('SIGKILL');
    await kubectl.ok('create configmap survivor --from-literal=a=b');
    await kubectl.ok('scale deployment web --replicas 4');
    await eventually(
      'four replicas',
      async () => (await column('get deployment web -o jsonpath={.status.readyReplicas}'))[0] === '4',
      60,
    );
    expect(await kubectl.ok('get configmap survivor')).toContain('survivor');
    const after = await ids();
    for (const id of before[0]!.split(' ')) expect(after[0]).toContain(id);
    const restarts = await column(
      'get pods -l app=web -o jsonpath={.items[*].status.containerStatuses[0].restartCount}',
    );
    expect(restarts).toEqual(['0 0 0 0']);
    for (const pod of await column('get pods -l app=web -o name'))
      expect(await kubectl.ok(`logs ${pod}`)).toContain('started on w');
  });
});
