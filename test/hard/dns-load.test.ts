// Cluster DNS under floods and while the API server is gone: memory stays bounded, nothing crashes it, and whoever asks for a
// good name meanwhile gets it. On loopback; the server is a process of its own.

import { createSocket, type Socket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/virtual-clock.ts';
import { withLength } from '../../src/host/dns-forward.ts';
import { ApiClient } from './support/api-client.ts';
import {
  flood,
  openTcp,
  query,
  resolve,
  resolveTcp,
  startDnsChild,
  type DnsChild,
  type Reply,
} from './support/dns-client.ts';
import { freePort } from './support/ports.ts';
import { startServerChild, type ServerChild } from './support/server-child.ts';

const MEGABYTE = 2 ** 20;
const WEB = 'web.default.svc.cluster.local';
const BIG = 'big.default.svc.cluster.local';
const WEB_IP = '10.96.0.77';

const dir = mkdtempSync(join(tmpdir(), 'coracle-dns-'));
let api: ServerChild;
let silent: Socket;
let dns: DnsChild;

/** A headless Service with so many addresses that the answer is of some 14 KB. */
const BIG_SIZE = 900;

async function prepare(): Promise<void> {
  const client = new ApiClient(api);
  const service = (name: string, spec: object) =>
    client.ok('POST', '/api/v1/namespaces/default/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { ports: [{ port: 80 }], ...spec },
    });
  await service('web', { clusterIP: WEB_IP });
  await service('big', { clusterIP: 'None' });
  await client.ok('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'big', labels: { 'kubernetes.io/service-name': 'big' } },
    addressType: 'IPv4',
    ports: [{ name: '', port: 80, protocol: 'TCP' }],
    endpoints: Array.from({ length: BIG_SIZE }, (_, i) => ({ addresses: [`10.244.${i >> 8}.${i & 255}`] })),
  });
  client.close();
}

beforeAll(async () => {
  api = await startServerChild({ dataDir: dir, port: await freePort() });
  await prepare();
  // The world outside takes every question and answers none.
  silent = createSocket('udp4');
  await new Promise<void>((done) => silent.bind(0, '127.0.0.1', done));
});
afterAll(async () => {
  silent.close();
  await api.stop();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(async () => {
  const { ca, cert, key, port } = api;
  dns = await startDnsChild({
    server: `https://127.0.0.1:${port}`,
    ca,
    cert,
    key,
    upstreams: [`127.0.0.1:${silent.address().port}`],
  });
});
afterEach(() => dns[Symbol.asyncDispose]());

const addresses = (answer: Reply | undefined) => answer?.answers?.flatMap((a) => ('data' in a ? [a.data] : []));

/** Runs the attack while somebody else asks for a good name; it must be answered each time, and memory come back. */
async function harmless(attack: () => Promise<unknown>, { kept = 15, peak = 200 } = {}): Promise<void> {
  const before = await dns.held();
  const over = new AbortController();
  const asking = (async () => {
    let count = 0;
    while (!over.signal.aborted) {
      expect(addresses(await resolve(dns.port, WEB)), 'a good name meanwhile').toEqual([WEB_IP]);
      count++;
      await delay(10);
    }
    return count;
  })();
  try {
    await Promise.race([attack(), asking]);
  } finally {
    over.abort();
  }
  expect(await asking).toBeGreaterThan(0);
  let grown = 0;
  for (let i = 0; i < 40; i++) {
    grown = ((await dns.held()) - before) / MEGABYTE;
    if (grown < kept) break;
    await delay(100);
  }
  expect(grown, 'megabytes kept').toBeLessThan(kept);
  expect(dns.peak(), 'megabytes at worst').toBeLessThan(peak);
  expect(addresses(await resolve(dns.port, WEB))).toEqual([WEB_IP]);
}

function* repeat(count: number, make: (i: number) => Buffer): Iterable<Buffer> {
  for (let i = 0; i < count; i++) yield make(i);
}

test('thousands of good questions at once', async () => {
  await harmless(async () =>
    expect(
      await flood(
        dns.port,
        repeat(20_000, () => query(WEB)),
      ),
    ).toBeGreaterThan(1_000),
  );
});

test('names outside whose servers never answer: a bounded number is asked, the rest refused, the log stays short', async () => {
  await harmless(() =>
    flood(
      dns.port,
      repeat(10_000, (i) => query(`n${i}.unknown.example`)),
      2_500,
    ),
  );
  expect(dns.log.filter((line) => line.includes('cannot answer')).length).toBeLessThan(20);
});

test('packets that are none', async () => {
  const random = seededRandom(7);
  const bytes = (n: number) => Buffer.from(Array.from({ length: n }, () => Math.floor(random.next() * 256)));
  const head = (questions: number, more = 0) => {
    const header = Buffer.alloc(12);
    header[2] = 1;
    header.writeUInt16BE(questions, 4);
    header.writeUInt16BE(more, 6);
    return header;
  };
  const good = query(WEB);
  const longName = Buffer.concat([
    head(1),
    ...Array.from({ length: 200 }, () => Buffer.from('\x05label')),
    Buffer.alloc(5),
  ]);
  const pointsToItself = Buffer.concat([head(1), Buffer.from([0xc0, 12, 0, 1, 0, 1])]);
  const pointsOut = Buffer.concat([head(1), Buffer.from([0xff, 0xff, 0, 1, 0, 1])]);
  const kinds: ((i: number) => Buffer)[] = [
    (i) => bytes(i % 600),
    (i) => good.subarray(0, i % good.length),
    () => longName,
    () => pointsToItself,
    () => pointsOut,
    () => head(65_535, 65_535),
    (i) => Buffer.concat([good.subarray(0, 12), bytes(i % 100)]),
    () => query(`${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(40)}.cluster.local`),
    (i) => Buffer.concat([good.subarray(0, 2), Buffer.from([i & 0x7f, i & 0xff]), good.subarray(4)]),
  ];
  await harmless(() =>
    flood(
      dns.port,
      repeat(20_000, (i) => kinds[i % kinds.length]!(i)),
    ),
  );
});

test('a packet that would take long to read is refused unread', async () => {
  // 64 KB of questions that all point to one long name.
  const name = Buffer.concat([...Array.from({ length: 126 }, () => Buffer.from('\x01a')), Buffer.from([0])]);
  const first = Buffer.concat([name, Buffer.from([0, 1, 0, 1])]);
  const count = Math.floor((65_000 - first.length) / 6);
  const header = Buffer.alloc(12);
  header.writeUInt16BE(count + 1, 4);
  const pointer = Buffer.from([0xc0, 12, 0, 1, 0, 1]);
  const bomb = Buffer.concat([header, first, ...Array.from({ length: count }, () => pointer)]);
  await harmless(async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => resolveTcp(dns.port, bomb)));
    expect(answers.map((a) => a?.rcode)).toEqual(Array.from({ length: 50 }, () => 'FORMERR'));
  });
});

