// Conversations with containers that keep to no protocol: SPDY and WebSocket frames of any kind after a proper upgrade.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { deflateSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/virtual-clock.ts';
import { ApiClient } from './support/api-client.ts';
import { harmless } from './support/harmless.ts';
import { startServerChild, type ServerChild } from './support/server-child.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const POD = '/api/v1/namespaces/default/pods/p';
const EXEC = `${POD}/exec?command=cat&stdin=true&stdout=true&container=c`;
const dir = mkdtempSync(join(tmpdir(), 'coracle-streams-'));
const SEED = Number(process.env['CORACLE_HARD_SEED'] ?? 7);
let server: ServerChild;
let client: ApiClient;
const open = new Set<TLSSocket>();

beforeAll(async () => {
  server = await startServerChild({ dataDir: dir, store: 'memory', echoNode: true });
  client = new ApiClient(server);
  await client.ok('POST', MAPS, { metadata: { name: 'there' }, data: {} });
  await client.ok('POST', '/api/v1/nodes', { metadata: { name: 'n1' } });
  for (let i = 0; ; i++) {
    const spec = { nodeName: 'n1', containers: [{ name: 'c', image: 'i', stdin: true }] };
    const answer = await client.request('POST', '/api/v1/namespaces/default/pods', { metadata: { name: 'p' }, spec });
    if (answer.status === 201) break;
    // Its service account takes a moment.
    if (i > 100) throw new Error(answer.text);
    await delay(50);
  }
});
afterEach(() => {
  for (const socket of open) socket.destroy();
  open.clear();
});
afterAll(async () => {
  client?.close();
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const unharmed = (attack: () => Promise<unknown>) =>
  harmless({ server, bystander: client, path: `${MAPS}/there` }, async () => {
    await attack();
    for (const socket of open) socket.destroy();
  });

interface Upgraded {
  readonly socket: TLSSocket;
  /** All that came after the head. */
  readonly received: () => Buffer;
  readonly closed: () => boolean;
}

/** Resolves once the server has changed protocols. */
async function upgrade(path: string, headers: readonly string[], method = 'POST'): Promise<Upgraded> {
  const { ca, cert, key, port } = server;
  const socket = connect({ port, host: '127.0.0.1', ca, cert, key, ALPNProtocols: ['http/1.1'] });
  open.add(socket);
  let data = Buffer.alloc(0);
  let gone = false;
  socket.on('error', () => {});
  socket.once('close', () => (gone = true));
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  socket.on('data', (chunk: Buffer) => (data = Buffer.concat([data, chunk])));
  socket.write([`${method} ${path} HTTP/1.1`, 'host: a', 'connection: Upgrade', ...headers].join('\r\n') + '\r\n\r\n');
  const end = () => data.indexOf('\r\n\r\n');
  for (let i = 0; end() < 0 && !socket.destroyed; i++) {
    if (i > 200) throw new Error('no answer to an upgrade');
    await delay(20);
  }
  expect(data.toString('latin1')).toMatch(/^HTTP\/1.1 101 /);
  return { socket, received: () => data.subarray(end() + 4), closed: () => gone };
}

const webSocket = (path = EXEC, protocol = 'v5.channel.k8s.io') =>
  upgrade(
    path,
    [
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
      `sec-websocket-protocol: ${protocol}`,
    ],
    'GET',
  );
const spdy = (path = EXEC, protocol = 'v4.channel.k8s.io') =>
  upgrade(path, ['upgrade: SPDY/3.1', `x-stream-protocol-version: ${protocol}`, 'content-length: 0']);

/** A masked frame of a WebSocket client. */
function frame(first: number, payload: Uint8Array, { masked = true, length = payload.length } = {}): Buffer {
  const head = [first];
  const mask = masked ? 0x80 : 0;
  if (length < 126) head.push(mask | length);
  else if (length < 65_536) head.push(mask | 126, length >> 8, length & 255);
  else head.push(mask | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (length / 2 ** shift) & 255));
  return Buffer.concat([Buffer.from(head), ...(masked ? [Buffer.alloc(4)] : []), payload]);
}

const bytes = (...values: number[]) => Buffer.from(values);

test('a proper conversation is had', async () => {
  const { socket, received } = await webSocket();
  socket.write(frame(0x82, Buffer.from('\0hello')));
  for (let i = 0; i < 100 && !received().includes('hello'); i++) await delay(20);
  expect(received().includes('hello')).toBe(true);
});

test('WebSocket: frames that no client may send end the conversation', () =>
  unharmed(async () => {
    const hostile = [
      frame(0x82, bytes(0, 1), { masked: false }),
      frame(0xf2, bytes(0, 1)),
      frame(0x83, bytes(0, 1)),
      frame(0x80, bytes(0, 1)),
      frame(0x09, Buffer.alloc(0)),
      frame(0x89, Buffer.alloc(126)),
      frame(0x82, bytes(200, 1)),
      frame(0x88, bytes(1)),
      Buffer.concat([frame(0x02, bytes(0)), frame(0x82, bytes(0))]),
      Buffer.concat([bytes(0x82, 0xff), Buffer.alloc(12, 0xff)]),
      Buffer.concat([bytes(0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0), Buffer.alloc(100_000)]),
      Buffer.alloc(10_000, 0xff),
    ];
    const all = await Promise.all(
      hostile.map(async (sent) => {
        const conversation = await webSocket();
        conversation.socket.write(sent);
        return conversation;
      }),
    );
    // The tenth and eleventh are frames longer than any: known by their length.
    for (let i = 0; i < 100 && all.some(({ closed, received }) => !closed() && received().length === 0); i++)
      await delay(20);
    const silent = all.flatMap(({ closed, received }, i) =>
      !closed() && !received().includes(bytes(0x88)) ? [i] : [],
    );
    // An unknown channel is ignored; of the terabyte, more may still be coming.
    expect(silent.filter((i) => i !== 6 && i !== 10)).toEqual([]);
  }));

test('WebSocket: floods of pings, of empty pieces, and input that nobody takes back', () =>
  unharmed(async () => {
    const pings = await webSocket();
    const pieces = await webSocket();
    const echo = await webSocket();
    for (const { socket } of [pings, pieces, echo]) socket.pause();
    pieces.socket.write(frame(0x02, bytes(0)));
    const ping = Buffer.concat(Array.from({ length: 1000 }, () => frame(0x89, Buffer.alloc(100))));
    const piece = Buffer.concat(Array.from({ length: 1000 }, () => frame(0x00, Buffer.alloc(0))));
    const input = frame(0x82, Buffer.alloc(60_000));
    for (let i = 0; i < 500; i++) {
      // As much as fits: who does not read is not read from.
      if (pings.socket.writableLength < 1e6) pings.socket.write(ping);
      if (pieces.socket.writableLength < 1e6) pieces.socket.write(piece);
      if (echo.socket.writableLength < 1e6) echo.socket.write(input);
      await delay(3);
    }
  }));

/** A control frame of SPDY/3.1. */
function control(type: number, flags: number, payload: Uint8Array, length = payload.length): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(0x8003, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt32BE(length, 4);
  head[4] = flags;
  return Buffer.concat([head, payload]);
}

function data(stream: number, flags: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(stream, 0);
  head.writeUInt32BE(payload.length, 4);
  head[4] = flags;
  return Buffer.concat([head, payload]);
}

function synStream(id: number, block: Uint8Array): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt32BE(id, 0);
  return control(1, 0, Buffer.concat([head, block]));
}

