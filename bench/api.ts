// What the API server does in a second, and what it costs: durable create, get, merge patch and delete of 3 KB pods, lists of
// 2,000 of them, watches of 100 clients, memory. The server is a process of its own on the disk store, run as `bin/coracle`
// runs it; the client speaks HTTP/2 over TLS with a client certificate, 4 connections with 32 requests each. Beside every
// figure stands its floor, measured in the same run, and its goal. Every run does the same number of operations, so that CPU
// and memory can be compared, also between loaded machines.
// `node bench/api.ts [--part 0.2] [--all] [--prof dir] [--node=--flag] [phase...]`: `--part` does less of everything; `--all` runs
// controllers and scheduler in the server's process; `--no-trace` remembers no spans; `--prof` writes a CPU profile of the server; `--collect` measures memory
// after garbage collection too; `--snapshot file` writes a heap snapshot at the end; phases are create, get, patch, delete,
// list, watch.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MALLOC, NODE_FLAGS } from '../src/cluster/process-settings.ts';
import type { FloorOptions } from './api/floor-process.ts';
import { H2Client, type Ask, type Target } from './api/h2-client.ts';
import { podJson } from './api/pod.ts';
import { bundle, Measured } from './api/processes.ts';
import { MemoryTable, micros, millis, number, percentile, row } from './api/report.ts';
import { allAtOnce, atAPace, EVENTS, fan, oneByOne, Watchers, type Fanned } from './api/watchers.ts';

const CONNECTIONS = 4;
const IN_FLIGHT = 32;
const LISTED = 2000;
const LISTS = 12;
const WATCHED = '/api/v1/namespaces/watched/pods';
const PODS = '/api/v1/namespaces/bench/pods';
const IDLE_MS = 15_000;
const GOALS = { create: 4000, get: 13_000, patch: 3000, delete: 3000, list: 25, select: 5, watch: 100_000, p99: 5 };

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    part: { type: 'string', default: '1' },
    all: { type: 'boolean' },
    'no-trace': { type: 'boolean' },
    prof: { type: 'string' },
    snapshot: { type: 'string' },
    collect: { type: 'boolean' },
    node: { type: 'string', multiple: true, default: [] },
  },
});
const part = (operations: number) => Math.ceil(operations * Number(flags.part));
const OPERATIONS = { create: part(10_000), get: part(30_000), patch: part(10_000), delete: part(10_000) };
const wants = (phase: string) => positionals.length === 0 || positionals.includes(phase);
const dir = mkdtempSync(join(tmpdir(), 'coracle-bench-'));
const memory = new MemoryTable();

interface Rate {
  readonly perSecond: number;
  readonly cpuUs: number;
}

