// What the API server does in a second, and what it costs: durable create, get, merge patch and delete of 2.9 KB pods,
// lists of 2,000 of them, watches of 100 clients, memory. The server is a process of its own on the disk store, the client
// speaks HTTP/2 over TLS with a client certificate, 4 connections with 32 requests each. Beside every figure stands its floor,
// measured in the same run, and its goal.
// `node bench/api.ts [--seconds n] [--all] [--prof dir] [phase...]`: `--all` runs controllers and scheduler in the server's
// process; `--no-trace` remembers no spans; `--prof` writes a CPU profile of the server; `--node=--flag` gives its Node a flag; phases are create, get, patch, delete, list, watch.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { FloorOptions } from './api/floor-process.ts';
import { H2Client, type Ask, type Target } from './api/h2-client.ts';
import { podJson } from './api/pod.ts';
import { bundle, Measured } from './api/processes.ts';
import { burst, EVENTS, paced, Watchers, type Fanned } from './api/watchers.ts';

const CONNECTIONS = 4;
const IN_FLIGHT = 32;
const LISTED = 2000;
const LISTS = 12;
const WATCHED = '/api/v1/namespaces/watched/pods';
const PODS = '/api/v1/namespaces/bench/pods';
const GOALS = { create: 4000, get: 13_000, patch: 3000, delete: 3000, list: 25, select: 5, watch: 100_000, p99: 5 };

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '3' },
    all: { type: 'boolean' },
    'no-trace': { type: 'boolean' },
    prof: { type: 'string' },
    node: { type: 'string', multiple: true, default: [] },
  },
});
const roundMs = Number(flags.seconds) * 1000;
const wants = (phase: string) => positionals.length === 0 || positionals.includes(phase);
const dir = mkdtempSync(join(tmpdir(), 'coracle-bench-'));

const row = (cells: readonly string[]) =>
  console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(34) : cell.padStart(13))).join(''));
const number = (value: number) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1));
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const micros = (value: number) => `${Math.round(value)} us`;

interface Rate {
  readonly perSecond: number;
  readonly cpuUs: number;
}

/** Sends what `ask` gives for its turn until the time is over, or until it gives nothing. */
async function rate(
  process: Measured,
  client: H2Client,
  wanted: number,
  ask: (turn: number) => Ask | undefined,
): Promise<Rate> {
  const cpu = process.cpuMs();
  const began = performance.now();
  let turn = 0;
  await client.each(IN_FLIGHT, wanted, () => (performance.now() - began < roundMs ? ask(turn++) : undefined));
  const ms = performance.now() - began;
  return { perSecond: (turn / ms) * 1000, cpuUs: ((process.cpuMs() - cpu) / turn) * 1000 };
}

async function lists(client: H2Client, path: string): Promise<{ readonly ms: number; readonly bytes: number }> {
  const times: number[] = [];
  let bytes = 0;
  for (let i = 0; i < LISTS; i++) {
    const began = performance.now();
    const { status, body } = await client.send(client.sessions[0]!, { method: 'GET', path });
    if (status !== 200) throw new Error(`${path}: ${status} ${body.toString()}`);
    times.push(performance.now() - began);
    bytes = body.length;
  }
  return { ms: median(times), bytes };
}

async function make(client: H2Client, names: readonly string[], namespace = 'bench'): Promise<void> {
  let i = 0;
  const path = `/api/v1/namespaces/${namespace}/pods`;
  await client.each(IN_FLIGHT, 201, () => {
    const name = names[i];
    return name === undefined ? undefined : { method: 'POST', path, body: podJson(name, i++) };
  });
}

const patchOf = (n: number) => `{"metadata":{"annotations":{"example.com/round":"${n}"}}}`;
const MERGE = 'application/merge-patch+json';

async function main(): Promise<void> {
  const nodeArgs = [...flags.node, ...(flags.prof ? ['--cpu-prof', `--cpu-prof-dir=${flags.prof}`] : [])];
  const server = new Measured(
    await bundle('server-process'),
    [dir, ...(flags.all ? ['all'] : []), ...(flags['no-trace'] ? ['no-trace'] : [])],
    nodeArgs,
  );
  const floor = new Measured(await bundle('floor-process'), [dir], []);
  try {
    const target = await server.said<Target>();
    await delay(1500);
    const atStart = server.residentMb();
    const client = new H2Client(target, CONNECTIONS);
    await prepare(client);
    const sample = await client.send(client.sessions[0]!, { method: 'GET', path: `${PODS}/pod-0` });
    const list = await client.send(client.sessions[0]!, { method: 'GET', path: '/api/v1/namespaces/listed/pods' });
    floor.tell({
      object: sample.body.length,
      list: list.body.length,
      line: sample.body.length + 30,
    } satisfies FloorOptions);
    const bare = new H2Client(await floor.said<Target>(), CONNECTIONS);
    console.log(`pods of ${sample.body.length} bytes; ${CONNECTIONS} connections, ${IN_FLIGHT} in flight on each`);
    row(['', 'measured', 'goal', 'CPU each', 'floor', 'its CPU']);
    await rates({ server, client, floor, bare });
    if (wants('list')) await listing(client, bare);
    if (wants('watch')) await watching({ server, client, floor, bare });
    row(['resident at start', `${number(atStart)} MB`]);
    row(['resident after', `${number(server.residentMb())} MB`, '300 MB']);
    client.close();
    bare.close();
  } finally {
    await Promise.all([server.end(), floor.end()]);
    rmSync(dir, { recursive: true });
  }
}

