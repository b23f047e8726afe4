// Every installed kubectl talking to containers: exec, attach, cp, logs, port-forward, proxy.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StatusError } from '../src/api/errors.ts';
import { kubectls } from './support/kubectl.ts';
import { streamCluster, type StreamCluster } from './support/stream-cluster.ts';

const versions = kubectls();
let direct: StreamCluster;
let remote: StreamCluster;
beforeAll(async () => {
  [direct, remote] = await Promise.all([streamCluster(), streamCluster({ nodeOverHttps: true })]);
});
afterAll(() => Promise.all([direct?.stop(), remote?.stop()]));

/** Both protocols through a node's endpoint, every version without. */
const ways = [...versions].flatMap(([version, kubectl]) => {
  const ends = version === '1.29' || version === [...versions.keys()].at(-1);
  const one = { version, kubectl, way: 'a node in the same process', through: () => direct };
  return ends ? [one, { ...one, way: 'the endpoint of a node', through: () => remote }] : [one];
});

test('kubectl is installed', () => expect(versions.size).toBeGreaterThan(0));

describe.each(ways)('kubectl $version, $way', ({ version, kubectl, through }) => {
  let cluster: StreamCluster;
  beforeAll(() => {
    cluster = through();
  });
  const exec = (args: readonly string[], stdin?: Uint8Array | string, flags: readonly string[] = []) =>
    cluster.run(kubectl, ['exec', ...flags, 'p', '-c', 'c', '--', ...args], stdin === undefined ? {} : { stdin });

  test('exec: both outputs and the exit code', async () => {
    expect(await exec(['echo', 'hello'])).toEqual({ code: 0, out: Buffer.from('hello\n'), err: '' });
    const { code, out, err } = await exec(['sh', '-c', 'echo out; echo err >&2; exit 3']);
    expect({ code, out: out.toString(), err }).toEqual({
      code: 3,
      out: 'out\n',
      err: 'err\ncommand terminated with exit code 3\n',
    });
  });

  test('exec: a command that cannot be started', async () => {
    const { code, err } = await exec(['/no/such/program']);
    expect({ code, err }).toEqual({
      code: 1,
      err: 'error: Internal error occurred: error executing command in container: spawn /no/such/program ENOENT\n',
    });
  });

  test('exec -i: the end of the input reaches the command', async () => {
    expect((await exec(['cat'], 'hi\n', ['-i'])).out.toString()).toBe('hi\n');
    expect((await exec(['wc', '-c'], '', ['-i'])).out.toString().trim()).toBe('0');
  });

  test('exec -i: megabytes both ways arrive whole', async () => {
    const data = randomBytes(5 << 20);
    const { code, out, err } = await exec(['cat'], data, ['-i']);
    expect({ code, err, same: data.equals(out) }).toEqual({ code: 0, err: '', same: true });
    const long = await exec(['sh', '-c', 'head -c 20000000 /dev/zero | tr "\\0" x; exit 7']);
    expect({ code: long.code, length: long.out.length }).toEqual({ code: 7, length: 20_000_000 });
  });

  test('exec -i: a command that ends without reading its input', async () => {
    const { code, out } = await exec(['sh', '-c', 'echo done; exit 4'], randomBytes(3 << 20), ['-i']);
    expect({ code, out: out.toString() }).toEqual({ code: 4, out: 'done\n' });
  });

  test('cp both ways', async () => {
    const local = join(cluster.dir, 'local');
    const data = randomBytes(2 << 20);
    writeFileSync(local, data);
    const up = await cluster.run(kubectl, ['cp', local, 'p:remote', '-c', 'c']);
    expect(up).toMatchObject({ code: 0, err: '' });
    expect(readFileSync(join(cluster.root, 'remote')).equals(data)).toBe(true);
    const down = await cluster.run(kubectl, ['cp', 'p:remote', join(cluster.dir, 'back'), '-c', 'c']);
    expect(down).toMatchObject({ code: 0 });
    expect(readFileSync(join(cluster.dir, 'back')).equals(data)).toBe(true);
  });

  test('exec -it: a terminal with the size of ours', async () => {
    // Not at once: kubectl complains when a command ends before it has told the size of the terminal.
    const command = `stty rows 33 cols 77; exec ${kubectl} exec -it p -c c -- 'tty; sleep 0.2'`;
    const { code, out } = await cluster.run('script', ['-qec', command, '/dev/null'], { hold: true });
    expect({ code, out: out.toString().replace(/\d+/, 'N') }).toEqual({ code: 0, out: '/dev/pts/N\r\n' });
    expect(cluster.node.sizes.at(-1)).toEqual({ width: 77, height: 33 });
  });

  test('exec: when the client goes, the command is told', async () => {
    const marker = `sleep 1000.${version}`;
    const running = cluster.start(kubectl, ['exec', 'p', '-c', 'c', '--', 'sh', '-c', `echo up; exec ${marker}`]);
    await running.output(/up/);
    await running.stop();
    await expect.poll(() => cluster.node.aborted.some((command) => command.includes(marker))).toBe(true);
  });

  test('attach: input and output of what runs', async () => {
    const { code, out } = await cluster.run(kubectl, ['attach', '-i', 'p', '-c', 'c'], { stdin: 'over there\n' });
    expect({ code, out: out.toString() }).toEqual({ code: 0, out: 'attached to c\nover there\n' });
  });

  test('logs, whole, followed and refused', async () => {
    const all = await cluster.run(kubectl, ['logs', 'p', '-c', 'c', '--tail=2']);
    expect(all.out.toString()).toBe('line 0\nline 1\n');
    const following = cluster.start(kubectl, ['logs', '-f', 'p', '-c', 'c']);
    expect(await following.output(/line 8\n/)).toMatch(/^line 0\nline 1\n/);
    await following.stop();
    const { code, err } = await cluster.run(kubectl, ['logs', '-p', 'p', '-c', 'c']);
    expect({ code, err }).toEqual({
      code: 1,
      err: 'Error from server (BadRequest): previous terminated container "c" not found\n',
    });
  });

  test('port-forward: several connections at once, whole, both ways', async () => {
    const forward = cluster.start(kubectl, ['port-forward', 'p', `:${echo.port}`]);
    const port = Number(/127\.0\.0\.1:(\d+) ->/.exec(await forward.output(/127\.0\.0\.1:\d+ ->/))![1]);
    const data = randomBytes(3 << 20);
    const answers = await Promise.all(Array.from({ length: 5 }, () => converse(port, data)));
    expect(answers.map((answer) => answer.equals(data))).toEqual([true, true, true, true, true]);
    await forward.stop();
  });

  test('port-forward: a node that is not ready says so', async () => {
    const { check } = cluster.node;
    const message = 'the kubelet of node "n" is starting';
    cluster.node.check = () => Promise.reject(new StatusError('ServiceUnavailable', message));
    try {
      const { code, err } = await cluster.run(kubectl, ['port-forward', 'p', ':9']);
      expect(code).toBe(1);
      expect(err).toContain(message);
    } finally {
      cluster.node.check = check!;
    }
  });

  test('port-forward: nobody listens', async () => {
    const forward = cluster.start(kubectl, ['port-forward', 'p', ':9']);
    const port = Number(/127\.0\.0\.1:(\d+) ->/.exec(await forward.output(/127\.0\.0\.1:\d+ ->/))![1]);
    expect(await converse(port, Buffer.from('hello'))).toEqual(Buffer.from(''));
    expect(await forward.output(/error occurred.*\n/)).toContain(
      'error forwarding port 9 to pod p, uid : failed to connect to localhost:9: connect ECONNREFUSED 127.0.0.1:9',
    );
    await forward.stop();
  });

  test('refusals are those of the API', async () => {
    const { code, err } = await cluster.run(kubectl, ['exec', 'p', '-c', 'x', '--', 'ls']);
    expect({ code, err }).toEqual({
      code: 1,
      err: 'Error from server (BadRequest): container x is not valid for pod p\n',
    });
    const down = await cluster.run(kubectl, ['exec', 'p', '-c', 'e', '--', 'ls']);
    expect(down.err).toMatch(/^error: unable to upgrade connection: container not found \("e"\)\n/);
    const none = await cluster.run(kubectl, [
      'get',
      '--raw',
      '/api/v1/namespaces/default/pods/p/exec?command=ls&container=c&stdout=true',
    ]);
    expect(none.err).toBe('Error from server (BadRequest): Upgrade request required\n');
  });
});

let echo: { readonly server: Server; readonly port: number };
beforeAll(async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  echo = { server, port: (server.address() as AddressInfo).port };
});
afterAll(() => echo?.server.close());

/** Sends, ends, and reads to the end. */
function converse(port: number, data: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.once('close', () => resolve(Buffer.concat(chunks)));
    socket.once('end', () => socket.end());
    socket.end(data);
  });
}
