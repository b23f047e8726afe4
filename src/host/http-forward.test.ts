import { connect as connectHttp2 } from 'node:http2';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StatusError } from '../api/errors.ts';
import { realEnv } from '../base/real-env.ts';
import { streamHandler } from '../server/streams/handler.ts';
import { httpForward } from './http-forward.ts';
import { listen, type Listener } from './listener.ts';
import { Pki } from './pki.ts';
import { headerInflater } from './spdy-headers.ts';

// A server that proxies /proxy/... to a backend of plain HTTP/1.1, as the API server does for pods.
const env = realEnv();
const PREFIX = '/api/v1/namespaces/a/pods/p/proxy';
let dir: string;
let pki: Pki;
let front: Listener;
let backend: Server;
let backendPort: number;
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-forward-'));
  pki = new Pki(dir, env);
  backend = createServer((request, response) => answer(request, response));
  backend.on('upgrade', (request, socket: Socket) => {
    if (request.url === '/no') return socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nnope');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nwelcome');
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
  backendPort = (backend.address() as AddressInfo).port;
  const streams = streamHandler({ env, inflater: headerInflater, forward: httpForward() });
  const { cert, key } = pki.apiServer(['localhost', '127.0.0.1']);
  front = await listen({
    env,
    host: '127.0.0.1',
    port: 0,
    cert,
    key,
    clientCa: pki.ca,
    async handler(exchange) {
      const rest = exchange.path.slice(PREFIX.length);
      const port = exchange.headers['x-port'] ? Number(exchange.headers['x-port']) : backendPort;
      const stream = { kind: 'proxy', scheme: 'http', host: '127.0.0.1', port, path: rest || '/' } as const;
      try {
        await streams(exchange, stream, { connect: { path: rest } });
      } catch (error) {
        exchange.respond((error as StatusError).code, {}, Buffer.from((error as Error).message));
      }
    },
  });
});
afterAll(async () => {
  await front?.close();
  backend?.closeAllConnections();
  backend?.close();
  rmSync(dir, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly complete: boolean;
}

function ask(path: string, options: RequestOptions = {}, body?: Uint8Array): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const common = { host: '127.0.0.1', port: front.port, path: PREFIX + path, ca: pki.ca, agent: false };
    const request = httpsRequest({ ...common, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => {});
      response.on('close', () => {
        const { statusCode = 0, headers, complete } = response;
        resolve({ status: statusCode, headers, body: Buffer.concat(chunks), complete });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

test('a request arrives as it was sent, but for what is between client and server', async () => {
  let seen: { method: string; url: string; headers: IncomingMessage['headers']; body: string } | undefined;
  answer = (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      seen = { method: request.method!, url: request.url!, headers: request.headers, body };
      response.writeHead(418, { 'X-Own': 'yes', 'Set-Cookie': ['a=1', 'b=2'], 'Access-Control-Allow-Origin': '*' });
      response.end('teapot');
    });
  };
  const headers = {
    authorization: 'Bearer secret',
    'impersonate-user': 'eve',
    connection: 'x-hop',
    'x-hop': '1',
    'x-forwarded-for': '10.9.8.7',
    'x-kept': 'k',
    'content-type': 'text/plain',
  };
  const result = await ask('/a%2Fb/c?q=1&r=%20', { method: 'PATCH', headers }, Buffer.from('payload'));
  expect(seen).toMatchObject({ method: 'PATCH', url: '/a%2Fb/c?q=1&r=%20', body: 'payload' });
  expect(seen!.headers).toEqual({
    host: `127.0.0.1:${front.port}`,
    connection: 'close',
    'content-length': '7',
    'content-type': 'text/plain',
    'x-forwarded-for': '10.9.8.7, 127.0.0.1',
    'x-forwarded-uri': `${PREFIX}/a%2Fb/c`,
    'x-kept': 'k',
  });
  expect(result).toMatchObject({ status: 418, body: Buffer.from('teapot') });
  expect(result.headers).toMatchObject({ 'x-own': 'yes', 'set-cookie': ['a=1', 'b=2'] });
  expect(result.headers).not.toHaveProperty('access-control-allow-origin');
});

test('over HTTP/2 too, with bodies whose length nobody told', async () => {
  answer = (request, response) => {
    response.writeHead(200, { te: request.headers['transfer-encoding'] ?? 'none', host: request.headers.host });
    request.pipe(response);
  };
  const session = connectHttp2(`https://127.0.0.1:${front.port}`, { ca: pki.ca });
  const send = (method: string, body?: string) =>
    new Promise<{ headers: Record<string, unknown>; text: string }>((resolve, reject) => {
      const stream = session.request({ ':method': method, ':path': `${PREFIX}/` }, { endStream: body === undefined });
      let headers = {};
      let text = '';
      stream.on('response', (head) => (headers = head));
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
      stream.on('end', () => resolve({ headers, text })).on('error', reject);
      if (body !== undefined) stream.end(body);
    });
  expect(await send('POST', 'of unknown length')).toMatchObject({
    text: 'of unknown length',
    headers: { ':status': 200, host: `127.0.0.1:${front.port}` },
  });
  expect(await send('GET')).toMatchObject({ text: '', headers: { ':status': 200 } });
  session.close();
});

test('redirects within the backend come back through the proxy; others are left alone', async () => {
  const go = async (location: string) => {
    answer = (_, response) => response.writeHead(302, { location }).end();
    return (await ask('/deep/page')).headers['location'];
  };
  expect(await go('/login?next=1#top')).toBe(`${PREFIX}/login?next=1#top`);
  expect(await go(`http://127.0.0.1:${backendPort}/x/`)).toBe(`${PREFIX}/x/`);
  expect(await go(`https://127.0.0.1:${front.port}/y`)).toBe(`https://127.0.0.1:${front.port}${PREFIX}/y`);
  expect(await go(`${PREFIX}/already`)).toBe(`${PREFIX}/already`);
  expect(await go('next')).toBe('next');
  expect(await go('https://example.com/')).toBe('https://example.com/');
});

test('pages have their links rewritten, in whatever the client would take them', async () => {
  let encoding: unknown = '';
  answer = (request, response) => {
    encoding = request.headers['accept-encoding'];
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': '26' });
    response.end('<a href="/x">Grüße</a>\n\n');
  };
  const { body } = await ask('/', { headers: { accept: 'text/html,*/*', 'accept-encoding': 'gzip' } });
  expect(body.toString()).toBe(`<a href="${PREFIX}/x">Grüße</a>\n\n`);
  expect(encoding).toBeUndefined();
});

test('the bare proxy path redirects to where relative links work', async () => {
  expect(await ask('?a=b')).toMatchObject({ status: 301, headers: { location: `${PREFIX}/?a=b` } });
});

test('answers stream: the first piece is there before the last is made', async () => {
  let finish = () => {};
  answer = (_, response) => {
    response.write('first');
    finish = () => void response.end('last');
  };
  const pieces: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const options = { host: '127.0.0.1', port: front.port, path: `${PREFIX}/`, ca: pki.ca, agent: false };
    const request = httpsRequest(options, (response) => {
      response.on('data', (chunk: Buffer) => {
        pieces.push(chunk.toString());
        finish();
      });
      response.on('end', resolve);
    });
    request.on('error', reject).end();
  });
  expect(pieces).toEqual(['first', 'last']);
});

test('megabytes both ways arrive whole; a client that goes ends the request', async () => {
  answer = (request, response) => void request.pipe(response);
  const data = Buffer.alloc(4 << 20, 'abcdefg');
  const { body } = await ask('/', { method: 'POST', headers: { 'content-length': data.length } }, data);
  expect(body.equals(data)).toBe(true);
  const gone = new Promise<void>((resolve) => {
    answer = (request, response) => {
      response.write('x');
      request.socket.once('close', () => resolve());
    };
  });
  const options = { host: '127.0.0.1', port: front.port, path: `${PREFIX}/`, ca: pki.ca, agent: false };
  const request = httpsRequest(options, (response) => response.once('data', () => request.destroy()));
  request.on('error', () => {}).end();
  await gone;
});

test('an answer that breaks off breaks off for the client', async () => {
  answer = (request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => request.socket.destroy());
  };
  expect(await ask('/')).toMatchObject({ status: 200, body: Buffer.from('half'), complete: false });
});

