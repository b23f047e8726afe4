// A node on a machine of its own, joined to a server, whose network link is cut for a while and mended: containers run on,
// what happened meanwhile catches up, its certificates are renewed all the time. CORACLE_CUT_SECONDS makes the cut longer:
// from about 60 on the node becomes NotReady in between. The clockwork of that is tested in src/cluster/cut-nodes.test.ts.

import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildBusyboxImage, BUSYBOX_IMAGE } from '../fixtures/busybox.ts';
import { canRunClusters, until } from '../support/cluster.ts';
import { Kubectl, kubectls } from '../support/kubectl.ts';
import { ENTRY, Machine, Part, sh } from '../support/machine.ts';
import { tracesOf } from '../support/traces.ts';
import { freePort } from './support/ports.ts';

const CUT_SECONDS = Number(process.env['CORACLE_CUT_SECONDS'] ?? 12);
const ID = process.pid % 10_000;
const BRIDGE = `cc${ID}`;
const SUBNET = '10.78.0';
const pod = (name: string, script: string) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: BUSYBOX_IMAGE, command: ['sh', '-c', script] }],
    },
  });

describe.skipIf(!canRunClusters)('a node whose link is cut', () => {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-cut-'));
  const data = join(dir, 'server');
  let machine: Machine | undefined;
  let server: Part | undefined;
  let kubectl: Kubectl;

  beforeAll(async () => {
    const port = await freePort();
    sh(`ip link add ${BRIDGE} type bridge; ip addr add ${SUBNET}.1/24 dev ${BRIDGE}; ip link set ${BRIDGE} up`);
    machine = new Machine(1, { dir, bridge: BRIDGE, id: ID, subnet: SUBNET });
    const address = ['--secure-port', String(port), '--advertise-address', `${SUBNET}.1`];
    const argv = [process.execPath, ENTRY, 'server', '--data-dir', data, ...address];
    server = new Part([...argv, '--cluster-signing-duration', '25s'], dir);
    server.start();
    const archive = join(dir, 'busybox.tar');
    await buildBusyboxImage(archive);
    const admin = join(data, 'admin.kubeconfig');
    kubectl = new Kubectl([...kubectls().values()].at(-1)!, admin, join(dir, 'cache'));
    await until('the server answers', async () => existsSync(admin) && (await kubectl.run(['get', 'ns'])).code === 0);
    const kubeconfig = execFileSync(process.execPath, [
      ENTRY,
      'kubeconfig',
      '--data-dir',
      data,
      '--node',
      machine.node,
    ]);
    writeFileSync(join(dir, `${machine.node}.kubeconfig`), kubeconfig, { mode: 0o600 });
    machine.agent.start();
    await until('the node is Ready', async () => (await nodeReady()) === 'True');
    await machine.load(archive);
  });

  afterAll(async () => {
    kubectl?.stop();
    const left = (await machine?.remove()) ?? [];
    await server?.end('SIGTERM');
    sh(`ip link del ${BRIDGE}`);
    rmSync(dir, { recursive: true, force: true });
    expect([...left, ...tracesOf([dir, BRIDGE])]).toEqual([]);
  });

  const nodeReady = () =>
    kubectl.ok(`get node ${machine!.node} -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}'`);
  const statusOf = async (name: string) =>
    JSON.parse(await kubectl.ok(`get pod ${name} -o json`)) as {
      readonly status: {
        readonly phase: string;
        readonly containerStatuses: readonly {
          readonly containerID: string;
          readonly restartCount: number;
          readonly ready: boolean;
          readonly state: { readonly terminated?: { readonly exitCode: number } };
        }[];
      };
    };
  const certificate = (use: 'client' | 'serving') =>
    new X509Certificate(readFileSync(join(machine!.dataDir, 'pki', `kubelet-${use}.crt`)));

  test('containers run on; logs, exec, statuses and orders catch up; certificates are renewed', async () => {
    await until('it has certificates of its own', () => Boolean(certificate('client') && certificate('serving')));
    const first = { client: certificate('client').serialNumber, serving: certificate('serving').serialNumber };
    await kubectl.ok('apply -f -', pod('counts', 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done'));
    await kubectl.ok('apply -f -', pod('ends', `sleep ${CUT_SECONDS}; exit 3`));
    await kubectl.ok('apply -f -', pod('goes', 'sleep 1000'));
    await kubectl.ok('wait pod counts ends goes --for=condition=Ready --timeout=40s');
    const before = await statusOf('counts');
    expect((await kubectl.ok('exec counts -- echo here')).trim()).toBe('here');

    machine!.connected(false);
    const began = performance.now();
    await kubectl.ok('delete pod goes --wait=false');
    await kubectl.ok(
      'apply -f -',
      pod('comes', 'echo came; sleep 1000').replace('"spec":{', `"spec":{"nodeName":"${machine!.node}",`),
    );
    await delay(CUT_SECONDS * 1000 - (performance.now() - began));
    if (CUT_SECONDS >= 60) expect(await nodeReady()).toBe('Unknown');
    machine!.connected(true);

    // The connections of before may have to be given up first: half a minute, and a quarter.
    await until(
      'the order of meanwhile is carried out',
      async () => (await statusOf('comes')).status.phase === 'Running',
      60,
    );
    await until('the node is Ready', async () => (await nodeReady()) === 'True');
    await until('the deleted pod has ended', async () => (await kubectl.run(['get', 'pod', 'goes'])).code !== 0);
    await until(
      'the exit of meanwhile is told',
      async () => (await statusOf('ends')).status.containerStatuses[0]!.restartCount > 0,
    );
    const after = await statusOf('counts');
    expect(after.status.containerStatuses[0]).toMatchObject({
      containerID: before.status.containerStatuses[0]!.containerID,
      restartCount: 0,
      ready: true,
    });
    // After a long cut its certificate for that has ended, and is being renewed.
    await until('exec works again', async () => (await kubectl.run(['exec', 'counts', '--', 'true'])).code === 0);
    const numbers = (await kubectl.ok('logs counts')).trim().split('\n').map(Number);
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
    expect(numbers.length).toBeGreaterThan(CUT_SECONDS * 5);
    expect((await kubectl.ok('logs comes')).trim()).toBe('came');

    // 25 seconds each, so all of before have ended: what is shown now is another, and is taken.
    await until('both certificates are others', () => {
      const now = { client: certificate('client').serialNumber, serving: certificate('serving').serialNumber };
      return now.client !== first.client && now.serving !== first.serving;
    });
    await until('exec with the new ones', async () => (await kubectl.run(['exec', 'counts', '--', 'true'])).code === 0);
    expect(Date.parse(certificate('client').validTo)).toBeGreaterThan(Date.now());
    const requests = await kubectl.ok('get csr');
    expect(requests).toContain('kubernetes.io/kube-apiserver-client-kubelet');
    expect(machine!.agent.said).toContain('the node has a client certificate of its own');
  });
});
