// Other ways to containers than kubectl's: the npm client, our own client, and the endpoint of a node used directly.

import { randomBytes } from 'node:crypto';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { PassThrough, Readable, Writable } from 'node:stream';
import { Exec, KubeConfig, PortForward, type V1Status } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ByteSink, ByteSource, NodeStream } from '../src/api/node-api.ts';
import { realEnv } from '../src/base/real-env.ts';
import { Client } from '../src/client/client.ts';
import { httpTransport, type HttpTransport } from '../src/host/http-transport.ts';
import { kubectls } from './support/kubectl.ts';
import { streamCluster, type StreamCluster } from './support/stream-cluster.ts';

const kubectl = [...kubectls().values()].at(-1)!;
let cluster: StreamCluster;
let echoPort: number;
const echo = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket));

beforeAll(async () => {
  cluster = await streamCluster({ nodeOverHttps: true });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  echoPort = (echo.address() as AddressInfo).port;
});
afterAll(async () => {
  echo.close();
  await cluster?.stop();
});

/** A stream that keeps all it gets. */
function sink() {
  const chunks: Buffer[] = [];
  const stream = new Writable({ write: (chunk: Buffer, _, done) => (chunks.push(chunk), done()) });
  return { stream, bytes: () => Buffer.concat(chunks) };
}

/** Port-forwards of the npm client end with their connection. */
function closed(socket: unknown, then: (value: unknown) => void): void {
  (socket as EventTarget).addEventListener('close', then);
}

describe('@kubernetes/client-node', () => {
  const config = () => {
    const kube = new KubeConfig();
    kube.loadFromFile(cluster.kubeconfig);
    return kube;
  };

  test('exec: input to its end, outputs, exit code', async () => {
    const [out, err, data] = [sink(), sink(), randomBytes(1 << 20)];
    const status = await new Promise<V1Status>((resolve, reject) => {
      const script = 'cat; echo bad >&2; exit 5';
      new Exec(config())
        .exec('default', 'p', 'c', ['sh', '-c', script], out.stream, err.stream, Readable.from([data]), false, resolve)
        .catch(reject);
    });
    expect(out.bytes().equals(data)).toBe(true);
    expect(err.bytes().toString()).toBe('bad\n');
    expect(status).toMatchObject({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      message: 'command terminated with non-zero exit code: exit status 5',
      details: { causes: [{ reason: 'ExitCode', message: '5' }] },
    });
  });

  test('port-forward: bytes both ways, errors', async () => {
    const [out, err, data] = [sink(), sink(), randomBytes(1 << 20)];
    const input = new PassThrough();
    const socket = await new PortForward(config()).portForward(
      'default',
      'p',
      [echoPort],
      out.stream,
      err.stream,
      input,
    );
    input.end(data);
    await new Promise((resolve) => closed(socket, resolve));
    expect(out.bytes().equals(data)).toBe(true);
    expect(err.bytes().toString()).toBe('');
    const refused = await new PortForward(config()).portForward(
      'default',
      'p',
      [9],
      out.stream,
      err.stream,
      new PassThrough(),
    );
    await new Promise((resolve) => closed(refused, resolve));
    expect(err.bytes().toString()).toBe(
      'error forwarding port 9 to pod p, uid : failed to connect to localhost:9: connect ECONNREFUSED 127.0.0.1:9',
    );
  });
});