/** Sends what `ask` gives for its turn, so many times. */
async function rate(
  process: Measured,
  client: H2Client,
  wanted: number,
  count: number,
  ask: (turn: number) => Ask,
): Promise<Rate> {
  const cpu = process.cpuMs();
  const began = performance.now();
  let turn = 0;
  await client.each(IN_FLIGHT, wanted, () => (turn < count ? ask(turn++) : undefined));
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
  return { ms: percentile(times, 0.5), bytes };
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
  const nodeArgs = [
    ...NODE_FLAGS,
    ...flags.node,
    ...(flags.prof ? ['--cpu-prof', `--cpu-prof-dir=${flags.prof}`] : []),
    ...(flags.collect ? ['--expose-gc'] : []),
  ];
  const server = new Measured(
    await bundle('server-process'),
    [dir, ...(flags.all ? ['all'] : []), ...(flags['no-trace'] ? ['no-trace'] : [])],
    nodeArgs,
    MALLOC,
  );
  const floor = new Measured(await bundle('floor-process'), [dir], [...NODE_FLAGS, ...flags.node], MALLOC);
  try {
    const target = await server.said<Target>();
    await delay(1500);
    memory.add('at the start', await server.memory());
    const client = new H2Client(target, CONNECTIONS);
    await prepare(client);
    const sample = await client.send(client.sessions[0]!, { method: 'GET', path: `${PODS}/pod-0` });
    const list = await client.send(client.sessions[0]!, { method: 'GET', path: '/api/v1/namespaces/listed/pods' });
    floor.tell({
      object: sample.body.length,
      list: list.body.length,
      line: sample.body.length + 30,
    } satisfies FloorOptions);
    const bareTarget = await floor.said<Target>();
    const bare = new H2Client(bareTarget, CONNECTIONS);
    const sides = { server, client, floor, bare };
    memory.add(`with ${LISTED} pods`, await server.memory());
    console.log(`pods of ${sample.body.length} bytes; ${CONNECTIONS} connections, ${IN_FLIGHT} in flight on each`);
    row(['', 'measured', 'goal', 'CPU each', 'floor', 'its CPU']);
    await rates(sides);
    if (wants('list')) await listing(client, bare);
    if (wants('watch')) {
      await watching(sides, 'on 4 connections');
      const one = { ...sides, client: new H2Client(target, 1), bare: new H2Client(bareTarget, 1) };
      await watching(one, 'on 1 connection');
      one.client.close();
      one.bare.close();
    }
    memory.add('after all of it', await server.memory(), await floor.memory());
    await delay(IDLE_MS);
    memory.add(`${IDLE_MS / 1000} s later`, await server.memory(), await floor.memory());
    const { snapshot, collect } = flags;
    if (collect) memory.add('without garbage', await server.memory({ collect }));
    memory.print();
    console.log('the goal for memory after all of it is 300 MB resident');
    if (snapshot) await server.memory({ snapshot });
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
  const made = OPERATIONS.create;
  const asks: Record<'create' | 'get' | 'patch' | 'delete', readonly [number, (n: number) => Ask]> = {
    create: [201, (n) => ({ method: 'POST', path: PODS, body: podJson(`new-${n}`, n) })],
    get: [200, (n) => ({ method: 'GET', path: `${PODS}/new-${(n * 7) % made}` })],
    patch: [200, (n) => ({ method: 'PATCH', path: `${PODS}/new-${(n * 7) % made}`, body: patchOf(n), type: MERGE })],
    delete: [200, (n) => ({ method: 'DELETE', path: `${PODS}/new-${n}` })],
  };
  if (!wants('create'))
    await make(
      client,
      Array.from({ length: made }, (_, i) => `new-${i}`),
    );
  for (const phase of ['create', 'get', 'patch', 'delete'] as const) {
    if (!wants(phase)) continue;
    const [wanted, ask] = asks[phase];
    const ours = await rate(server, client, wanted, OPERATIONS[phase], ask);
    const theirs = await rate(floor, bare, 200, OPERATIONS[phase], () => floorAsk(bodies[phase]));
    memory.add(`after ${phase}`, await server.memory(), await floor.memory());
    const cells = [ours.perSecond, GOALS[phase]].map((value) => `${number(value)}/s`);
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
  row([`LIST ${LISTED} (${number(all.bytes / 1e6)} MB)`, millis(all.ms), millis(GOALS.list), '', millis(floor.ms)]);
  const some = await lists(client, `${path}?labelSelector=tier%3Dt7,app%3Dstorefront`);
  const least = await lists(bare, '/object');
  row([`LIST by label (${number(some.bytes / 1e3)} KB)`, millis(some.ms), millis(GOALS.select), '', millis(least.ms)]);
}

/** The floor does a durable put for each event. */
async function watching({ server, client, floor, bare }: Sides, where: string): Promise<void> {
  let round = 1;
  const sender = (to: H2Client, ask: (n: number) => Ask) => async (n: number) => {
    const { status } = await to.send(to.sessions[n % to.sessions.length]!, ask(n));
    if (status !== 200) throw new Error(`event: ${status}`);
  };
  const write = sender(client, (n) => {
    if (n === 0) round++;
    return { method: 'PATCH', path: `${WATCHED}/pod-${n}`, body: patchOf(round), type: MERGE };
  });
  const send = sender(bare, () => ({ method: 'POST', path: '/event', body: patchOf(1) }));
  const ours = await Watchers.open(client, `${WATCHED}?watch=1`, EVENTS);
  const theirs = await Watchers.open(bare, '/watch', 0);
  console.log(`100 watchers ${where}, 100 writes`);
  const rhythms = [
    ['all at once', allAtOnce],
    ['one after the other', oneByOne],
    ['50 a second', atAPace],
  ] as const;
  // So that code is warm.
  for (let i = 0; i < 3; i++) {
    await fan(server, ours, write, allAtOnce);
    await fan(floor, theirs, send, allAtOnce);
  }
  for (const [name, rhythm] of rhythms) {
    const mine = await fan(server, ours, write, rhythm);
    showWatch(name, mine, await fan(floor, theirs, send, rhythm));
  }
  ours.close();
  theirs.close();
}

function showWatch(name: string, mine: Fanned, floor: Fanned): void {
  const both = (what: string, key: 'p50' | 'p99' | 'p99Answered', goal = '') =>
    row([`  ${what}`, millis(mine[key]), goal, '', millis(floor[key])]);
  const speeds = [mine.perSecond, GOALS.watch].map((value) => `${number(value)}/s`);
  row([`  ${name}`, ...speeds, micros(mine.cpuUs), `${number(floor.perSecond)}/s`, micros(floor.cpuUs)]);
  both('  p50 from the sending', 'p50');
  both('  p99 from the sending', 'p99', millis(GOALS.p99));
  both('  p99 from the answer', 'p99Answered');
}

await main();
