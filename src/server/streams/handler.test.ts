import { describe, expect, test } from 'vitest';
import { StatusError } from '../../api/errors.ts';
import type { NodeStream, StdStreams } from '../../api/node-api.ts';
import { CHANNEL, ChannelReader, V5 } from '../../api/streams/channels.ts';
import { SpdyConnection, type SpdyStream } from '../../api/streams/spdy.ts';
import { storedInflater, testPipe, type PipeEnd } from '../../api/streams/test-pipe.ts';
import { WebSocketConnection } from '../../api/streams/websocket.ts';
import { webSocketTunnel } from '../../api/streams/websocket-tunnel.ts';
import { silentLogger } from '../../base/log.ts';
import { drainMicrotasks, seededRandom, VirtualClock } from '../../base/virtual-clock.ts';
import type { HttpExchange } from '../http-exchange.ts';
import { streamHandler } from './handler.ts';
import { webSocketAccept } from './upgrade.ts';

const bytes = (value: string) => new TextEncoder().encode(value);
const text = (value: Uint8Array) => new TextDecoder().decode(value);

function setUp() {
  const clock = new VirtualClock();
  const env = { clock, random: seededRandom(1), log: silentLogger };
  const handle = streamHandler({ env, inflater: storedInflater });
  return { clock, env, handle };
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await drainMicrotasks();
}

interface Asked {
  readonly exchange: HttpExchange;
  readonly peer: PipeEnd;
  /** The headers of the 101 answer. */
  upgraded?: Record<string, unknown>;
  answered?: { readonly status: number; readonly headers: Record<string, unknown>; readonly body: string };
}

function ask(headers: Record<string, string>, more: { method?: string; query?: string } = {}): Asked {
  const [raw, peer] = testPipe(1 << 20);
  const exchange = {
    method: more.method ?? (headers['upgrade'] === 'websocket' ? 'GET' : 'POST'),
    path: '/api/v1/namespaces/a/pods/p/exec',
    query: more.query ?? '',
    headers,
    headerValues: (name: string) => (headers[name] === undefined ? [] : headers[name].split('|')),
    signal: new AbortController().signal,
    respond: (status: number, head: Record<string, unknown>, body?: Uint8Array) => {
      asked.answered = { status, headers: head, body: body ? text(body) : '' };
    },
    upgrade: (head: Record<string, unknown>) => {
      asked.upgraded = head;
      return raw;
    },
  } as unknown as HttpExchange;
  const asked: Asked = { exchange, peer };
  return asked;
}

