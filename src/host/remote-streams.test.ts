import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { notFound } from '../api/errors.ts';
import type { ByteSink, ByteSource, NodeStream, StdStreams } from '../api/node-api.ts';
import type { ApiOp } from '../api/op.ts';
import { silentLogger } from '../base/log.ts';
import { realEnv } from '../base/real-env.ts';
import { Authenticator } from '../server/authn/authenticator.ts';
import type { Handler } from '../server/call.ts';
import { createHttpHandler } from '../server/http.ts';
import { streamHandler } from '../server/streams/handler.ts';
import { httpTransport, type HttpTransport } from './http-transport.ts';
import { listen, type Listener } from './listener.ts';
import { Pki } from './pki.ts';
import { headerInflater } from './spdy-headers.ts';

// A pod whose `command` names what it does with its streams.

const env = realEnv();
const encode = (text: string) => new TextEncoder().encode(text);
let dir: string;
let api: TestServer;
let listener: Listener;
let transport: HttpTransport;
let seen: string[] = [];

async function copy(from: ByteSource | undefined, to: ByteSink | undefined): Promise<number> {
  let bytes = 0;
  for await (const chunk of from ?? []) {
    bytes += chunk.length;
    await to?.write(chunk);
  }
  return bytes;
}

const COMMANDS: Record<string, (streams: StdStreams, signal: AbortSignal) => Promise<number>> = {
  async hello({ stdout, stderr }) {
    await stdout?.write(encode('out'));
    await stderr?.write(encode('err'));
    return 3;
  },
  async cat({ stdin, stdout }) {
    seen.push(`stdin ended after ${await copy(stdin, stdout)}`);
    return 0;
  },
  async sizes({ resize }) {
    for await (const size of resize ?? []) {
      seen.push(`${size.width}x${size.height}`);
      if (size.width === 100) return 0;
    }
    return 1;
  },
  fail: () => Promise.reject(new Error('no such program')),
  forever: (_, signal) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        seen.push('aborted');
        resolve(137);
      });
    }),
};

const exec: Handler = (call) => {
  const { query } = call.op.options;
  const command = query?.get('command') ?? '';
  if (call.op.name === 'gone') throw notFound({ resource: 'pods' }, 'gone');
  const flag = (name: string) => query?.get(name) === 'true';
  const options = { stdin: flag('stdin'), stdout: flag('stdout'), stderr: flag('stderr'), tty: flag('tty') };
  const stream: NodeStream = {
    kind: 'exec',
    options,
    run: (streams, { signal }) => COMMANDS[command]!(streams, signal),
  };
  return Promise.resolve({ type: 'connect', stream });
};
const portForward: Handler = () => {
  const stream: NodeStream = {
    kind: 'portforward',
    async run(port, { input, output }) {
      if (port === 1) throw new Error('connection refused');
      for await (const chunk of input) await output.write(chunk);
      output.end();
    },
  };
  return Promise.resolve({ type: 'connect', stream });
};

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-streams-'));
  const pki = new Pki(dir, env);
  api = createTestServer({
    handlers: [
      ['pods/exec', exec],
      ['pods/portforward', portForward],
    ],
  });
  const authenticator = new Authenticator({ log: silentLogger, audiences: [], tokens: [] });
  const streams = streamHandler({ env, inflater: headerInflater });
  const handler = createHttpHandler({ server: api.server, authenticator, paths: [], streams });
  const { cert, key } = pki.apiServer(['127.0.0.1']);
  listener = await listen({ env, host: '127.0.0.1', port: 0, cert, key, clientCa: pki.ca, handler });
  const admin = pki.admin();
  transport = httpTransport({
    env,
    server: `https://127.0.0.1:${listener.port}`,
    ca: pki.ca,
    cert: admin.cert,
    key: admin.key,
  });
});
afterAll(async () => {
  transport.close();
  await listener.close();
  api.close();
  rmSync(dir, { recursive: true });
});

async function connect(subresource: string, query: string, name = 'p'): Promise<NodeStream> {
  seen = [];
  const op = {
    verb: 'connect',
    group: '',
    version: 'v1',
    resource: 'pods',
    namespace: 'a',
    name,
    subresource,
  } as const;
  const result = await transport({ ...op, options: { query: new URLSearchParams(query) } } satisfies Omit<
    ApiOp,
    'user'
  >);
  if (result.type !== 'connect') throw new Error('no conversation');
  return result.stream;
}

async function run(query: string, streams: StdStreams = {}, signal = new AbortController().signal): Promise<number> {
  const stream = await connect('exec', query);
  if (stream.kind !== 'exec') throw new Error('no command');
  return stream.run(streams, { signal });
}

function collector(): ByteSink & { readonly text: () => string; readonly length: () => number } {
  const chunks: Uint8Array[] = [];
  return {
    write: (chunk) => void chunks.push(chunk.slice()),
    end: () => void chunks.push(encode('.')),
    text: () => Buffer.concat(chunks).toString(),
    length: () => chunks.reduce((sum, c) => sum + c.length, 0),
  };
}

test('outputs and the exit code', async () => {
  const [stdout, stderr] = [collector(), collector()];
  expect(await run('command=hello&stdout=true&stderr=true', { stdout, stderr })).toBe(3);
  expect([stdout.text(), stderr.text()]).toEqual(['out.', 'err.']);
});

test('megabytes of input, its end, and the same back', async () => {
  const stdout = collector();
  const size = 4 << 20;
  const stdin = (async function* () {
    for (let at = 0; at < size; at += 1 << 16) yield new Uint8Array(1 << 16).fill(120);
  })();
  expect(await run('command=cat&stdin=true&stdout=true', { stdin, stdout })).toBe(0);
  expect(seen).toEqual([`stdin ended after ${size}`]);
  expect(stdout.length()).toBe(size + 1);
});

test('terminal sizes', async () => {
  const resize = (async function* () {
    yield { width: 80, height: 24 };
    await new Promise((resolve) => setTimeout(resolve, 20));
    yield { width: 100, height: 50 };
  })();
  expect(await run('command=sizes&stdin=true&stdout=true&tty=true', { resize })).toBe(0);
  expect(seen.at(-1)).toBe('100x50');
});

test('what goes wrong', async () => {
  await expect(run('command=fail&stdout=true')).rejects.toMatchObject({
    message: expect.stringContaining('no such program'),
  });
  await expect(connect('exec', 'command=cat', 'gone')).rejects.toEqual(notFound({ resource: 'pods' }, 'gone'));
  const abort = new AbortController();
  const running = run('command=forever&stdout=true', {}, abort.signal);
  setTimeout(() => abort.abort(new Error('enough')), 20);
  await expect(running).rejects.toThrow('enough');
  for (let i = 0; i < 100 && seen.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(seen).toEqual(['aborted']);
});

test('ports', async () => {
  const stream = await connect('portforward', '');
  if (stream.kind !== 'portforward') throw new Error('no ports');
  const abort = new AbortController();
  const output = collector();
  const input = (async function* () {
    yield encode('ping');
  })();
  const forwarding = stream.run(80, { input, output }, { signal: abort.signal });
  for (let i = 0; i < 100 && output.length() === 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(output.text()).toBe('ping');
  abort.abort();
  await forwarding;
  const refused = stream.run(1, { input: (async function* () {})(), output }, { signal: new AbortController().signal });
  await expect(refused).rejects.toThrow('connection refused');
});