test('upgraded connections are joined; refusals to upgrade come through', async () => {
  const upgrade = (path: string) =>
    new Promise<{ protocol: string | undefined; echoed: string }>((resolve, reject) => {
      const headers = { connection: 'Upgrade', upgrade: 'echo', 'sec-websocket-protocol': 'one' };
      const options = { host: '127.0.0.1', port: front.port, path: PREFIX + path, ca: pki.ca, agent: false, headers };
      const request = httpsRequest(options);
      request.on('upgrade', (response, socket: Socket, head) => {
        let echoed = head.toString();
        socket.write(' back');
        socket.on('data', (chunk: Buffer) => {
          echoed += chunk.toString();
          if (echoed === 'welcome back') socket.end();
        });
        socket.on('close', () => resolve({ protocol: response.headers.upgrade, echoed }));
      });
      request.on('response', (response) => reject(new Error(`answered ${response.statusCode}`)));
      request.on('error', reject).end();
    });
  expect(await upgrade('/')).toEqual({ protocol: 'echo', echoed: 'welcome back' });
  await expect(upgrade('/no')).rejects.toThrow('answered 403');
});

test('a backend that is not there is 503 with the reason', async () => {
  expect(await ask('/', { headers: { 'x-port': '9' } })).toMatchObject({
    status: 503,
    body: Buffer.from('error trying to reach service: dial tcp 127.0.0.1:9: connect: connection refused'),
  });
});