const WEBSOCKET = {
  connection: 'keep-alive, Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const SPDY = { connection: 'Upgrade', upgrade: 'SPDY/3.1' };

function exec(run: (streams: StdStreams, signal: AbortSignal) => Promise<number>, more: object = {}): NodeStream {
  const options = { stdin: true, stdout: true, stderr: true, tty: false, ...more };
  return { kind: 'exec', options, run: (streams, { signal }) => run(streams, signal) };
}

const copy: (streams: StdStreams) => Promise<number> = async ({ stdin, stdout }) => {
  for await (const chunk of stdin!) await stdout!.write(chunk);
  return 0;
};

test('the answer to a key is that of the specification', async () => {
  expect(await webSocketAccept(WEBSOCKET['sec-websocket-key'])).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
});

describe('requests that are refused', () => {
  const refused = async (headers: Record<string, string>, stream = exec(copy), more = {}) => {
    const asked = ask(headers, more);
    await setUp().handle(asked.exchange, stream, { name: 'p' });
    return asked.answered;
  };
  test('no upgrade, another upgrade, a malformed handshake', async () => {
    await expect(refused({})).rejects.toMatchObject({ code: 400, message: 'Upgrade request required' });
    await expect(refused({ connection: 'upgrade', upgrade: 'h2c' })).rejects.toMatchObject({ code: 400 });
    await expect(refused({ ...WEBSOCKET, 'sec-websocket-version': '8' })).rejects.toMatchObject({ code: 400 });
    await expect(refused({ ...WEBSOCKET, 'sec-websocket-key': '' })).rejects.toMatchObject({ code: 400 });
    await expect(refused(WEBSOCKET, exec(copy), { method: 'POST' })).rejects.toMatchObject({ code: 400 });
  });
  test('protocols nobody speaks', async () => {
    const body =
      'unable to upgrade: unable to negotiate protocol: client supports [v9.channel.k8s.io], server accepts ' +
      '[v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]\n';
    expect(await refused({ ...SPDY, 'x-stream-protocol-version': 'v9.channel.k8s.io' })).toMatchObject({
      status: 403,
      body,
    });
    expect(await refused({ ...WEBSOCKET, 'sec-websocket-protocol': 'chat' })).toMatchObject({ status: 403 });
  });
  test('what the node says cannot be, in its own words', async () => {
    const check = () => Promise.reject(new StatusError('NotFound', 'container not found ("c")'));
    const stream = { ...exec(copy), check } as NodeStream;
    expect(await refused(SPDY, stream)).toMatchObject({ status: 404, body: 'container not found ("c")' });
  });
  test('a node that cannot be reached, as a Status of the server', async () => {
    const check = () => Promise.reject(new StatusError('InternalError', 'error dialing backend: EOF'));
    const lost = { ...exec(copy), check } as NodeStream;
    await expect(refused(SPDY, lost)).rejects.toMatchObject({ code: 500, message: 'error dialing backend: EOF' });
  });
});

describe('exec over WebSocket', () => {
  async function run(stream: NodeStream, protocol: string, drive: (socket: WebSocketConnection) => void) {
    const { env, handle } = setUp();
    const asked = ask({ ...WEBSOCKET, ...(protocol ? { 'sec-websocket-protocol': protocol } : {}) });
    const handled = handle(asked.exchange, stream, { name: 'p' });
    await until(() => asked.upgraded !== undefined);
    const socket = new WebSocketConnection(asked.peer, { env, role: 'client' });
    const got: Record<number, string> = {};
    const reader = new ChannelReader(
      { ...V5, base64: protocol.includes('base64') },
      (channel, chunk) => (got[channel] = (got[channel] ?? '') + text(chunk)),
    );
    const running = socket.run(reader.read);
    drive(socket);
    await Promise.all([handled, running]);
    return { got, chosen: asked.upgraded!['Sec-WebSocket-Protocol'] };
  }
  const close = (socket: WebSocketConnection) => void socket.send([Uint8Array.of(CHANNEL.close, CHANNEL.stdin)]);

  test('the best protocol of the client is taken; success is a status', async () => {
    const { got, chosen } = await run(exec(copy), 'v5.channel.k8s.io, v4.channel.k8s.io', (socket) => {
      void socket.send([Uint8Array.of(0), bytes('in')]);
      close(socket);
    });
    expect(chosen).toBe('v5.channel.k8s.io');
    expect(got).toEqual({ 1: 'in', 3: '{"metadata":{},"status":"Success"}' });
  });

  test('exit codes, failures', async () => {
    const failing = await run(
      exec(async () => 3),
      'v4.channel.k8s.io',
      () => {},
    );
    expect(JSON.parse(failing.got[3]!)).toEqual({
      metadata: {},
      status: 'Failure',
      message: 'command terminated with non-zero exit code: exit status 3',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '3' }] },
    });
    const broken = await run(
      exec(() => Promise.reject(new Error('no shell'))),
      'v4.base64.channel.k8s.io',
      () => {},
    );
    expect(JSON.parse(broken.got[3]!)).toEqual({
      metadata: {},
      status: 'Failure',
      message: 'Internal error occurred: error executing command in container: no shell',
      reason: 'InternalError',
      details: { causes: [{ message: 'error executing command in container: no shell' }] },
      code: 500,
    });
  });

  test('the oldest protocol, also unnamed: nothing on success, bare text otherwise', async () => {
    expect(
      await run(
        exec(async () => 0),
        '',
        () => {},
      ),
    ).toEqual({ got: {}, chosen: undefined });
    const { got } = await run(
      exec(async () => 1),
      'channel.k8s.io',
      () => {},
    );
    expect(got).toEqual({ 3: 'command terminated with non-zero exit code: exit status 1' });
  });

  test('sizes of the terminal: the newest', async () => {
    const sizes: unknown[] = [];
    const stream = exec(
      async ({ resize }) => {
        await drainMicrotasks();
        for await (const size of resize!) {
          sizes.push(size);
          if (size.width === 9) return 0;
        }
        return 1;
      },
      { tty: true, stderr: false },
    );
    await run(stream, 'v5.channel.k8s.io', (socket) => {
      for (const json of ['{"Width":80,"Height":24}\n{"width":81,', '"height":25}', '{"Width":-1,"Height":3}', '{bad}'])
        void socket.send([Uint8Array.of(CHANNEL.resize), bytes(json)]);
      void drainMicrotasks().then(() => socket.send([Uint8Array.of(CHANNEL.resize), bytes('{"Width":9,"Height":9}')]));
    });
    expect(sizes.at(-1)).toEqual({ width: 9, height: 9 });
  });

  test('when the client goes, the command is told', async () => {
    let signal: AbortSignal | undefined;
    const stream = exec(async (_, given) => {
      signal = given;
      await new Promise((resolve) => given.addEventListener('abort', resolve));
      throw new Error('aborted');
    });
    await run(stream, 'v5.channel.k8s.io', (socket) => socket.destroy());
    expect(signal?.aborted).toBe(true);
  });
});

