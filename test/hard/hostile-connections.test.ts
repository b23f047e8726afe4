// Clients that want the server's harm, on the level of connections: frames no client would send, handshakes that do not
// end, more connections than anybody needs. Others are served meanwhile, and the server's memory stays where it was.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ApiClient } from './support/api-client.ts';
import { harmless, type Bounds } from './support/harmless.ts';
import { startServerChild, type ServerChild } from './support/server-child.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const dir = mkdtempSync(join(tmpdir(), 'coracle-hostile-'));
let server: ServerChild;
let bystander: ApiClient;
const open = new Set<Socket>();

beforeAll(async () => {
  server = await startServerChild({ dataDir: dir, store: 'memory' });
  bystander = new ApiClient(server);
  await bystander.ok('POST', MAPS, { metadata: { name: 'there' }, data: {} });
});
afterEach(() => {
  for (const socket of open) socket.destroy();
  open.clear();
});
afterAll(async () => {
  bystander?.close();
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
});

function keep<S extends Socket>(socket: S): S {
  open.add(socket);
  socket.setMaxListeners(0);
  socket.on('error', () => {});
  socket.once('close', () => open.delete(socket));
  return socket;
}

/** A TLS connection of somebody without credentials; resolves when it is open. */
function secure(protocol: 'h2' | 'http/1.1'): Promise<TLSSocket> {
  const options = { port: server.port, host: '127.0.0.1', ca: server.ca, ALPNProtocols: [protocol] };
  const socket = keep(connectTls(options));
  socket.resume();
  return new Promise((resolve, reject) => socket.once('secureConnect', () => resolve(socket)).once('error', reject));
}

function tcp(): Promise<Socket> {
  const socket = keep(connectTcp(server.port, '127.0.0.1'));
  socket.resume();
  return new Promise((resolve, reject) => socket.once('connect', () => resolve(socket)).once('error', reject));
}

/** One frame of HTTP/2 (RFC 9113, 4.1). */
function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION] = [0, 1, 3, 4, 6, 8, 9];
const [END_STREAM, END_HEADERS] = [1, 4];
const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0)]);