test('clients that ask and ask over TCP and never read', async () => {
  const ask = withLength(query(BIG));
  const many = Buffer.concat(Array.from({ length: 500 }, () => ask));
  await harmless(async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => openTcp(dns.port)));
    for (const { socket } of clients) {
      socket.pause();
      // As much as the connection takes: what it does not take stays with the one who asks.
      const push = () => {
        if (!socket.destroyed && socket.writableLength < 4 * many.length) socket.write(many, push);
      };
      push();
    }
    await delay(3_000);
    for (const { socket } of clients) socket.destroy();
  });
});

test('connections that send half a message, and too many of them: others still get through', async () => {
  await harmless(async () => {
    const half = withLength(query(WEB)).subarray(0, 20);
    const clients = await Promise.all(
      Array.from({ length: 1_500 }, async () => {
        const client = await openTcp(dns.port);
        client.socket.write(half);
        return client;
      }),
    );
    expect(addresses(await resolveTcp(dns.port, query(WEB)))).toEqual([WEB_IP]);
    expect(addresses(await resolveTcp(dns.port, query(BIG)))).toHaveLength(BIG_SIZE);
    // A byte now and then does not keep one alive for ever.
    const dribbling = setInterval(() => clients.forEach(({ socket }) => socket.destroyed || socket.write('\0')), 1_000);
    await Promise.all(clients.map(({ closed }) => closed));
    clearInterval(dribbling);
  });
});

test('while the API server is gone it goes on with what it knew, and follows again afterwards', async () => {
  await api.kill();
  for (let i = 0; i < 20; i++) {
    expect(addresses(await resolve(dns.port, WEB))).toEqual([WEB_IP]);
    expect((await resolve(dns.port, 'nobody.default.svc.cluster.local'))?.rcode).toBe('NXDOMAIN');
    await delay(50);
  }
  api = await startServerChild({ dataDir: dir, port: api.port });
  const client = new ApiClient(api);
  await client.ok('POST', '/api/v1/namespaces/default/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'late' },
    spec: { clusterIP: '10.96.0.99', ports: [{ port: 80 }] },
  });
  client.close();
  await expect
    .poll(async () => addresses(await resolve(dns.port, 'late.default.svc.cluster.local')), { timeout: 60_000 })
    .toEqual(['10.96.0.99']);
  expect(dns.running).toBe(true);
});
