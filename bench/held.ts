// What the pods that an API server holds cost it: resident memory with 2,000, 10,000 and 50,000 of 3 KB, when it has made
// them and was idle for some seconds, and after a start from disk; and how long that start takes, from the start of the process
// to /readyz saying ok. Beside it the memory and the start of a server that holds none.
// `node bench/held.ts [count...]`.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MALLOC, NODE_FLAGS } from '../src/cluster/process-settings.ts';
import { H2Client, type Target } from './api/h2-client.ts';
import { podJson } from './api/pod.ts';
import { bundle, Measured, type Memory } from './api/processes.ts';
import { millis, number, percentile, row } from './api/report.ts';

const STARTS = 3;
const IDLE_MS = 10_000;
const PODS = '/api/v1/namespaces/default/pods';
const counts = process.argv.slice(2).map(Number);

const dir = mkdtempSync(join(tmpdir(), 'coracle-bench-'));
const file = await bundle('server-process');

interface Started {
  readonly server: Measured;
  readonly client: H2Client;
  readonly ms: number;
}

async function start(): Promise<Started> {
  const began = performance.now();
  const server = new Measured(file, [dir], NODE_FLAGS, MALLOC);
  const client = new H2Client(await server.said<Target>(), 4);
  const { status } = await client.send(client.sessions[0]!, { method: 'GET', path: '/readyz' });
  if (status !== 200) throw new Error(`/readyz: ${status}`);
  return { server, client, ms: performance.now() - began };
}

async function end({ server, client }: Started): Promise<void> {
  client.close();
  await server.end();
}

/** The median time of some starts, and the memory after the last of them and the first list. */
async function starts(): Promise<{ readonly ms: number; readonly memory: Memory }> {
  const times: number[] = [];
  for (let i = 1; ; i++) {
    const started = await start();
    times.push(started.ms);
    if (i < STARTS) {
      await end(started);
      continue;
    }
    await started.client.send(started.client.sessions[0]!, { method: 'GET', path: `${PODS}?limit=1` });
    await delay(IDLE_MS);
    const memory = await started.server.memory();
    await end(started);
    return { ms: percentile(times, 0.5), memory };
  }
}

const cells = ({ resident, own, heapUsed }: Memory) => [resident, own, heapUsed].map((value) => `${number(value)} MB`);

try {
  row(['pods', 'resident', 'own', 'heap used', 'own, a pod', 'start']);
  let held = 0;
  let least: Memory | undefined;
  for (const count of [0, ...(counts.length ? counts : [2000, 10_000, 50_000])]) {
    const made = await start();
    await made.client.each(32, 201, () =>
      held < count ? { method: 'POST', path: PODS, body: podJson(`pod-${held}`, held++) } : undefined,
    );
    await delay(IDLE_MS);
    const memory = await made.server.memory();
    await end(made);
    least ??= memory;
    const each = count ? `${number(((memory.own - least.own) * 1000) / count)} KB` : '';
    row([`${count}, made`, ...cells(memory), each]);
    const again = await starts();
    row([`${count}, read from disk`, ...cells(again.memory), '', millis(again.ms)]);
  }
} finally {
  rmSync(dir, { recursive: true });
}
