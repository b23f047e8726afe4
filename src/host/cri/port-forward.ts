// Port-forward into a pod: the connection is made inside the pod's network namespace, so that servers on its loopback
// address are reached too. Node cannot enter another namespace, so one small helper process per pod does: it takes
// connections on a unix socket, which namespaces do not separate. The runtime's own streaming server could not
// half-close, and holds each finished connection for another second.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { ByteSink, ByteSource } from '../../api/node-api.ts';
import { RuntimeError } from '../../kubelet/runtime.ts';
import { startTicksOf } from '../processes.ts';
import { SYSTEM_PATH } from '../run.ts';
import type { GrpcChannel } from '../rpc/grpc.ts';
import { copyIn } from './exec.ts';
import { Cri } from './messages.ts';

export interface ByteStreams {
  readonly input: ByteSource;
  readonly output: ByteSink;
}

/**
 * The helper: `node -e HELPER <socket>`. A client sends `<port>\n` and gets an empty line or one with what went wrong,
 * then both directions are the connection's. It ends with its standard input, or after half a minute without clients.
 */
const HELPER = `
const net = require('node:net');
let clients = 0, idle;
const rest = () => { clearTimeout(idle); if (clients === 0) idle = setTimeout(() => process.exit(), 30000); };
const reach = (port, hosts, done) => {
  const [host, ...others] = hosts;
  const socket = net.connect({ host, port, allowHalfOpen: true });
  socket.once('connect', () => { socket.removeAllListeners('error'); done(socket, ''); });
  socket.once('error', (error) => others.length > 0 ? reach(port, others, done) : done(undefined, error.message));
};
const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
  clients++; clearTimeout(idle);
  client.on('error', () => client.destroy());
  client.once('close', () => { clients--; rest(); });
  const take = () => {
    const line = client.read();
    if (line === null) return void client.once('readable', take);
    const text = line.toString(), end = text.indexOf('\\n');
    if (end < 0) return void client.destroy();
    const more = line.subarray(Buffer.byteLength(text.slice(0, end + 1)));
    reach(Number(text.slice(0, end)), ['127.0.0.1', '::1'], (target, problem) => {
      if (!target) return void client.end(problem + '\\n');
      target.on('error', () => client.destroy());
      target.once('close', () => client.readableEnded || client.destroySoon());
      client.once('close', () => target.writableEnded ? target.destroy() : target.destroySoon());
      client.write('\\n');
      if (more.length > 0) target.write(more);
      client.pipe(target);
      target.pipe(client);
    });
  };
  take();
});
server.listen(process.argv[1], () => process.stdout.write('ready\\n'));
process.stdin.on('end', () => process.exit()).resume();
rest();
`;

interface Helper {
  readonly path: string;
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
}

interface SandboxInfo {
  readonly pid?: number;
  readonly runtimeSpec?: { readonly linux?: { readonly namespaces?: readonly { readonly type: string }[] } };
}

export class PortForwarder {
  private readonly channel: GrpcChannel;
  private readonly dir: string;
  private readonly helpers = new Map<string, Helper>();

  /** `dir` is for sockets: its path must be short. */
  constructor(channel: GrpcChannel, dir: string) {
    this.channel = channel;
    this.dir = dir;
  }

  /** Resolves when both directions have ended; rejects when nothing listens on the port. */
  async forward(
    sandboxId: string,
    port: number,
    streams: ByteStreams,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    signal.throwIfAborted();
    const socket = await this.connect(sandboxId, port);
    const onAbort = () => socket.destroy();
    signal.addEventListener('abort', onAbort, { once: true });
    // The input may never end; the connection is over when the pod's side is and the input could not go anywhere.
    const fed = copyIn(streams.input, socket);
    fed.catch(() => socket.destroy());
    try {
      for await (const chunk of socket) await streams.output.write(chunk as Uint8Array);
    } catch (error) {
      if (!signal.aborted && (error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
    }
    signal.throwIfAborted();
  }

  private async connect(sandboxId: string, port: number): Promise<Socket> {
    const helper = this.helpers.get(sandboxId) ?? (await this.start(sandboxId));
    await helper.ready;
    const socket = connect({ path: helper.path, allowHalfOpen: true });
    socket.write(`${port}\n`);
    const problem = await firstLine(socket);
    if (problem === '') return socket;
    socket.destroy();
    throw new RuntimeError('UNAVAILABLE', `failed to connect to localhost:${port} inside the pod: ${problem}`);
  }

  private async start(sandboxId: string): Promise<Helper> {
    const { info } = await this.channel.call(Cri.podSandboxStatus, { podSandboxId: sandboxId, verbose: true });
    const { pid = 0 } = JSON.parse(info['info'] ?? '{}') as SandboxInfo;
    if (pid === 0 || startTicksOf(pid) === undefined) {
      throw new RuntimeError('FAILED_PRECONDITION', `the sandbox ${sandboxId} is not running`);
    }
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    const known = this.helpers.get(sandboxId);
    if (known) return known;
    const path = join(this.dir, `${sandboxId.slice(0, 12)}.sock`);
    const helper = launch(path, pid);
    this.helpers.set(sandboxId, helper);
    helper.child.once('exit', () => this.helpers.delete(sandboxId));
    return helper;
  }

  close(): void {
    for (const { child } of this.helpers.values()) child.kill();
  }
}

function launch(path: string, pid: number): Helper {
  const child = spawn('nsenter', [`--net=/proc/${pid}/ns/net`, '--', process.execPath, '-e', HELPER, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: SYSTEM_PATH },
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('error', reject);
    child.once('exit', (code) => reject(new RuntimeError('UNAVAILABLE', `the port-forward helper ended (${code})`)));
  });
  ready.catch(() => undefined);
  child.once('exit', () => void rm(path, { force: true }));
  return { path, child, ready };
}

/** Takes the first line off a socket and leaves the rest in it. */
function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const fail = (error?: Error) =>
      reject(new RuntimeError('UNAVAILABLE', `the port-forward helper hung up${error ? `: ${error.message}` : ''}`));
    const onReadable = () => {
      for (let chunk = socket.read() as Buffer | null; chunk; chunk = socket.read() as Buffer | null)
        chunks.push(chunk);
      const all = Buffer.concat(chunks);
      const end = all.indexOf(10);
      if (end < 0) return;
      socket.off('readable', onReadable).off('error', fail).off('end', fail);
      if (end + 1 < all.length) socket.unshift(all.subarray(end + 1));
      resolve(all.subarray(0, end).toString());
    };
    socket.on('readable', onReadable).once('error', fail).once('end', fail);
  });
}
