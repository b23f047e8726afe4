// How much a pod's start costs over the bare runtime calls: one after the other, and many at once. The floor is
// RunPodSandbox, CreateContainer and StartContainer with the same configuration, measured in the same run.

import { cpuUsage } from 'node:process';
import type { Pod as PodObject } from '../src/api/generated/core-v1.ts';
import { Pod } from '../src/api/kinds/core/pod.ts';
import { startRealKubelet } from '../test/fixtures/real-kubelet.ts';

const SLEEP = 'sleep 100000';
const rounds = Number(process.argv[2] ?? 15);
const crowd = Number(process.argv[3] ?? 50);

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const isReady = (pod: PodObject | undefined) =>
  pod?.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';

const kubelet = await startRealKubelet('kb', '10.197.0.0/24');
const { runtime } = kubelet.node.containerd;

async function bare(name: string): Promise<() => Promise<void>> {
  const { sandboxId } = await kubelet.node.run(name, SLEEP);
  return async () => {
    await runtime.stopSandbox(sandboxId);
    await runtime.removeSandbox(sandboxId);
  };
}

async function pod(name: string): Promise<() => Promise<void>> {
  await kubelet.create(name, SLEEP, { terminationGracePeriodSeconds: 0 });
  await kubelet.until(name, isReady);
  return async () => {
    await kubelet.client.delete(Pod, { namespace: 'default', name }, { gracePeriodSeconds: 1 });
    await kubelet.until(name, (p) => p === undefined);
  };
}

async function timed(work: () => Promise<unknown>): Promise<{ ms: number; cpu: number }> {
  const began = performance.now();
  const cpu = cpuUsage();
  await work();
  const { user, system } = cpuUsage(cpu);
  return { ms: performance.now() - began, cpu: (user + system) / 1000 };
}

async function settled(): Promise<void> {
  while ((await runtime.listSandboxes()).length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
}

try {
  const single: Record<'bare' | 'pod', number[]> = { bare: [], pod: [] };
  for (let i = 0; i < rounds; i++) {
    for (const [kind, start] of [
      ['bare', bare],
      ['pod', pod],
    ] as const) {
      let end!: () => Promise<void>;
      const { ms } = await timed(async () => (end = await start(`${kind}-${i}`)));
      if (i > 0) single[kind].push(ms);
      await end();
      await settled();
    }
  }
  const floor = median(single.bare);
  const ours = median(single.pod);
  console.log(
    `one pod: runtime ${floor.toFixed(0)} ms, kubelet ${ours.toFixed(0)} ms, ratio ${(ours / floor).toFixed(2)}`,
  );
  for (const [kind, start] of [
    ['bare', bare],
    ['pod', pod],
    ['bare', bare],
    ['pod', pod],
  ] as const) {
    const ends: (() => Promise<void>)[] = [];
    const names = Array.from({ length: crowd }, (_, i) => `${kind}-crowd-${i}-${performance.now().toFixed(0)}`);
    const { ms, cpu } = await timed(async () => void ends.push(...(await Promise.all(names.map(start)))));
    console.log(`${crowd} at once: ${kind} ${ms.toFixed(0)} ms (this process ${cpu.toFixed(0)} ms of CPU)`);
    await Promise.all(ends.map((end) => end()));
    await settled();
  }
} finally {
  const left = await kubelet.remove();
  if (left.length) console.error('left behind', left);
}
