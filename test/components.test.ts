// The parts of a cluster as processes of their own, each with its own identity: server, two schedulers, controller manager,
// and two nodes in network namespaces of their own. Stock kubectl, real containers, kill -9.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildBusyboxImage, BUSYBOX_IMAGE } from './fixtures/busybox.ts';
import { canRunClusters, until } from './support/cluster.ts';
import { Kubectl, kubectls } from './support/kubectl.ts';
import { ENTRY, Machine, Part, sh } from './support/machine.ts';

const ID = process.pid % 10_000;
const PORT = 20_000 + ID;
const HUB = '10.77.0.1';
const BRIDGE = `cp${ID}`;
const ELECTION = [
  '--leader-elect-lease-duration=12s',
  '--leader-elect-renew-deadline=10s',
  '--leader-elect-retry-period=1s',
];

const dir = mkdtempSync(join(tmpdir(), 'coracle-parts-'));

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
    dir,
  );
  const scheduler = () =>
    new Part(coracle('scheduler', '--kubeconfig', join(dir, 'scheduler.kubeconfig'), ...ELECTION), dir);
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
    dir,
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
    sh(`ip link add ${BRIDGE} type bridge; ip addr add ${HUB}/24 dev ${BRIDGE}; ip link set ${BRIDGE} up`);
    machines = [1, 2].map((index) => new Machine(index, { dir, bridge: BRIDGE, id: ID, subnet: '10.77.0' }));
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
    sh(`ip link del ${BRIDGE}`);
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

  test('each node answers for cluster DNS, for its own pods', async () => {
    const pods = await column('get pods -l app=web -o name');
    expect(pods).toHaveLength(2);
    for (const pod of pods) {
      await eventually(`names in ${pod}`, async () => {
        const { out } = await kubectl.run(['exec', pod, '--', 'wget', '-q', '-O', '-', 'http://web/']);
        return out.startsWith('w');
      });
    }
    const slices = await kubectl.ok('get endpointslices -n kube-system -l kubernetes.io/service-name=kube-dns -o json');
    const named = [...slices.matchAll(/"forNodes": \[\s*\{\s*"name": "([^"]+)"/g)].map((m) => m[1]);
    expect(named.sort()).toEqual(machines.map((m) => m.node).sort());
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
