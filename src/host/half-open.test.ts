// A server that is gone without a word: packets are dropped, nothing says so. Real sockets through a proxy that stops
// forwarding; the client's clock is the test's.

import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { silentLogger } from '../base/log.ts';
import { realEnv } from '../base/real-env.ts';
import { seededRandom, VirtualClock } from '../base/virtual-clock.ts';
import { Client } from '../client/client.ts';
import { createInformer } from '../client/create-informer.ts';
import { ADMIN, createTestServer, type TestServer } from '../cluster/test-server.ts';
import { Authenticator } from '../server/authn/authenticator.ts';
import { fixedTokens } from '../server/authn/token-authenticator.ts';
import { createHttpHandler } from '../server/http.ts';
import { httpTransport } from './http-transport.ts';
import { listen } from './listener.ts';
import { Pki } from './pki.ts';

const cleanups: (() => unknown)[] = [];
let api: TestServer;
let port: number;
let ca: string;

beforeEach(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-half-open-'));
  cleanups.push(() => rmSync(dir, { recursive: true }));
  const pki = new Pki(dir, realEnv());
  ca = pki.ca;
  api = createTestServer();
  cleanups.push(() => api.close());
  const tokens = [fixedTokens(new Map([['secret', ADMIN]]))];
  const authenticator = new Authenticator({ log: silentLogger, audiences: [], anonymous: false, tokens });
  const handler = createHttpHandler({ server: api.server, authenticator, paths: [] });
  const { cert, key } = pki.apiServer(['127.0.0.1']);
  const listener = await listen({ env: realEnv(), host: '127.0.0.1', port: 0, cert, key, clientCa: ca, handler });
  cleanups.push(() => listener.close());
  ({ port } = listener);
});
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

/** Between client and server; while `cut`, it takes everything and passes nothing on. */
async function network(): Promise<{ port: number; cut: boolean; connections: number }> {
  const sockets = new Set<Socket>();
  const between = { port: 0, cut: false, connections: 0 };
  const server = createServer((near) => {
    between.connections++;
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('data', (chunk: Buffer) => between.cut || to.write(chunk));
      from.on('close', () => between.cut || to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  between.port = (server.address() as AddressInfo).port;
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return between;
}

const real = () => new Promise((resolve) => setTimeout(resolve, 5));

test('a watch whose server is cut off is resumed within a minute, and misses nothing', async () => {
  const between = await network();
  const clock = new VirtualClock();
  const env = { clock, random: seededRandom(1), log: silentLogger };
  const transport = httpTransport({ env, server: `https://127.0.0.1:${between.port}`, ca, token: 'secret' });
  cleanups.push(() => transport.close());
  const client = new Client(transport, 'test');
  const stop = new AbortController();
  cleanups.push(() => stop.abort(new Error('done')));
  const informer = createInformer(ConfigMap, { client, env }, { signal: stop.signal });
  const make = (name: string) => api.client.create(ConfigMap, { metadata: { namespace: 'default', name } } as never);
  /** Real time for sockets, virtual time for whoever waits. */
  const until = async (check: () => boolean, limit = clock.now()): Promise<void> => {
    for (let i = 0; !check(); i++) {
      expect(i, 'rounds').toBeLessThan(2000);
      await real();
      if (clock.now() < limit) await clock.advance(1000);
    }
  };
  await make('a');
  await until(() => informer.get('default/a') !== undefined);
  await make('b');
  await until(() => informer.get('default/b') !== undefined);
  expect(between.connections).toBe(1);

  between.cut = true;
  await make('c');
  const hangs = client.get(ConfigMap, { namespace: 'default', name: 'a' }).then(
    () => 'answered',
    (error: Error) => error.message,
  );
  // As if it were silent only: nothing is given up before the ping has gone unanswered.
  await clock.advance(14_000);
  await real();
  expect(between.connections).toBe(1);
  const began = clock.now();
  let said: string | undefined;
  void hangs.then((text) => (said = text));
  await until(() => said !== undefined, began + 60_000);
  expect(said).toContain('http2: client connection lost');
  expect(clock.now() - began).toBeLessThanOrEqual(46_000);

  between.cut = false;
  // New connections that were begun meanwhile time out, or are taken up again; the informer comes back by itself.
  await until(() => informer.get('default/c') !== undefined, clock.now() + 120_000);
  expect((await client.get(ConfigMap, { namespace: 'default', name: 'c' })).metadata.name).toBe('c');
  expect(informer.list()).toHaveLength(3);
});