test('SPDY: frames that make no sense, and header blocks that explode', () =>
  unharmed(async () => {
    const bomb = deflateSync(Buffer.alloc(20_000_000));
    const hostile = [
      Buffer.alloc(10_000, 0xff),
      control(1, 0, Buffer.alloc(3)),
      control(99, 255, Buffer.alloc(50)),
      control(1, 0, Buffer.alloc(0), 0xffffff),
      synStream(1, Buffer.alloc(500, 0xee)),
      synStream(1, bomb),
      synStream(0, Buffer.alloc(0)),
      synStream(2, Buffer.alloc(10)),
      data(7, 0, Buffer.alloc(1000)),
      data(1, 1, Buffer.alloc(0)),
      control(3, 0, Buffer.alloc(8, 0xff)),
      control(4, 0, Buffer.alloc(4, 0xff)),
      control(7, 0, Buffer.alloc(0)),
      control(8, 0, Buffer.alloc(4)),
      control(9, 0, Buffer.alloc(8, 0xff)),
    ];
    const protocols = ['v4.channel.k8s.io', 'portforward.k8s.io'];
    for (const protocol of protocols) {
      const path = protocol === protocols[0] ? EXEC : `${POD}/portforward`;
      for (const sent of hostile) (await spdy(path, protocol)).socket.write(sent);
    }
    await delay(300);
  }));

test('SPDY: floods of pings and of streams', () =>
  unharmed(async () => {
    const pings = await spdy();
    pings.socket.pause();
    const ping = Buffer.concat(Array.from({ length: 1000 }, (_, i) => control(6, 0, bytes(0, 0, i >> 8, i & 255))));
    const streams = await spdy(`${POD}/portforward`, 'portforward.k8s.io');
    // Blocks of nothing, in zlib's form without compression.
    let id = -1;
    for (let i = 0; i < 300; i++) {
      if (pings.socket.writableLength < 1e6) pings.socket.write(ping);
      if (!streams.closed())
        streams.socket.write(
          Buffer.concat(Array.from({ length: 100 }, () => synStream((id += 2), deflateSync(bytes(0, 0, 0, 0))))),
        );
      await delay(3);
    }
  }));

test(`noise after every upgrade, and frames with bits turned over (seed ${SEED})`, () =>
  unharmed(async () => {
    const random = seededRandom(SEED);
    const proper = [
      frame(0x82, Buffer.from('\0hello')),
      frame(0x89, Buffer.from('x')),
      synStream(1, Buffer.alloc(20)),
      data(1, 0, Buffer.from('y')),
      control(6, 0, Buffer.alloc(4)),
    ];
    for (let round = 0; round < 60; round++) {
      const { socket } = await (round % 2 ? webSocket() : spdy());
      const sent = Buffer.concat(Array.from({ length: 5 }, () => proper[Math.floor(random.next() * proper.length)]!));
      for (let i = 0; i < 4; i++) sent[Math.floor(random.next() * sent.length)]! ^= 1 << Math.floor(random.next() * 8);
      for (let at = 0; at < sent.length;) {
        const length = 1 + Math.floor(random.next() * 20);
        socket.write(sent.subarray(at, (at += length)));
      }
    }
    await delay(200);
  }));