/** A header field in HPACK's form without table and without Huffman code (RFC 7541, 6.2.2). */
function field(name: string, value: string): Buffer {
  const text = (t: string) => Buffer.concat([length(t.length), Buffer.from(t)]);
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

function length(n: number): Buffer {
  if (n < 127) return Buffer.from([n]);
  const bytes = [127];
  for (n -= 127; n >= 128; n = Math.floor(n / 128)) bytes.push((n % 128) + 128);
  return Buffer.from([...bytes, n]);
}

const request = (path: string, ...more: Buffer[]) =>
  Buffer.concat([
    field(':method', 'GET'),
    field(':scheme', 'https'),
    field(':authority', 'a'),
    field(':path', path),
    ...more,
  ]);

async function roomOrEnd(socket: Socket, ms: number): Promise<void> {
  const patience = AbortSignal.timeout(ms);
  await Promise.race([once(socket, 'drain', { signal: patience }), once(socket, 'close', { signal: patience })]).catch(
    () => {},
  );
}

/** Writes as fast as the server reads, until it hangs up or the time is over. True when it hung up. */
async function pour(socket: Socket, chunks: () => Buffer, ms: number): Promise<boolean> {
  const end = performance.now() + ms;
  while (!socket.destroyed && !socket.closed && performance.now() < end) {
    if (socket.write(chunks())) await new Promise(setImmediate);
    else await roomOrEnd(socket, ms);
  }
  return socket.destroyed || socket.closed;
}

/** Whatever the attack left open is closed before memory is looked at. */
const unharmed = (attack: () => Promise<unknown>, bounds: Bounds = {}) =>
  harmless(
    { server, bystander, path: `${MAPS}/there` },
    async () => {
      await attack();
      for (const socket of open) socket.destroy();
    },
    bounds,
  );

test('rapid reset: a client that asks and cancels without end is hung up on', () =>
  unharmed(async () => {
    const socket = await secure('h2');
    socket.write(PREFACE);
    let id = -1;
    const some = () => {
      const frames: Buffer[] = [];
      for (let i = 0; i < 200; i++) {
        id += 2;
        frames.push(frame(HEADERS, END_STREAM | END_HEADERS, id, request(`${MAPS}/there`)));
        frames.push(frame(RST_STREAM, 0, id, Buffer.from([0, 0, 0, 8])));
      }
      return Buffer.concat(frames);
    };
    expect(await pour(socket, some, 8000)).toBe(true);
    expect(id).toBeLessThan(200_000);
  }));

test('CONTINUATION flood: headers that do not end', () =>
  unharmed(async () => {
    const socket = await secure('h2');
    socket.write(Buffer.concat([PREFACE, frame(HEADERS, 0, 1, request('/'))]));
    const more = frame(CONTINUATION, 0, 1, field('x-more', 'y'.repeat(8000)));
    expect(await pour(socket, () => more, 5000)).toBe(true);
  }));

test('header bombs: one large field, many small, and one field of the table named a million times', () =>
  unharmed(async () => {
    const large = await secure('h2');
    const huge = request('/version', field('x-large', 'z'.repeat(200_000)));
    large.write(Buffer.concat([PREFACE, frame(HEADERS, END_STREAM, 1, huge.subarray(0, 16_000))]));
    for (let at = 16_000; at < huge.length; at += 16_000)
      large.write(frame(CONTINUATION, at + 16_000 >= huge.length ? END_HEADERS : 0, 1, huge.subarray(at, at + 16_000)));
    const bomb = await secure('h2');
    // The first request puts 4 kB into the table, the others name it 10,000 times a frame: 40 MB of headers each.
    const put = Buffer.concat([Buffer.from([0x40]), field('x', 'b'.repeat(4000)).subarray(1)]);
    bomb.write(
      Buffer.concat([PREFACE, frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.concat([request('/version'), put]))]),
    );
    let id = 1;
    const named = Buffer.concat([request('/version'), Buffer.alloc(10_000, 0xbe)]);
    await pour(bomb, () => frame(HEADERS, END_STREAM | END_HEADERS, (id += 2), named), 2000);
  }));

test.each([
  ['SETTINGS', () => frame(SETTINGS, 0, 0, Buffer.from([0, 3, 0, 0, 0, 100]))],
  ['PING', () => frame(PING, 0, 0, Buffer.alloc(8))],
  ['empty DATA', () => frame(DATA, 0, 1)],
])('%s flood from a client that reads nothing', (_name, one) =>
  unharmed(async () => {
    const socket = await secure('h2');
    socket.pause();
    const post = Buffer.concat([
      field(':method', 'POST'),
      field(':scheme', 'https'),
      field(':authority', 'a'),
      field(':path', MAPS),
    ]);
    socket.write(Buffer.concat([PREFACE, frame(HEADERS, END_HEADERS, 1, post)]));
    const many = Buffer.concat(Array.from({ length: 500 }, one));
    await pour(socket, () => many, 3000);
  }),
);

