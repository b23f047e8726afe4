// The server is killed with SIGKILL at random moments while clients write and watch. Whatever it acknowledged is there,
// no revision stands for two writes, watches go on from where they were, and a Deployment has the pods it should have.
//
// CORACLE_HARD_ROUNDS (40) kills; CORACLE_HARD_SEED repeats the choices of a run.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/virtual-clock.ts';
import type { Random } from '../../src/base/env.ts';
import { ApiClient, ConnectionLost, patiently, type Answer } from './support/api-client.ts';
import { History, ReplayedWatch, type WatchedObject } from './support/history.ts';
import { freePort } from './support/ports.ts';
import { spawnServer, type ServerChild } from './support/server-child.ts';

const ROUNDS = Number(process.env['CORACLE_HARD_ROUNDS'] ?? 40);
const SEED = Number(process.env['CORACLE_HARD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const WRITERS = 6;
const MAPS = '/api/v1/namespaces/load/configmaps';
const PODS = '/api/v1/namespaces/load/pods';
const DEPLOYMENT = '/apis/apps/v1/namespaces/load/deployments/web';

const history = new History(SEED);
const dir = mkdtempSync(join(tmpdir(), 'coracle-kill-'));
/** Ends the writers. */
const calm = new AbortController();
/** Ends the watches. */
const stop = new AbortController();
let port = 0;
let access: ServerChild;

beforeAll(async () => {
  port = await freePort();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const pick = (random: Random, below: number) => Math.floor(random.next() * below);

/** What a key may hold: what was last acknowledged, or what was asked for after that without an answer. */
interface Known {
  /** Undefined: nothing. */
  value: string | undefined;
  version: string | undefined;
}

/** Writes its own objects, so that it knows what each must hold; an open question is settled before the next write. */
class Writer {
  readonly name: string;
  readonly keys = new Map<string, Known>();
  readonly client: ApiClient;
  acknowledged = 0;
  unanswered = 0;
  readonly #random: Random;
  #count = 0;

  constructor(index: number) {
    this.name = `w${index}`;
    this.#random = seededRandom(SEED * 31 + index);
    this.client = new ApiClient(access);
  }

  async run(): Promise<void> {
    while (!calm.signal.aborted) await this.#step();
    this.client.close();
  }

  async #step(): Promise<void> {
    const mine = [...this.keys].filter(([, known]) => known.value !== undefined);
    const choice = mine.length < 5 ? 0 : this.#random.next();
    const value = `${this.name}-${++this.#count}-${'x'.repeat(pick(this.#random, 3000))}`;
    const [key, known] = mine[pick(this.#random, mine.length)] ?? ['', undefined];
    if (choice < 0.4 || !known) {
      const name = `${this.name}-${this.#count}`;
      return this.#write(name, value, () => this.client.request('POST', MAPS, configMap(name, value)));
    }
    const path = `${MAPS}/${key}`;
    if (choice < 0.6) {
      const body = configMap(key, value, known.version);
      return this.#write(key, value, () => this.client.request('PUT', path, body));
    }
    if (choice < 0.8) return this.#write(key, value, () => this.client.request('PATCH', path, { data: { value } }));
    await this.#write(key, undefined, () => this.client.request('DELETE', path));
  }

  async #write(key: string, value: string | undefined, request: () => Promise<Answer>): Promise<void> {
    const what = `${key} = ${short(value)}`;
    history.add(this.name, `asks ${what}`);
    let answer: Answer;
    try {
      answer = await request();
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      history.add(this.name, `no answer about ${what}: ${error.message}`);
      this.unanswered++;
      return this.#settle(key, [this.keys.get(key)?.value, value]);
    }
    // The server is on its way down, or not yet up.
    if (answer.status === 503 || answer.status === 429) return void (await delay(5));
    if (answer.status >= 300) history.fail(`${this.name}: ${what}: ${answer.status} ${answer.text}`);
    this.acknowledged++;
    const { resourceVersion: version } = answer.object.metadata;
    history.add(this.name, `told ${what} at ${version}`);
    if (value !== undefined) this.#revisionOf(key, value, version);
    this.keys.set(key, { value, version: value === undefined ? undefined : version });
  }

  /** After a question without answer: what the server holds must be one of these, and counts from now on. */
  async #settle(key: string, allowed: readonly (string | undefined)[]): Promise<void> {
    const answer = await this.read(key);
    const value = answer?.data?.['value'];
    history.add(this.name, `finds ${key} = ${short(value)} at ${answer?.metadata.resourceVersion}`);
    if (!allowed.includes(value))
      history.fail(`${this.name}: ${key} is ${short(value)}, not one of ${allowed.map(short).join(', ')}`);
    const version = answer?.metadata.resourceVersion;
    if (value !== undefined) this.#revisionOf(key, value, version);
    this.keys.set(key, { value, version });
  }

  async read(key: string): Promise<WatchedObject | undefined> {
    const answer = await patiently(() => this.client.request('GET', `${MAPS}/${key}`));
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) history.fail(`${this.name}: reading ${key}: ${answer.status} ${answer.text}`);
    return answer.object as WatchedObject;
  }

  /** All that must be there at the end. */
  async check(): Promise<void> {
    for (const [key, known] of this.keys) {
      const found = (await this.read(key))?.data?.['value'];
      if (found !== known.value) history.fail(`${this.name}: ${key} is ${short(found)}, not ${short(known.value)}`);
    }
  }

  #revisionOf(key: string, value: string, version: string | undefined): void {
    values.record(version, `${key} ${value}`, this.name);
  }
}

/** Which value each revision gave a key: writers and watchers must agree. */
const values = {
  seen: new Map<string, string>(),
  record(version: string | undefined, write: string, who: string): void {
    const known = this.seen.get(version ?? '');
    if (known === undefined) this.seen.set(version ?? '', write);
    else if (known !== write) history.fail(`revision ${version} is ${short(known)} and ${short(write)} (${who})`);
  },
};

const short = (value: string | undefined) => (value === undefined ? 'nothing' : value.slice(0, 24));

const configMap = (name: string, value: string, resourceVersion?: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels: { parity: String(value.length % 2) }, ...(resourceVersion ? { resourceVersion } : {}) },
  data: { value },
});

