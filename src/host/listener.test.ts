import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ADMIN, createTestServer, type TestServer } from '../cluster/test-server.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Client } from '../client/client.ts';
import type { WatchEvent, WatchStream } from '../api/op.ts';
import { silentLogger } from '../base/log.ts';
import { realEnv } from '../base/real-env.ts';
import { Authenticator } from '../server/authn/authenticator.ts';
import { authenticationHandlers } from '../server/authn/reviews.ts';
import type { Handler } from '../server/call.ts';
import { fixedTokens } from '../server/authn/token-authenticator.ts';
import { createHttpHandler } from '../server/http.ts';
import type { HttpExchange } from '../server/http-exchange.ts';
import { httpTransport, type HttpTransport, type HttpTransportOptions } from './http-transport.ts';
import { listen, type Listener } from './listener.ts';
import { Pki } from './pki.ts';

const env = realEnv();
let dir: string;
let pki: Pki;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-listener-'));
  pki = new Pki(dir, env);
});
afterAll(() => rmSync(dir, { recursive: true }));

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function serve(handler: (exchange: HttpExchange) => void | Promise<void>): Promise<Listener> {
  const { cert, key } = pki.apiServer(['localhost', '127.0.0.1']);
  const listener = await listen({ env, host: '127.0.0.1', port: 0, cert, key, clientCa: pki.ca, handler });
  cleanups.push(() => listener.close());
  return listener;
}

async function api(): Promise<{ listener: Listener; api: TestServer }> {
  const testServer = createTestServer();
  const reviewer = new Authenticator({ log: silentLogger, audiences: [], tokens: [] });
  for (const [name, handler] of authenticationHandlers(reviewer))
    (testServer.server.handlers as Map<string, Handler>).set(name, handler);
  cleanups.push(() => testServer.close());
  const authenticator = new Authenticator({
    log: silentLogger,
    audiences: [],
    anonymous: false,
    tokens: [fixedTokens(new Map([['secret', ADMIN]]))],
  });
  const listener = await serve(createHttpHandler({ server: testServer.server, authenticator, paths: [] }));
  return { listener, api: testServer };
}

function transportTo(port: number, more: Partial<HttpTransportOptions> = {}): HttpTransport {
  const { cert, key } = pki.admin();
  const transport = httpTransport({ env, server: `https://127.0.0.1:${port}`, ca: pki.ca, cert, key, ...more });
  cleanups.push(() => transport.close());
  return transport;
}

/** HTTP/1.1. */
function get1(
  port: number,
  path: string,
  more: RequestOptions = {},
): Promise<{ response: IncomingMessage; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path, ca: pki.ca, agent: new Agent({ maxCachedSessions: 0 }), ...more };
    const request = httpsRequest(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (c: Buffer) => chunks.push(c));
      response.on('end', () => resolve({ response, text: Buffer.concat(chunks).toString() }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end();
  });
}