interface Sides {
  readonly server: Measured;
  readonly client: H2Client;
  readonly floor: Measured;
  readonly bare: H2Client;
}

/** The namespaces, the pods of the lists, and code that is warm. */
async function prepare(client: H2Client): Promise<void> {
  for (const name of ['bench', 'listed', 'watched']) {
    const body = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    const { status } = await client.send(client.sessions[0]!, { method: 'POST', path: '/api/v1/namespaces', body });
    if (status !== 201) throw new Error(`namespace ${name}: ${status}`);
  }
  await make(client, ['pod-0']);
  await make(
    client,
    Array.from({ length: LISTED }, (_, i) => `pod-${i}`),
    'listed',
  );
  await make(
    client,
    Array.from({ length: EVENTS }, (_, i) => `pod-${i}`),
    'watched',
  );
  let n = 0;
  await client.each(IN_FLIGHT, 200, () => (n++ < 5000 ? { method: 'GET', path: `${PODS}/pod-0` } : undefined));
}

/** The same bytes both ways, about nothing. */
const bodies: Readonly<Record<string, string>> = { create: podJson('new-12345', 0), patch: patchOf(12_345) };
const floorAsk = (body: string | undefined): Ask =>
  body === undefined ? { method: 'GET', path: '/object' } : { method: 'POST', path: '/object', body };

async function rates({ server, client, floor, bare }: Sides): Promise<void> {
  let made = 0;
  const asks: Record<'create' | 'get' | 'patch' | 'delete', readonly [number, (n: number) => Ask | undefined]> = {
    create: [201, () => ({ method: 'POST', path: PODS, body: podJson(`new-${made}`, made++) })],
    get: [200, (n) => ({ method: 'GET', path: `${PODS}/new-${(n * 7) % made}` })],
    patch: [200, (n) => ({ method: 'PATCH', path: `${PODS}/new-${(n * 7) % made}`, body: patchOf(n), type: MERGE })],
    delete: [200, (n) => (n < made ? { method: 'DELETE', path: `${PODS}/new-${n}` } : undefined)],
  };
  if (!wants('create'))
    await make(
      client,
      Array.from({ length: (made = 5000) }, (_, i) => `new-${i}`),
    );
  for (const [phase, [wanted, ask]] of Object.entries(asks)) {
    if (!wants(phase)) continue;
    const ours = await rate(server, client, wanted, ask);
    const theirs = await rate(floor, bare, 200, () => floorAsk(bodies[phase]));
    const goal = GOALS[phase as keyof typeof asks];
    const cells = [ours.perSecond, goal].map((value) => `${number(value)}/s`);
    row([phase, ...cells, micros(ours.cpuUs), `${number(theirs.perSecond)}/s`, micros(theirs.cpuUs)]);
  }
  floor.tell({ puts: CONNECTIONS * IN_FLIGHT });
  const { perSecond } = await floor.said<{ perSecond: number }>();
  row(['durable puts of LMDB alone', '', '', '', `${number(perSecond)}/s`]);
}

async function listing(client: H2Client, bare: H2Client): Promise<void> {
  const path = '/api/v1/namespaces/listed/pods';
  const all = await lists(client, path);
  const floor = await lists(bare, '/list');
  row([
    `LIST ${LISTED} (${number(all.bytes / 1e6)} MB)`,
    `${number(all.ms)} ms`,
    `${GOALS.list} ms`,
    '',
    `${number(floor.ms)} ms`,
  ]);
  const some = await lists(client, `${path}?labelSelector=tier%3Dt7,app%3Dstorefront`);
  const least = await lists(bare, '/object');
  row([
    `LIST by label (${number(some.bytes / 1e3)} KB)`,
    `${number(some.ms)} ms`,
    `${GOALS.select} ms`,
    '',
    `${number(least.ms)} ms`,
  ]);
}

async function watching({ server, client, floor, bare }: Sides): Promise<void> {
  let round = 1;
  const write = async (n: number) => {
    const ask = { method: 'PATCH', path: `${WATCHED}/pod-${n}`, body: patchOf(round), type: MERGE };
    if (n === EVENTS - 1) round++;
    const { status } = await client.send(client.sessions[n % CONNECTIONS]!, ask);
    if (status !== 200) throw new Error(`patch: ${status}`);
  };
  const ours = await Watchers.open(client, `${WATCHED}?watch=1`, EVENTS);
  const theirs = await Watchers.open(bare, '/watch', 0);
  const show = (what: string, mine: Fanned, least: Fanned) => {
    const speed = `${number(mine.perSecond)}/s`;
    row([
      `watch, ${what}`,
      speed,
      `${number(GOALS.watch)}/s`,
      micros(mine.cpuUs),
      `${number(least.perSecond)}/s`,
      micros(least.cpuUs),
    ]);
    row([`  p99 of the delay`, `${number(mine.p99)} ms`, `${GOALS.p99} ms`, '', `${number(least.p99)} ms`]);
  };
  const send = (n: number) => void (n >= 0 && floor.tell({ events: 1 }));
  // Both are warm after the first round.
  for (const warm of [false, true]) {
    const mine = await burst(server, ours, write);
    const least = await burst(floor, theirs, send);
    if (warm) show('all at once', mine, least);
  }
  show('50 a second', await paced(server, ours, write), await paced(floor, theirs, send));
}

await main();