/** Several clients add one to the same number, by compare and swap. */
class Counter {
  readonly client = new ApiClient(access);
  acknowledged = 0;
  unanswered = 0;

  async run(): Promise<void> {
    while (!calm.signal.aborted) {
      const { object } = await patiently(() => this.client.request('GET', `${MAPS}/counter`));
      const value = String(Number((object as WatchedObject).data!['value']) + 1);
      const body = configMap('counter', value, object.metadata.resourceVersion);
      try {
        const { status, text } = await this.client.request('PUT', `${MAPS}/counter`, body);
        if (status === 200) this.acknowledged++;
        else if (status !== 409 && status !== 503) history.fail(`counter: ${status} ${text}`);
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        this.unanswered++;
      }
    }
    this.client.close();
  }
}

/** Lists once, then watches to the end of the test, coming back each time where it was. */
async function follow(watch: ReplayedWatch, path: string, onEvent: () => void): Promise<void> {
  const client = new ApiClient(access);
  while (!stop.signal.aborted) {
    try {
      const query = `${path.includes('?') ? '&' : '?'}watch=true&allowWatchBookmarks=true&resourceVersion=${watch.last}`;
      const watching = await client.watch(path + query, (event) => {
        watch.see(event);
        onEvent();
      });
      watch.resumed++;
      stop.signal.addEventListener('abort', () => watching.stop(), { once: true });
      await watching.ended;
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
    }
    await delay(5);
  }
  client.close();
}

async function startFollowing(
  name: string,
  path: string,
  whole: boolean,
  onEvent: (w: ReplayedWatch) => void = () => {},
) {
  const client = new ApiClient(access);
  const list = (await client.ok('GET', path)) as unknown as ConstructorParameters<typeof ReplayedWatch>[1];
  client.close();
  const watch = new ReplayedWatch(name, list, history, { whole });
  return { watch, path, running: follow(watch, path, () => onEvent(watch)) };
}

