// What it takes to have a cluster: time from the start of `coracle up` to its API, its node and an answer of its DNS, on a first
// start (empty data folder, images loaded) and on a second one; then memory and CPU at rest. Beside it bare Node, and bare
// containerd with one pod sandbox. `node bench/up.ts [--starts n] [--idle seconds] [--cpu seconds] [--pods n]`, after a build.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Pod } from '../src/api/kinds/core/pod.ts';
import { runningState } from '../src/cluster/state-file.ts';
import { cgroupProcesses } from '../src/host/cgroup-tree.ts';
import { commandLineOf } from '../src/host/processes.ts';
import { BUSYBOX_IMAGE, buildBusyboxImage } from '../test/fixtures/busybox.ts';
import { startRealNode } from '../test/fixtures/real-node.ts';
import { cpuOf, takenBy, together } from './up/memory.ts';
import { BenchCluster, root, untilPod, type Laps } from './up/stopwatch.ts';

const { values } = parseArgs({
  options: {
    starts: { type: 'string', default: '3' },
    idle: { type: 'string', default: '60' },
    cpu: { type: 'string', default: '30' },
    pods: { type: 'string', default: '20' },
  },
});
const [starts, idle, cpu, pods] = [values.starts, values.idle, values.cpu, values.pods].map(Number) as [
  number,
  number,
  number,
  number,
];
const node = join(root, 'node_modules/.bin/node');
const median = (all: readonly number[]) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)]!;
const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
const say = (line: string) => process.stdout.write(`${line}\n`);

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '0.0.0.0', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

function program(file: string, ...args: string[]): string {
  const times = Array.from({ length: 10 }, () => {
    const began = performance.now();
    execFileSync(file, args, { stdio: 'ignore' });
    return performance.now() - began;
  });
  return `${median(times).toFixed(0)} ms`;
}

function floorOfNode(): void {
  const rss = Number(execFileSync(node, ['-p', 'process.memoryUsage.rss()'], { encoding: 'utf8' }));
  say(`floor: node -e 0 ${program(node, '-e', '0')}, ${megabytes(rss)} resident`);
  const coracle = join(root, 'bin/coracle');
  say(`commands: --help ${program(coracle, '--help')}, version ${program(coracle, 'version')}`);
}

async function floorOfContainerd(): Promise<void> {
  const began = performance.now();
  const bare = await startRealNode('upfl', '10.198.0.0/24');
  try {
    const started = performance.now();
    await bare.containerd.runtime.runSandbox(bare.sandbox('floor'));
    const ms = [started - began, performance.now() - started].map((t) => t.toFixed(0));
    say(`floor: containerd, its images and the network ${ms[0]} ms, then one sandbox by CRI ${ms[1]} ms`);
  } finally {
    for (const left of await bare.remove()) process.stderr.write(`left behind: ${left}\n`);
  }
}

function report(what: string, all: readonly Laps[]): void {
  const of = (key: keyof Laps) => seconds(median(all.map((laps) => laps[key])));
  say(
    `${what}: API ${of('api')}, node Ready ${of('nodeReady')}, pod runs ${of('podRuns')}, DNS answer in a pod ${of('dns')};` +
      ` the command took ${of('command')} (medians of ${all.length})`,
  );
}

/** All that a first start has not yet, but the images. */
function forget({ paths }: BenchCluster): void {
  for (const name of readdirSync(paths.data))
    if (name !== 'containerd') rmSync(join(paths.data, name), { recursive: true });
}

/** The cluster's process, what it started but containerd, and what runs in pods. */
function processesOf(cluster: BenchCluster): number[] {
  const { pid } = runningState(cluster.paths.stateFile)!;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  const own = children.filter((child) => !commandLineOf(child)[0]?.includes('containerd'));
  return [pid, ...own, ...cgroupProcesses(`/coracle-${cluster.name}`).map((one) => one.pid)];
}

async function memoryAtRest(cluster: BenchCluster): Promise<void> {
  await delay(idle * 1000);
  const all = processesOf(cluster).map(takenBy);
  const sum = (key: 'rss' | 'pss') => megabytes(all.reduce((total, one) => total + one[key], 0));
  for (const { what, rss, pss, anonymous } of all)
    say(
      `  ${megabytes(rss).padStart(7)} resident, ${megabytes(pss)} proportional, ${megabytes(anonymous)} anonymous: ${what.slice(0, 90)}`,
    );
  say(
    `memory after ${idle} s: ${megabytes(together(all))} with shared pages once; ` +
      `${sum('rss')} with them for each, ${sum('pss')} with them divided by all on the machine who have them`,
  );
}

async function cpuAtRest(cluster: BenchCluster): Promise<void> {
  const own = processesOf(cluster);
  const { client, close } = cluster.connect();
  try {
    const names = Array.from({ length: pods }, (_, i) => `sleeper-${i}`);
    const spec = { containers: [{ name: 'main', image: BUSYBOX_IMAGE, command: ['sleep', '100000'] }] };
    for (const name of names) await client.create(Pod, { metadata: { name, namespace: 'default' }, spec });
    for (const name of names) await untilPod(client, name, (pod) => pod.status?.phase === 'Running');
  } finally {
    close();
  }
  await delay(5000);
  const before = own.map(cpuOf);
  await delay(cpu * 1000);
  const shares = own.map((pid, i) => ((cpuOf(pid) - before[i]!) / (cpu * 1000)) * 100);
  const all = shares.map((share) => `${share.toFixed(2)}%`).join(' + ');
  say(
    `CPU with ${pods} pods over ${cpu} s: ${all} of a core; the cluster's process ${megabytes(takenBy(own[0]!).rss)}`,
  );
}

const dir = mkdtempSync(join(tmpdir(), 'coracle-bench-up-'));
const cluster = new BenchCluster(dir, await freePort());
try {
  floorOfNode();
  await floorOfContainerd();
  const archive = join(dir, 'busybox.tar');
  await buildBusyboxImage(archive);
  await cluster.coracle('up', '--nodes', 'real');
  await cluster.coracle('image', 'load', archive);
  const [first, second]: [Laps[], Laps[]] = [[], []];
  for (let i = 0; i < starts; i++) {
    await cluster.coracle('down');
    forget(cluster);
    first.push(await cluster.up());
    await cluster.coracle('down');
    second.push(await cluster.up());
  }
  report('first start', first);
  report('second start', second);
  if (idle > 0) await memoryAtRest(cluster);
  if (cpu > 0) await cpuAtRest(cluster);
} finally {
  await cluster.coracle('delete');
  rmSync(dir, { recursive: true, force: true });
}
