import { connect as connectHttp2 } from 'node:http2';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { realEnv } from '../base/real-env.ts';
import { ConnectionLimit } from './connection-limit.ts';
import { listen } from './listener.ts';
import { Pki } from './pki.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

test.each(['tcp', 'tls'] as const)(
  'of too many connections over %s, those go that do nothing, oldest first',
  async (how) => {
    const dir = mkdtempSync(join(tmpdir(), 'coracle-limit-'));
    cleanups.push(() => rmSync(dir, { recursive: true }));
    const env = realEnv();
    const pki = new Pki(dir, env);
    const { cert, key } = pki.apiServer(['127.0.0.1']);
    const listener = await listen({
      env,
      host: '127.0.0.1',
      port: 0,
      cert,
      key,
      clientCa: pki.ca,
      maxConnections: 10,
      handler: (exchange) => {
        if (exchange.path === '/wait') exchange.begin(200, {}).write(Buffer.from('begun'));
        else exchange.respond(204, {});
      },
    });
    cleanups.push(() => listener.close());
    const { port } = listener;
    const session = () => {
      const made = connectHttp2(`https://127.0.0.1:${port}`, { ca: pki.ca });
      made.on('error', () => {});
      cleanups.push(() => made.destroy());
      return made;
    };
    const ask = (path: string, over = session()) =>
      new Promise<number | string>((resolve) => {
        const stream = over.request({ ':path': path });
        stream.once('response', (head) => resolve(head[':status'] ?? 0));
        stream.once('error', (error) => resolve(error.message));
        stream.resume();
      });
    const busy = [session(), session(), session()];
    for (const one of busy) expect(await ask('/wait', one)).toBe(200);

    const gone: number[] = [];
    const open = (i: number) =>
      new Promise<Socket>((resolve, reject) => {
        const options = { port, host: '127.0.0.1', ca: pki.ca, ALPNProtocols: ['h2'] };
        const socket: Socket =
          how === 'tcp' ? connectTcp(options, () => resolve(socket)) : connectTls(options, () => resolve(socket));
        socket.on('error', reject);
        socket.once('close', () => gone.push(i));
        socket.resume();
        cleanups.push(() => socket.destroy());
      });
    for (let i = 0; i < 30; i++) await open(i);
    expect(await ask('/')).toBe(204);
    expect(gone).toEqual(gone.toSorted((a, b) => a - b));
    expect(gone.length).toBeGreaterThanOrEqual(23);
    expect(busy.map((one) => one.destroyed)).toEqual([false, false, false]);
    for (const one of busy) expect(await ask('/', one)).toBe(204);

    // All are busy: who comes now is sent away.
    for (let i = 0; i < 7; i++) expect(await ask('/wait')).toBe(200);
    expect(await ask('/wait')).not.toBe(200);
    for (const one of busy) expect(await ask('/', one)).toBe(204);
  },
);

test('a port that comes again is a new connection, also when the end of the old one is not heard of yet', () => {
  const limit = new ConnectionLimit(2);
  const gone: string[] = [];
  const open = (remotePort: number, name: string) => {
    const socket = { remoteAddress: '127.0.0.1', remotePort, once: () => {}, destroy: () => gone.push(name) };
    limit.opened(socket as unknown as Socket);
  };
  open(1, 'old');
  open(2, 'second');
  open(1, 'again');
  expect(limit.size).toBe(2);
  open(3, 'third');
  expect(gone).toEqual(['second']);
});

test('a connection without requests is closed after a while, one that waits for something is not', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-idle-'));
  cleanups.push(() => rmSync(dir, { recursive: true }));
  const env = realEnv();
  const pki = new Pki(dir, env);
  const { cert, key } = pki.apiServer(['127.0.0.1']);
  const ends: (() => void)[] = [];
  const listener = await listen({
    env,
    host: '127.0.0.1',
    port: 0,
    cert,
    key,
    clientCa: pki.ca,
    idleAfter: 150,
    handler: (exchange) => {
      const writer = exchange.begin(200, {});
      writer.write(Buffer.from('begun'));
      ends.push(() => writer.end());
    },
  });
  cleanups.push(() => listener.close());
  const opened = () => {
    const made = connectHttp2(`https://127.0.0.1:${listener.port}`, { ca: pki.ca });
    made.on('error', () => {});
    cleanups.push(() => made.destroy());
    return made;
  };
  const [idle, waiting] = [opened(), opened()];
  const stream = waiting.request({ ':path': '/' });
  await new Promise((resolve) => stream.resume().once('response', resolve));
  await new Promise((resolve) => idle.once('close', resolve));
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(waiting.closed || waiting.destroyed).toBe(false);
  // Once it has nothing to wait for, it goes as well.
  const closed = new Promise((resolve) => waiting.once('close', resolve));
  ends[0]!();
  await closed;
});
