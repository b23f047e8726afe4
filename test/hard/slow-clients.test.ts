// Clients that ask for much and take little: watches nobody reads, a thousand of them, lists read byte by byte. Those who
// read are told everything in order meanwhile, and what waits for the others is bounded.

import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ApiClient } from './support/api-client.ts';
import { harmless } from './support/harmless.ts';
import { startServerChild, type ServerChild } from './support/server-child.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const dir = mkdtempSync(join(tmpdir(), 'coracle-slow-'));
let server: ServerChild;
let client: ApiClient;
const closing: (() => void)[] = [];

beforeAll(async () => {
  server = await startServerChild({ dataDir: dir });
  client = new ApiClient(server);
  await client.ok('POST', MAPS, { metadata: { name: 'there' }, data: {} });
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
});
afterAll(async () => {
  client?.close();
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const target = () => ({ server, bystander: client, path: `${MAPS}/there` });
const credentials = () => ({ ca: server.ca, cert: server.cert, key: server.key });

/** A watch over HTTP/2 of which nothing is ever read: neither from its stream nor, by its window, from the connection. */
function deafWatch(path: string): ClientHttp2Stream {
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, {
    ...credentials(),
    settings: { initialWindowSize: 1000 },
  });
  closing.push(() => session.destroy());
  session.on('error', () => {});
  const stream = session.request({ ':path': `${path}?watch=true` });
  stream.on('error', () => {});
  stream.pause();
  return stream;
}

/** The same over HTTP/1.1, on a socket nobody reads. */
async function deafSocket(path: string): Promise<TLSSocket> {
  const socket = connectTls({ port: server.port, host: '127.0.0.1', ...credentials(), ALPNProtocols: ['http/1.1'] });
  closing.push(() => socket.destroy());
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  socket.write(`GET ${path}?watch=true HTTP/1.1\r\nhost: a\r\n\r\n`);
  socket.pause();
  return socket;
}

/** A watch that is read, and what it was told. */
async function attentive(path: string): Promise<{ versions: number[]; names: Set<string> }> {
  const told = { versions: [] as number[], names: new Set<string>() };
  const reader = new ApiClient(server);
  closing.push(() => reader.close());
  const { metadata } = await reader.ok('GET', `${path}?limit=1`);
  await reader.watch(`${path}?watch=true&resourceVersion=${metadata.resourceVersion}`, ({ object }) => {
    told.versions.push(Number(object.metadata.resourceVersion));
    told.names.add(object.metadata.name!);
  });
  return told;
}

const inOrder = (versions: readonly number[]) => versions.every((version, i) => i === 0 || version > versions[i - 1]!);

async function until(what: string, test: () => boolean): Promise<void> {
  for (let i = 0; !test(); i++) {
    if (i > 500) throw new Error(`not within 10 s: ${what}`);
    await delay(20);
  }
}

test('watches that are never read: cut off, and nobody else is told less', () =>
  harmless(
    target(),
    async () => {
      const told = await attentive(MAPS);
      const cut = [deafWatch(MAPS), deafWatch(MAPS)];
      const ended = cut.map((stream) => new Promise((resolve) => stream.once('close', resolve)));
      await deafSocket(MAPS);
      const writers = Array.from({ length: 8 }, () => new ApiClient(server));
      closing.push(() => writers.forEach((writer) => writer.close()));
      const write = async (writer: ApiClient, index: number) => {
        for (let i = 0; i < 1500; i++) {
          const body = { metadata: { name: `w${index}` }, data: { value: `${i}${'x'.repeat(500)}` } };
          await writer.ok(i === 0 ? 'POST' : 'PUT', i === 0 ? MAPS : `${MAPS}/w${index}`, body);
        }
      };
      await Promise.all(writers.map(write));
      await until('all is told', () => told.versions.length >= 12_000);
      expect(inOrder(told.versions)).toBe(true);
      await Promise.race([
        Promise.all(ended),
        delay(5000).then(() => Promise.reject(new Error('they were not cut off'))),
      ]);
    },
    { kept: 80, peak: 900 },
  ));

test('a few large events count as many small ones', () =>
  harmless(
    target(),
    async () => {
      const told = await attentive(MAPS);
      const deaf = deafWatch(MAPS);
      const ended = new Promise((resolve) => deaf.once('close', resolve));
      await client.ok('POST', MAPS, { metadata: { name: 'large' }, data: {} });
      for (let i = 0; i < 80; i++)
        await client.ok('PUT', `${MAPS}/large`, {
          metadata: { name: 'large' },
          data: { value: `${i % 10}`.repeat(900_000) },
        });
      await Promise.race([ended, delay(5000).then(() => Promise.reject(new Error('it was not cut off')))]);
      await client.ok('PUT', `${MAPS}/large`, { metadata: { name: 'large' }, data: {} });
      const last = await client.ok('POST', MAPS, { metadata: { name: 'last' }, data: {} });
      await until('all is told', () => told.versions.at(-1) === Number(last.metadata.resourceVersion));
      expect(inOrder(told.versions)).toBe(true);
    },
    { kept: 130, peak: 1000 },
  ));

test('1,000 watches: each is told each event once', () =>
  harmless(
    target(),
    async () => {
      const QUIET = '/api/v1/namespaces/kube-system/configmaps';
      const counts = Array<number>(1000).fill(0);
      const { resourceVersion } = (await client.ok('GET', QUIET)).metadata;
      const watchers = Array.from({ length: 50 }, () => new ApiClient(server));
      closing.push(() => watchers.forEach((watcher) => watcher.close()));
      for (let i = 0; i < 1000; i += 50)
        await Promise.all(
          watchers.map((watcher, n) =>
            watcher.watch(`${QUIET}?watch=true&resourceVersion=${resourceVersion}`, ({ object }) => {
              if (object.metadata.name?.startsWith('e-')) counts[i + n]!++;
            }),
          ),
        );
      for (let i = 0; i < 50; i++)
        await client.ok('POST', QUIET, { metadata: { name: `e-${i}` }, data: { value: 'x'.repeat(2000) } });
      await until('all are told', () => counts.every((count) => count === 50));
    },
    { kept: 60, peak: 1000 },
  ));

test('large lists that nobody reads', () =>
  harmless(
    target(),
    async () => {
      for (let i = 0; i < 20; i++)
        await client.ok('POST', MAPS, { metadata: { name: `list-${i}` }, data: { value: 'l'.repeat(500_000) } });
      const session = connectHttp2(`https://127.0.0.1:${server.port}`, {
        ...credentials(),
        settings: { initialWindowSize: 1000 },
      });
      closing.push(() => session.destroy());
      session.on('error', () => {});
      for (let i = 0; i < 100; i++)
        session
          .request({ ':path': MAPS })
          .on('error', () => {})
          .pause();
      await delay(2000);
      for (const close of closing.splice(0)) close();
    },
    { kept: 80, peak: 1000 },
  ));
