// A NodeApi whose containers are this machine: commands run as its processes, in a directory of the test's, and ports
// are its own. Terminals are made by script(1).

import { spawn, type ChildProcess } from 'node:child_process';
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { ByteSink, ByteSource, NodeApi, StdStreams, TerminalSize } from '../../src/api/node-api.ts';
import { StatusError } from '../../src/api/errors.ts';

export interface LocalNode extends NodeApi {
  /** What terminals were told, in order. */
  readonly sizes: TerminalSize[];
  /** Commands whose conversation was broken off. */
  readonly aborted: string[];
  /** Ends what still runs. */
  stop(): void;
}

async function copyOut(from: Readable, to: ByteSink | undefined): Promise<void> {
  for await (const chunk of from) await to?.write(chunk as Uint8Array);
}

async function copyIn(from: ByteSource, to: Writable): Promise<void> {
  to.on('error', () => {});
  for await (const chunk of from) {
    if (to.destroyed) return;
    if (!to.write(chunk)) await roomIn(to);
  }
  to.end();
}

function roomIn(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      to.off('drain', done).off('close', done);
      resolve();
    };
    to.on('drain', done).on('close', done);
  });
}

export function localNode(cwd: string): LocalNode {
  const children = new Set<ChildProcess>();
  const sizes: TerminalSize[] = [];
  const aborted: string[] = [];

  async function run(command: readonly string[], tty: boolean, streams: StdStreams, signal: AbortSignal) {
    const [name = '', ...args] = tty ? ['script', '-qec', command.join(' '), '/dev/null'] : command;
    const child = spawn(name, args, { cwd, stdio: 'pipe', env: { ...process.env, COLUMNS: '', LINES: '' } });
    children.add(child);
    const ended = new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => {
        children.delete(child);
        resolve(code ?? 137);
      });
    });
    signal.addEventListener('abort', () => {
      aborted.push(command.join(' '));
      child.kill('SIGKILL');
    });
    if (streams.stdin) void copyIn(streams.stdin, child.stdin);
    else child.stdin.end();
    const follow = async () => {
      for await (const size of streams.resize ?? []) sizes.push(size);
    };
    void follow();
    await Promise.all([ended, copyOut(child.stdout, streams.stdout), copyOut(child.stderr, streams.stderr)]);
    return ended;
  }

  return {
    sizes,
    aborted,
    async check({ container }) {
      if (container === 'e') throw new StatusError('NotFound', 'container not found ("e")');
    },
    exec: (_target, { command, tty }, streams, { signal }) => run(command, tty, streams, signal),
    async attach(target, { tty }, streams, { signal }) {
      const command = ['sh', '-c', `echo attached to ${target.container}; exec cat`];
      await run(tty ? ['cat'] : command, tty, streams, signal);
    },
    async logs(target, { follow, tailLines, previous }, { signal }) {
      if (previous)
        throw new StatusError('BadRequest', `previous terminated container "${target.container}" not found`);
      return lines(tailLines ?? 3, follow ?? false, signal);
    },
    async portForward(_target, port, { input, output }, { signal }) {
      const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
      signal.addEventListener('abort', () => socket.destroy());
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', (error) => reject(new Error(`failed to connect to localhost:${port}: ${error.message}`)));
      });
      const fed = copyIn(input, socket);
      fed.catch(() => socket.destroy());
      for await (const chunk of socket) await output.write(chunk as Uint8Array);
      socket.destroy();
    },
    stop() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

/** Some lines, then one every 50 ms as long as somebody follows. */
async function* lines(count: number, follow: boolean, signal: AbortSignal): ByteSource {
  const line = (n: number) => new TextEncoder().encode(`line ${n}\n`);
  let n = 0;
  while (n < count) yield line(n++);
  if (!follow) return;
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    yield line(n++);
  }
}
