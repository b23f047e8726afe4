// The floor under every pod: what containerd, the network plugins and the OCI runtime take for 1, 10 and 100 pods at once
// when nothing else is in the way. `node bench/cri-floor.ts [runc]`; other benchmarks measure it in their own run.

import { cpuUsage } from 'node:process';
import { startRealNode, type RealNode } from '../test/fixtures/real-node.ts';

export interface CriFloor {
  /** Pods at once. */
  readonly pods: number;
  /** Milliseconds until all pods have passed each step; medians over the rounds. */
  readonly sandbox: number;
  readonly create: number;
  readonly start: number;
  /** From nothing to all containers started. */
  readonly up: number;
  /** Stop and removal of all. */
  readonly down: number;
  /** CPU milliseconds of this process for each pod, up and down. */
  readonly clientCpu: number;
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function measureOnce(node: RealNode, pods: number, round: number): Promise<CriFloor> {
  const { runtime } = node.containerd;
  const configs = Array.from({ length: pods }, (_, i) => node.sandbox(`floor-${pods}-${round}-${i}`));
  const container = node.container('main', 'exec sleep 100000');
  const cpu = cpuUsage();
  const began = performance.now();
  let last = began;
  const lap = () => {
    const now = performance.now();
    const spent = now - last;
    last = now;
    return spent;
  };
  const sandboxes = await Promise.all(configs.map((config) => runtime.runSandbox(config)));
  const sandbox = lap();
  const ids = await Promise.all(configs.map((config, i) => runtime.createContainer(sandboxes[i]!, container, config)));
  const create = lap();
  await Promise.all(ids.map((id) => runtime.startContainer(id)));
  const start = lap();
  const up = performance.now() - began;
  const end = async (id: string, i: number) => {
    await runtime.stopContainer(id, 0);
    await runtime.stopSandbox(sandboxes[i]!);
    await runtime.removeSandbox(sandboxes[i]!);
  };
  await Promise.all(ids.map(end));
  const down = lap();
  const { user, system } = cpuUsage(cpu);
  return { pods, sandbox, create, start, up, down, clientCpu: (user + system) / 1000 / pods };
}

/** Measures on a node that runs nothing else; the first round of each number of pods does not count. */
export async function measureCriFloor(node: RealNode, pods: number, rounds: number): Promise<CriFloor> {
  const results: CriFloor[] = [];
  for (let round = 0; round <= rounds; round++) results.push(await measureOnce(node, pods, round));
  const counted = results.slice(1);
  const of = (key: keyof CriFloor) => median(counted.map((result) => result[key]));
  return {
    pods,
    sandbox: of('sandbox'),
    create: of('create'),
    start: of('start'),
    up: of('up'),
    down: of('down'),
    clientCpu: of('clientCpu'),
  };
}

if (import.meta.main) {
  const node = await startRealNode('cf', '10.196.0.0/24', process.argv[2] === 'runc' ? 'runc' : 'crun');
  try {
    for (const [pods, rounds] of [
      [1, 11],
      [10, 3],
      [100, 1],
    ] as const) {
      const floor = await measureCriFloor(node, pods, rounds);
      const numbers = Object.entries(floor).map(
        ([name, value]) => `${name} ${value.toFixed(name === 'clientCpu' ? 1 : 0)}`,
      );
      console.log(`${numbers.join(', ')} (ms)`);
    }
  } finally {
    const left = await node.remove();
    if (left.length > 0) console.error('left behind', left);
  }
}