/** Collects a watch; `until` resolves when so many events are in. */
function follow(stream: WatchStream) {
  const events: WatchEvent[] = [];
  let closed = false;
  let wake = () => {};
  stream.start({
    events: (batch) => {
      events.push(...batch);
      wake();
    },
    closed: () => {
      closed = true;
      wake();
    },
  });
  const until = async (done: () => boolean) => {
    while (!done()) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { events, until, isClosed: () => closed };
}

describe('the transport', () => {
  test('tells how long bodies are: hundreds of small ones at once are no large requests', async () => {
    const { listener } = await api();
    const client = new Client(transportTo(listener.port), 'test');
    const names = Array.from({ length: 200 }, (_, i) => `map-${i}`);
    const made = names.map((name) => client.create(ConfigMap, { metadata: { name, namespace: 'many' } }));
    expect((await Promise.all(made)).map((map) => map.metadata.name)).toEqual(names);
  });

  test('does what the client does in process', async () => {
    const { listener } = await api();
    const client = new Client(transportTo(listener.port), 'test/1');
    const created = await client.create(ConfigMap, { metadata: { namespace: 'a', name: 'x' }, data: { k: 'v' } });
    expect(created).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', data: { k: 'v' } });
    expect(await client.get(ConfigMap, { namespace: 'a', name: 'x' })).toEqual(created);
    const updated = await client.update(ConfigMap, { ...created, data: { k: 'w' } });
    await client.patch(ConfigMap, { namespace: 'a', name: 'x' }, 'json', [{ op: 'add', path: '/data/l', value: 'ü' }]);
    const list = await client.list(ConfigMap, { labelSelector: '!none', limit: 5 });
    expect(list.items).toMatchObject([{ apiVersion: 'v1', kind: 'ConfigMap', data: { k: 'w', l: 'ü' } }]);
    await expect(client.update(ConfigMap, updated)).rejects.toMatchObject({ reason: 'Conflict', code: 409 });
    await expect(
      client.delete(ConfigMap, { namespace: 'a', name: 'x' }, { preconditions: { uid: 'no' } }),
    ).rejects.toMatchObject({ reason: 'Conflict' });
    expect(await client.delete(ConfigMap, { namespace: 'a', name: 'x' })).toBeUndefined();
    await expect(client.get(ConfigMap, { namespace: 'a', name: 'x' })).rejects.toMatchObject({
      reason: 'NotFound',
      message: 'configmaps "x" not found',
      details: { name: 'x', kind: 'configmaps' },
    });
    await client.deleteCollection(ConfigMap, { namespace: 'a' });
  });

  test('watches, hundreds at a time on one connection', async () => {
    const { listener, api: server } = await api();
    const transport = transportTo(listener.port);
    const client = new Client(transport, 'test/1');
    const watches = await Promise.all(Array.from({ length: 300 }, () => client.watch(ConfigMap)));
    const followed = watches.map(follow);
    for (let i = 0; i < 3; i++) await server.client.create(ConfigMap, { metadata: { namespace: 'a', name: `x${i}` } });
    await Promise.all(followed.map((f) => f.until(() => f.events.length === 3)));
    expect(followed[299]!.events.map((e) => [e.type, e.object.metadata.name])).toEqual([
      ['ADDED', 'x0'],
      ['ADDED', 'x1'],
      ['ADDED', 'x2'],
    ]);
    watches[0]!.stop();
    await server.client.delete(ConfigMap, { namespace: 'a', name: 'x0' });
    await followed[1]!.until(() => followed[1]!.events.length === 4);
    expect(followed[0]!.events).toHaveLength(3);
    server.close();
    await Promise.all(followed.slice(1).map((f) => f.until(f.isClosed)));
    expect(followed[0]!.isClosed()).toBe(false);
  });

  test('a cancelled watch ends on the server', async () => {
    let gone = () => {};
    const left = new Promise<void>((resolve) => (gone = resolve));
    const { port } = await serve((exchange) => {
      exchange.begin(200, {});
      exchange.signal.addEventListener('abort', gone);
    });
    const result = await transportTo(port)({ verb: 'watch', group: '', version: 'v1', resource: 'pods', options: {} });
    if (result.type !== 'watch') throw new Error('no watch');
    result.stream.start({ events: () => {}, closed: () => {} });
    result.stream.stop();
    await left;
  });

  test('says what is wrong', async () => {
    const list = { verb: 'list', group: '', version: 'v1', resource: 'pods', options: {} } as const;
    const { listener } = await api();
    await expect(transportTo(1)(list)).rejects.toMatchObject({
      reason: 'ServiceUnavailable',
      message: 'Get "https://127.0.0.1:1/api/v1/pods": dial tcp 127.0.0.1:1: connect: connection refused',
    });
    const stranger = new Pki(join(dir, 'other'), env);
    await expect(transportTo(listener.port, { ca: stranger.ca })(list)).rejects.toThrow(
      /self.signed|unable to verify|issuer/,
    );
    const { cert, key } = stranger.admin();
    await expect(transportTo(listener.port, { cert, key })(list)).rejects.toMatchObject({ code: 401 });
    const aborted = new AbortController();
    aborted.abort();
    await expect(transportTo(listener.port)(list, { signal: aborted.signal })).rejects.toThrow(/abort/i);
    const plain = await serve((exchange) =>
      exchange.respond(502, { 'retry-after': '3' }, Buffer.from('bad gateway\n')),
    );
    await expect(transportTo(plain.port)(list)).rejects.toMatchObject({
      code: 502,
      message: 'bad gateway',
      details: { retryAfterSeconds: 3 },
    });
    const html = await serve((exchange) => exchange.respond(200, {}, Buffer.from('<html>')));
    await expect(transportTo(html.port)(list)).rejects.toThrow('no JSON object');
  });

  test('takes tokens, also from a file', async () => {
    const { listener } = await api();
    const list = { verb: 'list', group: '', version: 'v1', resource: 'configmaps', options: {} } as const;
    const file = join(dir, 'token');
    writeFileSync(file, 'secret\n');
    const bare = { env, server: `https://127.0.0.1:${listener.port}`, ca: pki.ca };
    for (const credentials of [{ token: 'secret' }, { tokenFile: file }]) {
      const transport = httpTransport({ ...bare, ...credentials });
      cleanups.push(() => transport.close());
      expect((await transport(list)).type).toBe('list');
    }
  });

  test('takes credentials from a program, and acts as somebody else', async () => {
    const { listener } = await api();
    const plugin = join(dir, 'plugin');
    const run = (script: string) => {
      writeFileSync(plugin, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const exec = {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: plugin,
        args: ['x'],
        env: [{ name: 'T', value: 'secret' }],
      };
      const transport = httpTransport({ env, server: `https://127.0.0.1:${listener.port}`, ca: pki.ca, exec });
      cleanups.push(() => transport.close());
      return transport({ verb: 'list', group: '', version: 'v1', resource: 'configmaps', options: {} });
    };
    const print = (status: string) =>
      `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{${status}}}'`;
    expect((await run(print('"token":"\'$T\'"'))).type).toBe('list');
    await expect(run(print('"token":"wrong"'))).rejects.toMatchObject({ code: 401 });
    await expect(run(print(''))).rejects.toThrow('neither a token nor a certificate');
    await expect(run('echo no luck >&2; exit 1')).rejects.toThrow('getting credentials: exec: no luck');
    const other = transportTo(listener.port, { impersonate: { user: 'eve', groups: ['a', 'b, c'] } });
    const review = {
      verb: 'create',
      group: 'authentication.k8s.io',
      version: 'v1',
      resource: 'selfsubjectreviews',
      options: {},
      body: {},
    } as const;
    const { object } = (await other(review).catch((e: Error) => ({ object: e.message }))) as { object: unknown };
    expect(object).toMatchObject({
      status: { userInfo: { username: 'eve', groups: ['a', 'b, c', 'system:authenticated'] } },
    });
  });

  test('comes back after the server went', async () => {
    const { listener } = await api();
    const transport = transportTo(listener.port);
    const version = { method: 'GET', target: '/api/v1/configmaps', headers: {} };
    expect((await transport.raw(version)).status).toBe(200);
    await listener.close();
    await expect(transport.raw(version)).rejects.toMatchObject({ reason: 'ServiceUnavailable' });
    const { cert, key } = pki.apiServer(['localhost', '127.0.0.1']);
    const again = await listen({
      env,
      host: '127.0.0.1',
      port: listener.port,
      cert,
      key,
      clientCa: pki.ca,
      handler: (exchange) => exchange.respond(204, {}),
    });
    cleanups.push(() => again.close());
    expect((await transport.raw(version)).status).toBe(204);
  });
});

describe('the listener', () => {
  const echo = async (exchange: HttpExchange) => {
    const body = await exchange.body(1000);
    if (!body) return exchange.respond(413, {}, Buffer.from('too long'));
    const { method, path, query, peer } = exchange;
    const { certificate } = peer;
    const who = typeof certificate === 'string' ? certificate : certificate?.commonName;
    exchange.respond(
      200,
      {},
      Buffer.from([method, path, query, who, exchange.headerValues('x-many').length, body.length].join(' ')),
    );
  };

  test('speaks HTTP/1.1 too', async () => {
    const { port } = await serve(echo);
    expect((await get1(port, '/a%20b?c=d')).text).toBe('GET /a%20b c=d  0 0');
    const { cert, key } = pki.node('n1');
    const headers = { 'x-many': ['a', 'b'] };
    expect((await get1(port, '/', { cert, key, headers })).text).toBe('GET /  system:node:n1 2 0');
    const stranger = new Pki(join(dir, 'stranger'), env).admin();
    expect((await get1(port, '/', { cert: stranger.cert, key: stranger.key })).text).toBe('GET /  unverified 0 0');
    // A serving certificate says nothing about a client.
    const serving = pki.apiServer(['localhost', '127.0.0.1']);
    expect((await get1(port, '/', { cert: serving.cert, key: serving.key })).text).toBe('GET /  unverified 0 0');
  });

  test('a resumed TLS session is still the same client', async () => {
    const { port } = await serve(echo);
    const { cert, key } = pki.node('n1');
    let session: Buffer | undefined;
    const agent = new Agent({ keepAlive: false });
    const once = (more: RequestOptions & { session?: Buffer | undefined }) =>
      new Promise<string>((resolve, reject) => {
        const request = httpsRequest(
          { port, host: '127.0.0.1', path: '/', ca: pki.ca, cert, key, agent, ...more },
          (response) => {
            response.on('data', (c: Buffer) =>
              resolve(
                c.toString() + String((response.socket as unknown as { isSessionReused(): boolean }).isSessionReused()),
              ),
            );
          },
        );
        request.on('socket', (socket: Socket) => socket.on('session', (s: Buffer) => (session = s)));
        request.on('error', reject);
        request.end();
      });
    expect(await once({})).toBe('GET /  system:node:n1 0 0false');
    expect(session).toBeDefined();
    expect(await once({ session })).toBe('GET /  system:node:n1 0 0true');
  });

  test('bodies that are too long', async () => {
    const { port } = await serve(echo);
    const transport = transportTo(port);
    const post = (body: string) => transport.raw({ method: 'POST', target: '/', headers: {}, body });
    expect((await post('x'.repeat(1000))).body.toString()).toBe('POST /  kubernetes-admin 0 1000');
    expect((await post('x'.repeat(2_000_000))).status).toBe(413);
    expect((await post('x')).status).toBe(200);
  });

  test('large bodies in many pieces, at the pace of the client', async () => {
    const pieces = Array.from({ length: 50_000 }, (_, i) => Buffer.from(`item ${i},`));
    const whole = Buffer.concat(pieces).toString();
    const { port } = await serve((exchange) => exchange.respond(200, {}, [...pieces, Buffer.alloc(600_000, 'z')]));
    const answer = await transportTo(port).raw({ method: 'GET', target: '/', headers: {} });
    expect(answer.body.toString() === whole + 'z'.repeat(600_000)).toBe(true);
    expect((await get1(port, '/')).text.length).toBe(whole.length + 600_000);
    const head = await transportTo(port).raw({ method: 'HEAD', target: '/', headers: {} });
    expect([head.body.length, Number(head.headers['content-length'])]).toEqual([0, whole.length + 600_000]);
  });

  test('many large bodies at once, some of which nobody reads to the end, do not mix', async () => {
    const bodyOf = (path: string) => Array.from({ length: 1500 }, (_, i) => `${path} ${i} `.padEnd(2000, path.at(-1)!));
    const { port } = await serve((exchange) => exchange.respond(200, {}, bodyOf(exchange.path)));
    const transport = transportTo(port);
    const paths = Array.from({ length: 6 }, (_, i) => `/${String.fromCharCode(97 + i)}`);
    const whole = (path: string) => bodyOf(path).join('');
    const read = async (path: string) =>
      (await transport.raw({ method: 'GET', target: path, headers: {} })).body.toString() === whole(path);
    // Breaks off in the middle: what was under way is nobody's any more.
    const broken = (path: string) =>
      new Promise<void>((resolve) => {
        const request = httpsRequest({ port, host: '127.0.0.1', path, ca: pki.ca, agent: false });
        request.on('response', (response) => response.once('data', () => request.destroy()));
        request.on('error', () => {}).on('close', () => resolve());
        request.end();
      });
    const all = await Promise.all(
      paths.flatMap((path) => [
        read(path),
        broken(path),
        get1(port, path).then(({ text }) => text === whole(path)),
        read(path),
      ]),
    );
    expect(all.filter((same) => same !== undefined)).toEqual(Array.from({ length: 18 }, () => true));
  });

  test('hands over upgraded connections', async () => {
    const { port } = await serve(async (exchange) => {
      if (exchange.path === '/no') return exchange.respond(403, {}, Buffer.from('no'));
      const raw = exchange.upgrade!({ connection: 'Upgrade', upgrade: 'echo' });
      for await (const chunk of raw.source) await raw.sink.write(chunk);
      raw.sink.end();
    });
    const headers = { connection: 'Upgrade', upgrade: 'echo' };
    const said = await new Promise<string>((resolve, reject) => {
      const request = httpsRequest({ port, host: '127.0.0.1', path: '/yes', ca: pki.ca, headers, agent: false });
      request.on('upgrade', (response, socket) => {
        let text = String(response.headers['upgrade']) + ':';
        socket.on('data', (c: Buffer) => (text += c.toString()));
        socket.on('end', () => resolve(text));
        socket.write('hello');
        setTimeout(() => socket.end(' there'), 5);
      });
      request.on('error', reject);
      request.end();
    });
    expect(said).toBe('echo:hello there');
    const refused = await get1(port, '/no', { headers });
    expect([refused.response.statusCode, refused.text]).toEqual([403, 'no']);
  });

  test('a handler that fails is no reason to hang', async () => {
    const { port } = await serve(() => {
      throw new Error('oops');
    });
    expect((await transportTo(port).raw({ method: 'GET', target: '/', headers: {} })).status).toBe(500);
  });

  test('a port that is taken is named', async () => {
    const { port } = await serve(echo);
    const { cert, key } = pki.apiServer(['localhost', '127.0.0.1']);
    await expect(listen({ env, host: '127.0.0.1', port, cert, key, clientCa: pki.ca, handler: echo })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}: the port is already in use by another process`,
    );
  });

  test('closing ends watches at once and lets other requests finish', async () => {
    let finish = () => {};
    const listener = await serve(async (exchange) => {
      if (exchange.path === '/watch') exchange.begin(200, {}).write(Buffer.from('{}\n'));
      else {
        await new Promise<void>((resolve) => (finish = resolve));
        exchange.respond(200, {}, Buffer.from('done'));
      }
    });
    const transport = transportTo(listener.port);
    const watch = transport.raw({ method: 'GET', target: '/watch', headers: {} });
    const slow = transport.raw({ method: 'GET', target: '/slow', headers: {} });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const closed = listener.close(5000);
    expect((await watch).body.toString()).toBe('{}\n');
    finish();
    expect((await slow).body.toString()).toBe('done');
    await closed;
  });

  test('rubbish does no harm', async () => {
    const { port } = await serve(echo);
    const session = await new Promise<ClientHttp2Session>((resolve, reject) => {
      const s = connectHttp2(`https://127.0.0.1:${port}`, { ca: pki.ca });
      s.on('error', reject).on('connect', () => resolve(s));
    });
    const failed = new Promise((resolve) => session.on('error', resolve).on('close', resolve));
    for (let i = 0; i < 200; i++)
      session
        .request({ ':path': '/' })
        .on('error', () => {})
        .close(8);
    session.destroy();
    await failed;
    expect((await get1(port, '/')).response.statusCode).toBe(200);
  });
});
