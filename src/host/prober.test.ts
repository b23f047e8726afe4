import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { createServer as createTcp, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { hostProber } from './prober.ts';

const HOST = '127.0.0.1';
const closing: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of closing.splice(0)) server.close();
});

async function listen(server: {
  listen(port: number, host: string, done: () => void): unknown;
  address(): unknown;
  close(): unknown;
}) {
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  closing.push(server);
  return (server.address() as AddressInfo).port;
}
const serve = (listener: RequestListener) => listen(createServer(listener) as Server);
const http = (port: number, path = '/', ms = 1000) =>
  hostProber.http({ scheme: 'http', host: HOST, port, path, headers: [{ name: 'Host', value: 'web.example' }] }, ms);

describe('http', () => {
  it('succeeds from 200 to 399, with the headers asked for', async () => {
    let host: string | undefined;
    const port = await serve((request, response) => {
      host = request.headers.host;
      response.statusCode = Number(request.url?.slice(1)) || 200;
      response.end('body');
    });
    expect(await http(port)).toEqual({ result: 'success' });
    expect(host).toBe('web.example');
    expect(await http(port, '/304')).toEqual({ result: 'success' });
    expect(await http(port, '/404')).toEqual({ result: 'failure', output: 'HTTP probe failed with statuscode: 404' });
    expect(await http(port, '/503')).toEqual({ result: 'failure', output: 'HTTP probe failed with statuscode: 503' });
  });

  it('follows redirects on the same host, and is content with one to elsewhere', async () => {
    const port = await serve((request, response) => {
      if (request.url === '/ok') return response.end();
      const location =
        request.url === '/away' ? 'http://elsewhere.example/' : request.url === '/loop' ? '/loop' : '/ok';
      response.writeHead(302, { location }).end();
    });
    expect(await http(port, '/')).toEqual({ result: 'success' });
    expect(await http(port, '/away')).toMatchObject({
      result: 'success',
      warning: expect.stringMatching(/terminated/),
    });
    expect(await http(port, '/loop')).toMatchObject({ output: expect.stringMatching(/stopped after 10 redirects/) });
  });

  it('tells of refusal and lateness in the known words', async () => {
    const port = await serve(() => {});
    expect(await http(port, '/slow', 50)).toEqual({
      result: 'failure',
      output: `Get "http://${HOST}:${port}/slow": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
    });
    expect(await http(1, '/x')).toEqual({
      result: 'failure',
      output: `Get "http://${HOST}:1/x": dial tcp ${HOST}:1: connect: connection refused`,
    });
  });
});

describe('tcp', () => {
  it('wants a connection', async () => {
    const port = await listen(createTcp());
    expect(await hostProber.tcp(HOST, port, 1000)).toEqual({ result: 'success' });
    expect(await hostProber.tcp(HOST, 1, 1000)).toEqual({
      result: 'failure',
      output: `dial tcp ${HOST}:1: connect: connection refused`,
    });
  });
});

describe('grpc', () => {
  const answering = (status: number, code = '0') => {
    const server = createHttp2();
    server.on('stream', (stream) => {
      stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': code, 'grpc-message': 'why' }));
      stream.end(code === '0' ? Buffer.from([0, 0, 0, 0, 2, 8, status]) : undefined);
    });
    return listen(server);
  };
  it('reads the health service', async () => {
    expect(await hostProber.grpc(HOST, await answering(1), 'svc', 1000)).toEqual({ result: 'success' });
    expect(await hostProber.grpc(HOST, await answering(2), '', 1000)).toEqual({
      result: 'failure',
      output: 'service unhealthy (responded with "NOT_SERVING")',
    });
    expect(await hostProber.grpc(HOST, await answering(0, '12'), '', 1000)).toEqual({
      result: 'failure',
      output: 'error: this server does not implement the grpc health protocol (grpc.health.v1.Health): why',
    });
    expect(await hostProber.grpc(HOST, 1, '', 1000)).toMatchObject({ result: 'failure' });
  });
});