describe('our own client', () => {
  let transport: HttpTransport;
  beforeAll(() => {
    const { pki, listener } = cluster.server;
    const { cert, key } = pki.admin();
    transport = httpTransport({ env: realEnv(), server: `https://127.0.0.1:${listener.port}`, ca: pki.ca, cert, key });
  });
  afterAll(() => transport?.close());
  const signal = new AbortController().signal;

  type Running = Extract<NodeStream, { kind: 'exec' | 'attach' | 'portforward' }>;
  async function open<K extends 'exec' | 'portforward'>(subresource: K, query: string, more = signal) {
    const op = {
      verb: 'connect',
      group: '',
      version: 'v1',
      resource: 'pods',
      namespace: 'default',
      name: 'p',
    } as const;
    const options = { query: new URLSearchParams(query) };
    const result = await new Client(transport, 'test/1').do({ ...op, subresource, options }, more);
    if (result.type !== 'connect') throw new Error('no conversation');
    return result.stream as K extends 'exec'
      ? Extract<Running, { kind: 'exec' | 'attach' }>
      : Extract<Running, { kind: 'portforward' }>;
  }

  function byteSink(): ByteSink & { bytes(): Buffer } {
    const chunks: Uint8Array[] = [];
    return { write: (chunk) => void chunks.push(chunk), end: () => {}, bytes: () => Buffer.concat(chunks) };
  }
  async function* bytes(...chunks: Uint8Array[]): ByteSource {
    yield* chunks;
  }

  test('exec', async () => {
    const data = randomBytes(3 << 20);
    const stream = await open('exec', 'container=c&command=sh&command=-c&command=cat;exit+6&stdin=true&stdout=true');
    const stdout = byteSink();
    expect(await stream.run({ stdin: bytes(data), stdout }, { signal })).toBe(6);
    expect(stdout.bytes().equals(data)).toBe(true);
  });

  test('exec: what is wrong comes as an error', async () => {
    const failing = await open('exec', 'container=c&command=/no/such&stdout=true');
    await expect(failing.run({ stdout: byteSink() }, { signal })).rejects.toMatchObject({
      reason: 'InternalError',
      message: 'Internal error occurred: error executing command in container: spawn /no/such ENOENT',
    });
    await expect(open('exec', 'container=x&command=ls&stdout=true')).rejects.toMatchObject({
      reason: 'BadRequest',
      message: 'container x is not valid for pod p',
    });
    await expect(open('exec', 'container=e&command=ls&stdout=true')).rejects.toMatchObject({
      reason: 'NotFound',
      message: 'container not found ("e")',
    });
  });

  test('exec: an abort ends the command', async () => {
    const stop = new AbortController();
    const stream = await open('exec', 'container=c&command=sleep&command=1001&stdout=true');
    const running = stream.run({ stdout: byteSink() }, { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    await expect.poll(() => cluster.node.aborted, { timeout: 10_000 }).toContain('sleep 1001');
  });

  test('port-forward: the end of the input is passed on', async () => {
    const data = randomBytes(2 << 20);
    const stream = await open('portforward', '');
    const output = byteSink();
    await stream.run(echoPort, { input: bytes(data), output }, { signal });
    expect(output.bytes().equals(data)).toBe(true);
    await expect(stream.run(9, { input: bytes(), output }, { signal })).rejects.toThrow('connect ECONNREFUSED');
  });
});

describe('the endpoint of a node', () => {
  function ask(path: string, more: RequestOptions = {}): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: cluster.nodePort,
        path,
        ca: cluster.server.pki.ca,
        agent: false,
        ...more,
      };
      const request = httpsRequest(options, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode!, text }));
      });
      request.on('error', reject).end();
    });
  }
  const controlPlane = () => cluster.server.pki.apiServerKubeletClient();
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

  test('lets the control plane in', async () => {
    expect(await ask('/healthz', controlPlane())).toEqual({ status: 200, text: 'ok' });
    expect(await ask('/metrics', controlPlane())).toEqual({ status: 200, text: 'up 1\n' });
    expect(await ask('/nothing', controlPlane())).toEqual({ status: 404, text: '404 page not found\n' });
    expect(await ask('/containerLogs/default/p/c?tailLines=1', controlPlane())).toEqual({
      status: 200,
      text: 'line 0\n',
    });
    expect(await ask('/exec/default/p/c?command=ls&output=1', controlPlane())).toEqual({
      status: 400,
      text: 'Upgrade request required',
    });
  });

  test('lets nobody in without credentials, and others as far as they are allowed', async () => {
    expect(await ask('/healthz')).toEqual({ status: 401, text: 'Unauthorized' });
    expect(await ask('/healthz', bearer('nonsense'))).toEqual({ status: 401, text: 'Unauthorized' });
    expect(await ask('/metrics', cluster.server.pki.component('kube-proxy'))).toEqual({
      status: 403,
      text: 'Forbidden (user=system:kube-proxy, verb=get, resource=nodes, subresource(s)=[metrics])\n',
    });
    const run = (...args: string[]) => cluster.run(kubectl, args);
    await run('create', 'clusterrole', 'scrape', '--verb=get', '--resource=nodes/metrics');
    await run('create', 'clusterrolebinding', 'scrape', '--clusterrole=scrape', '--serviceaccount=default:default');
    const { out } = await run('create', 'token', 'default');
    const token = out.toString().trim();
    expect(await ask('/metrics', bearer(token))).toEqual({ status: 200, text: 'up 1\n' });
    expect((await ask('/containerLogs/default/p/c', bearer(token))).status).toBe(403);
  });

  test('is reached through the API server', async () => {
    const get = (path: string) => cluster.run(kubectl, ['get', '--raw', `/api/v1/nodes/n1/proxy${path}`]);
    expect((await get('/metrics')).out.toString()).toBe('up 1\n');
    expect((await get('/containerLogs/default/p/c?tailLines=2')).out.toString()).toBe('line 0\nline 1\n');
  });
});