/** The replicas asked for, and before: while pods come and go their number stays within. */
const replicas = { now: 3, before: 3 };

function checkPods({ objects }: ReplayedWatch): void {
  const active = [...objects.values()].filter((pod) => !pod.metadata.deletionTimestamp);
  const most = Math.max(replicas.now, replicas.before);
  if (active.length > most)
    history.fail(`${active.length} pods of a Deployment of ${most}: ${[...objects.keys()].join()}`);
}

/** Scales and deletes pods, so that there is always something to do for the controllers. */
async function disturb(): Promise<void> {
  const random = seededRandom(SEED * 31 + 100);
  const client = new ApiClient(access);
  while (!calm.signal.aborted) {
    const { object } = await patiently(() => client.request('GET', PODS));
    const pods = (object['items'] as WatchedObject[]).map((pod) => pod.metadata.name!);
    const victim = pods[pick(random, pods.length)];
    if (victim) await client.request('DELETE', `${PODS}/${victim}`).catch(ignoreLoss);
    await delay(pick(random, 40));
  }
  client.close();
}

async function scale(client: ApiClient, random: Random): Promise<void> {
  // The previous change has to be through before pods can be counted against the next.
  await settled(client);
  replicas.before = replicas.now;
  replicas.now = 1 + pick(random, 6);
  history.add('scaler', `from ${replicas.before} to ${replicas.now}`);
  await patiently(() => client.request('PATCH', DEPLOYMENT, { spec: { replicas: replicas.now } }));
}

interface WithStatus {
  readonly metadata: { readonly generation?: number };
  readonly spec: { readonly replicas: number };
  readonly status: { readonly replicas?: number; readonly observedGeneration?: number };
}

async function settled(client: ApiClient): Promise<void> {
  for (const end = performance.now() + 30_000; ;) {
    const { object } = await patiently(() => client.request('GET', DEPLOYMENT));
    const { metadata, spec, status } = object as unknown as WithStatus;
    const { object: pods } = await patiently(() => client.request('GET', PODS));
    const count = (pods['items'] as unknown[]).length;
    if (spec.replicas === count && status.replicas === count && status.observedGeneration === metadata.generation)
      return;
    if (performance.now() > end)
      history.fail(`the Deployment does not settle: ${count} pods, ${JSON.stringify({ spec: spec.replicas, status })}`);
    await delay(10);
  }
}

function ignoreLoss(error: unknown): void {
  if (!(error instanceof ConnectionLost)) throw error;
}

async function prepare(): Promise<void> {
  const client = new ApiClient(access);
  await client.ok('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'load' } });
  await client.ok('POST', MAPS, configMap('counter', '0'));
  const labels = { app: 'web' };
  await client.ok('POST', '/apis/apps/v1/namespaces/load/deployments', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas: replicas.now,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  });
  await settled(client);
  client.close();
}

/** Kills and starts again, so many times; ends with a server that runs. */
async function killing(rounds: number): Promise<ServerChild> {
  const random = seededRandom(SEED);
  const scaler = new ApiClient(access);
  let server = access;
  for (let round = 1; round <= rounds; round++) {
    if (round % 5 === 0) await scale(scaler, random);
    await delay(20 + pick(random, 500));
    history.add('killer', `round ${round}`);
    await server.kill();
    // Sometimes before it is up.
    while (random.next() < 0.2) {
      const early = await spawnServer({ dataDir: dir, port });
      await Promise.race([delay(pick(random, 500)), early.ready]);
      history.add('killer', 'again, while it starts');
      await early.kill();
    }
    server = await (await spawnServer({ dataDir: dir, port })).ready;
    history.add('killer', 'it is up again');
  }
  scaler.close();
  return server;
}

