// Small instruments of the endpoint benchmark: a network namespace, a bare nft, percentiles.

import { execFileSync, spawn } from 'node:child_process';

export const TABLE = 'corbench';

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Of this process and of its children that have ended, in milliseconds. */
export function cpuMs(): number {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return (userCPUTime + systemCPUTime) / 1000;
}

export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((p / 100) * sorted.length) - 1)]!;
}

export function inNamespace(): AsyncDisposable & { readonly path: string } {
  const name = `cb${process.pid % 100_000}`;
  execFileSync('ip', ['netns', 'add', name]);
  return {
    path: `/run/netns/${name}`,
    async [Symbol.asyncDispose]() {
      execFileSync('ip', ['netns', 'del', name]);
    },
  };
}

function nft(netns: string, script: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('nsenter', [`--net=${netns}`, 'nft', '-f', '-'], { stdio: ['pipe', 'inherit', 'inherit'] });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`nft ended with ${code}`))));
    child.stdin.end(script);
  });
}

let slot = 0;

/** Milliseconds of one element added by a process of its own, in the table as it is. */
export async function bareChange(netns: string): Promise<number> {
  const key = `10.255.255.1 . 80 . ${slot++}`;
  const began = performance.now();
  await nft(netns, `add element ip ${TABLE} vip-tcp-backends { ${key} : 10.244.0.1 . 80 }\n`);
  const took = performance.now() - began;
  await nft(netns, `delete element ip ${TABLE} vip-tcp-backends { ${key} }\n`);
  return took;
}

/** The backends of ClusterIPs as the kernel has them: `address . port . slot` to `address . port`. */
export function backends(netns: string): Map<string, string> {
  const args = [`--net=${netns}`, 'nft', '-j', 'list', 'map', 'ip', TABLE, 'vip-tcp-backends'];
  const text = execFileSync('nsenter', args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  type Concat = { concat: (string | number)[] };
  const { nftables } = JSON.parse(text) as { nftables: { map?: { elem?: [Concat, Concat][] } }[] };
  const map = nftables.find((one) => one.map)?.map;
  return new Map((map?.elem ?? []).map(([key, to]) => [key.concat.join(' . '), to.concat.join(' . ')]));
}

export const elements = (netns: string) => backends(netns).size;