test('frames that make no sense', () =>
  unharmed(async () => {
    const nonsense = [
      Buffer.alloc(1000, 0xff),
      Buffer.concat([PREFACE, Buffer.alloc(100_000, 0xff)]),
      Buffer.concat([PREFACE, frame(DATA, 0, 7, Buffer.alloc(100))]),
      Buffer.concat([PREFACE, frame(HEADERS, END_HEADERS, 2, request('/'))]),
      Buffer.concat([PREFACE, frame(HEADERS, END_HEADERS, 1, Buffer.alloc(500, 0xff))]),
      Buffer.concat([PREFACE, frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(4))]),
      Buffer.concat([PREFACE, frame(WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 255, 255, 255]))]),
      Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, Buffer.alloc(5))]),
      Buffer.concat([PREFACE, frame(CONTINUATION, END_HEADERS, 1, request('/'))]),
      Buffer.concat([PREFACE, frame(RST_STREAM, 0, 0, Buffer.alloc(4))]),
      Buffer.concat([PREFACE, frame(PING, 0, 3, Buffer.alloc(8))]),
      Buffer.concat([PREFACE, frame(HEADERS, END_HEADERS | END_STREAM, 1, field('no-pseudo', 'headers'))]),
      Buffer.concat([PREFACE, frame(99, 255, 1, Buffer.alloc(1000))]),
    ];
    for (const bytes of nonsense) {
      const socket = await secure('h2');
      socket.write(bytes);
      const old = await secure('http/1.1');
      old.write(bytes);
    }
    for (const head of [
      'GET / HTTP/9.9\r\n\r\n',
      'GET  /\r\n\r\n',
      '\0\0\0\0\r\n\r\n',
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n',
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\nzz\r\n',
    ]) {
      const socket = await secure('http/1.1');
      socket.write(head);
    }
    await delay(500);
  }));

test('TLS: noise, handshakes cut anywhere, and handshakes that take for ever', () =>
  unharmed(async () => {
    const noise = Buffer.alloc(5000);
    for (let i = 0; i < noise.length; i++) noise[i] = (i * 7919) % 256;
    const hello = Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), noise.subarray(0, 200)]);
    for (let i = 0; i < 300; i++) {
      const socket = await tcp();
      if (i % 3 === 0) socket.write(noise);
      else if (i % 3 === 1) socket.end(hello.subarray(0, i % 100));
      // These stay: a byte now and then.
      else socket.write(hello.subarray(0, 1 + (i % 20)));
    }
    for (let i = 0; i < 10; i++) {
      for (const socket of open) if (socket.writable) socket.write(hello.subarray(20 + i, 21 + i));
      await delay(50);
    }
  }));

test('slowloris: a thousand requests of which a byte comes now and then', () =>
  unharmed(async () => {
    const head = 'GET /version HTTP/1.1\r\nhost: a\r\nx-slow: ';
    const sockets: Socket[] = [];
    for (let i = 0; i < 1000; i += 50)
      sockets.push(...(await Promise.all(Array.from({ length: 50 }, () => secure('http/1.1')))));
    for (let i = 0; i < head.length; i++) {
      for (const socket of sockets) socket.write(head[i]!);
      await delay(20);
    }
  }));

/** Some 70 kB for each of 11,800, most of it OpenSSL's. */
const MANY: Bounds = { peak: 1100 };

test('10,000 connections and more, that say nothing or only shake hands: newcomers are served, watches go on', async () => {
  await unharmed(async () => {
    const told: string[] = [];
    const watching = await bystander.watch(`${MAPS}?watch=true`, ({ object }) => told.push(object.metadata.name!));
    const newcomer = async (name: string) => {
      const other = new ApiClient(server);
      await other.ok('POST', MAPS, { metadata: { name } });
      other.close();
    };
    let refused = 0;
    // They come more quickly than they are taken in: the kernel's own queue overflows, and now and then it gives one up.
    const many = async (count: number, connection: () => Promise<Socket>) => {
      const tried = () => connection().catch(() => refused++);
      for (let i = 0; i < count; i += 100) await Promise.all(Array.from({ length: 100 }, tried));
    };
    await many(1500, () => secure('h2'));
    await many(8000, tcp);
    await newcomer('early');
    await many(2000, tcp);
    await newcomer('late');
    await many(300, () => secure('http/1.1'));
    await newcomer('later');
    expect(refused).toBeLessThan(100);
    for (let i = 0; told.at(-1) !== 'later'; i++) {
      expect(i, `told ${told.slice(-3).join()}`).toBeLessThan(100);
      await delay(20);
    }
    expect(told.filter((name) => ['early', 'late', 'later'].includes(name))).toEqual(['early', 'late', 'later']);
    watching.stop();
  }, MANY);
});