test(`kill -9, ${ROUNDS} times, seed ${SEED}`, { timeout: 60_000 + ROUNDS * 10_000 }, async () => {
  access = await (await spawnServer({ dataDir: dir, port })).ready;
  await prepare();
  const all = await startFollowing('all', MAPS, true);
  const same = await startFollowing('same', MAPS, true);
  const odd = await startFollowing('odd', `${MAPS}?labelSelector=parity%3D1`, false);
  const pods = await startFollowing('pods', PODS, true, checkPods);
  const watches = [all, same, odd, pods];
  const writers = Array.from({ length: WRITERS }, (_, i) => new Writer(i));
  const counters = [new Counter(), new Counter()];
  const writing = [...[...writers, ...counters].map((w) => w.run()), disturb()];
  const running = [...watches.map((w) => w.running), ...writing];
  // What fails in the background ends the test at once.
  const failing = Promise.all(running);
  failing.catch(() => {});
  const server = await Promise.race([killing(ROUNDS), failing.then(() => Promise.reject(new Error('ended early')))]);
  const client = new ApiClient(server);
  try {
    calm.abort(new Error('done'));
    await Promise.all(writing);
    await settled(client);
    await Promise.race([
      catchUp(
        client,
        watches.map((w) => w.watch),
      ),
      failing,
    ]);
    stop.abort(new Error('done'));
    await failing;
    for (const writer of writers) await writer.check();
    await checkCounter(client, counters);
    await checkWatches(client, all, same, odd);
    const told = writers.reduce((sum, writer) => sum + writer.acknowledged, 0);
    expect(told).toBeGreaterThan(ROUNDS * 10);
    for (const { watch } of watches) expect(watch.resumed).toBeGreaterThanOrEqual(ROUNDS / 2);
  } finally {
    client.close();
    calm.abort(new Error('done'));
    stop.abort(new Error('done'));
    await server.stop();
  }
});

/** Waits until every watch has seen a last write of its own. */
async function catchUp(client: ApiClient, watches: readonly ReplayedWatch[]): Promise<void> {
  await delay(100);
  const { metadata } = await client.ok('POST', MAPS, {
    ...configMap('last', 'x'),
    metadata: { name: 'last', labels: { parity: '1' } },
  });
  const revision = Number(metadata.resourceVersion);
  const end = performance.now() + 30_000;
  while (watches.some((watch) => watch.name !== 'pods' && watch.last < revision)) {
    if (performance.now() > end) history.fail(`watches do not reach ${revision}: ${watches.map((w) => w.last).join()}`);
    await delay(10);
  }
}

async function checkCounter(client: ApiClient, counters: readonly Counter[]): Promise<void> {
  const object = (await client.ok('GET', `${MAPS}/counter`)) as WatchedObject;
  const value = Number(object.data!['value']);
  const least = counters.reduce((sum, counter) => sum + counter.acknowledged, 0);
  const most = counters.reduce((sum, counter) => sum + counter.unanswered, least);
  if (value < least || value > most) history.fail(`the counter is ${value}, after ${least} to ${most} additions`);
}

/** What the watches told, put together, is what a list tells; two of the same saw the same. */
async function checkWatches(
  client: ApiClient,
  ...followed: readonly { watch: ReplayedWatch; path: string }[]
): Promise<void> {
  const [all, same] = followed.map(({ watch }) => watch) as [ReplayedWatch, ReplayedWatch];
  const from = Math.max(all.start, same.start);
  const until = Math.min(all.last, same.last);
  const between = (watch: ReplayedWatch) =>
    watch.events
      .filter(({ revision }) => revision > from && revision <= until)
      .map(({ revision, write }) => `${revision} ${write}`);
  expect(between(same)).toEqual(between(all));
  const told = new Set(all.events.map(({ revision }) => revision));
  for (const revision of values.seen.keys())
    if (Number(revision) > all.start && !told.has(Number(revision)) && Number(revision) <= all.last)
      history.fail(`no watch told of revision ${revision}: ${short(values.seen.get(revision))}`);
  for (const { watch, path } of followed) {
    const { items } = (await client.ok('GET', path)) as unknown as { items: WatchedObject[] };
    const versions = (objects: Iterable<WatchedObject>) =>
      [...objects].map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`).sort();
    expect(versions(watch.objects.values())).toEqual(versions(items));
  }
}
