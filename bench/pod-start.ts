// What pods cost over the runtime calls they consist of: alone and in crowds, their start and their end, bare and as
// pods in turns. `node bench/pod-start.ts [kubelet|cluster] [1,10,100] [rounds] [widths of bare]`: through a kubelet in this
// process, or through a whole cluster over HTTPS. Run it on a quiet machine.

import { setTimeout as delay } from 'node:timers/promises';
import { BarePods } from './pods/bare.ts';
import { clusterWorld, GRACE_SECONDS, kubeletWorld, PodCrowd, type PodWorld } from './pods/crowds.ts';

const [which = 'kubelet', crowds = '1,10,100', rounds = '', widths = ''] = process.argv.slice(2);
const TEMPLATE = 'template';
const ROUNDS: Readonly<Record<string, number>> = { '1': 11, '10': 5 };

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Milliseconds of one round; `removed` is later than `gone` for a pod, whose object goes before its sandbox. */
interface Round {
  readonly up: number;
  readonly gone: number;
  readonly removed: number;
  readonly cpu: number;
}

async function bareRound(bare: BarePods, names: readonly string[], width: number): Promise<Round> {
  const up = await timed(() => bare.start(names, width));
  await delay(200);
  const removed = await timed(() => bare.stop(width));
  await bare.clean();
  return { up, gone: removed, removed, cpu: 0 };
}

async function podRound(world: PodWorld, pods: PodCrowd, bare: BarePods, names: readonly string[]): Promise<Round> {
  const before = world.cpu();
  const up = await timed(() => pods.start(names));
  await delay(200);
  let gone = 0;
  const removed = await timed(async () => {
    gone = await timed(() => pods.stop(names));
    while ((await bare.present()).some((name) => names.includes(name))) await delay(10);
  });
  await delay(200);
  return { up, gone, removed, cpu: world.cpu() - before };
}

/** The first round of each does not count. */
async function measure(world: PodWorld, pods: PodCrowd, bare: BarePods, size: number): Promise<void> {
  const count = Number(rounds || (ROUNDS[size] ?? 2));
  const lanes = (widths || String(size)).split(',').map(Number);
  const bares = new Map(lanes.map((width) => [width, [] as Round[]]));
  const ours: Round[] = [];
  for (let round = 0; round <= count; round++) {
    const names = (kind: string) => Array.from({ length: size }, (_, i) => `${kind}-${size}-${round}-${i}`);
    for (const [width, results] of bares) results.push(await bareRound(bare, names(`bare${width}`), width));
    ours.push(await podRound(world, pods, bare, names('pod')));
  }
  const of = (results: readonly Round[], key: keyof Round) => median(results.slice(1).map((one) => one[key]));
  const text = (ms: number) => `${ms.toFixed(0)} ms`;
  const floor = bares.get(size) ?? bares.values().next().value!;
  const over = (key: keyof Round) => (of(ours, key) / of(floor, key)).toFixed(2);
  for (const [width, results] of bares) {
    console.log(
      `${size} bare, ${width} at a time: up ${text(of(results, 'up'))}, down ${text(of(results, 'removed'))}`,
    );
  }
  const [up, gone, removed] = (['up', 'gone', 'removed'] as const).map(
    (key) => `${text(of(ours, key))} (${over(key)})`,
  );
  const cpu = (of(ours, 'cpu') / size).toFixed(1);
  console.log(`${size} pods: up ${up}, gone ${gone}, sandbox removed ${removed}; ${cpu} ms of CPU each`);
}

/** Ctrl-C, or the end of the time one was given: what was made is taken away all the same. */
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(signal)));
});

async function measureAll(world: PodWorld): Promise<void> {
  const pods = new PodCrowd(world);
  await pods.start([TEMPLATE]);
  const bare = await BarePods.like(world.socket, TEMPLATE, GRACE_SECONDS);
  for (const size of crowds.split(',')) await measure(world, pods, bare, Number(size));
  await pods.stop([TEMPLATE]);
  pods.close();
  bare.close();
}

const world = which === 'cluster' ? await clusterWorld() : await kubeletWorld();
try {
  await Promise.race([measureAll(world), interrupted]);
} finally {
  const left = await world.remove();
  if (left.length > 0) console.error('left behind', left);
}
process.exit();