describe('exec over SPDY', () => {
  async function run(
    stream: NodeStream,
    version: string,
    drive: (client: SpdyConnection, asked: Asked) => Promise<void>,
  ) {
    const { env, handle, clock } = setUp();
    const asked = ask({ ...SPDY, ...(version ? { 'x-stream-protocol-version': version } : {}) });
    const handled = handle(asked.exchange, stream, { name: 'p' });
    await until(() => asked.upgraded !== undefined);
    const client = new SpdyConnection(asked.peer, { env, role: 'client' });
    const running = client.run();
    await drive(client, asked);
    return { handled, running, clock, version: asked.upgraded!['X-Stream-Protocol-Version'], asked };
  }
  async function all({ input }: SpdyStream): Promise<string> {
    let out = '';
    for await (const chunk of input) out += text(chunk);
    return out;
  }

  test.each([
    [
      'v5.channel.k8s.io|v4.channel.k8s.io|v3.channel.k8s.io',
      'v4.channel.k8s.io',
      '{"metadata":{},"status":"Success"}',
    ],
    ['v2.channel.k8s.io', 'v2.channel.k8s.io', ''],
    ['', undefined, ''],
  ])('%s', async (offered, chosen, outcome) => {
    let answers: string[] = [];
    const { handled, running, version } = await run(exec(copy, { stderr: false }), offered, async (client, asked) => {
      const [error, stdin, stdout] = ['error', 'stdin', 'stdout'].map((streamtype) => client.open({ streamtype }));
      void stdin!.output.write(bytes('through'));
      stdin!.output.end();
      answers = await Promise.all([all(stdout!), all(error!)]);
      asked.peer.close();
    });
    await Promise.all([handled, running]);
    expect(version).toBe(chosen);
    expect(answers).toEqual(['through', outcome]);
  });

  test('a client that does not open its streams within thirty seconds is left', async () => {
    const { clock, handled, asked } = await run(exec(copy), 'v4.channel.k8s.io', async (client) => {
      client.open({ streamtype: 'error' });
      client.open({ streamtype: 'nonsense' });
    });
    await drainMicrotasks();
    await clock.advance(30_001);
    await handled;
    expect(asked.peer.destroyed).toBe(true);
  });
});

describe('port-forward in a tunnel', () => {
  async function setUpForward() {
    const { env, handle, clock } = setUp();
    const asked = ask({ ...WEBSOCKET, 'sec-websocket-protocol': 'SPDY/3.1+portforward.k8s.io' });
    const stream: NodeStream = {
      kind: 'portforward',
      async run(port, { input, output }) {
        if (port === 9) throw new Error('connection refused');
        await output.write(bytes(`${port}:`));
        for await (const chunk of input) await output.write(chunk);
      },
    };
    const handled = handle(asked.exchange, stream, { name: 'p' });
    await until(() => asked.upgraded !== undefined);
    const raw = webSocketTunnel(new WebSocketConnection(asked.peer, { env, role: 'client' }));
    const client = new SpdyConnection(raw, { env, role: 'client' });
    void client.run();
    const open = (type: string, port: string, request?: string) =>
      client.open({ streamtype: type, port, ...(request ? { requestid: request } : {}) }, { fin: type === 'error' });
    return { client, raw, handled, open, clock };
  }
  const all = async ({ input }: SpdyStream) => {
    let out = '';
    for await (const chunk of input) out += text(chunk);
    return out;
  };

  test('connections by request, errors on their own stream, old clients without requests', async () => {
    const { open, raw, handled } = await setUpForward();
    const [error1, data1] = [open('error', '80', '0'), open('data', '80', '0')];
    const [error2, data2] = [open('error', '9', '1'), open('data', '9', '1')];
    const [error3, data3] = [open('error', '81'), open('data', '81')];
    void data1.output.write(bytes('hi'));
    for (const stream of [data1, data3]) stream.output.end();
    expect(await Promise.all([error1, data1, error2, data2, error3, data3].map(all))).toEqual([
      '',
      '80:hi',
      'error forwarding port 9 to pod p, uid : connection refused',
      '',
      '',
      '81:',
    ]);
    raw.close();
    await handled;
  });

  test('streams that make no sense are reset; half a pair is given thirty seconds', async () => {
    const { open, raw, handled, clock } = await setUpForward();
    const bad = [open('data', '0', 'a'), open('data', '70000', 'b'), open('data', 'x', 'c'), open('other', '80', 'd')];
    await Promise.all(bad.map(all));
    expect(bad.map((stream) => stream.signal.aborted)).toEqual([true, true, true, true]);
    const lonely = open('error', '80', 'e');
    await drainMicrotasks();
    await clock.advance(31_000);
    expect(await all(lonely)).toBe('(request=e) timed out waiting for streams');
    raw.close();
    await handled;
  });
});
