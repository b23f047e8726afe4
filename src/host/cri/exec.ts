// Exec with live streams: a second process in a running container, its streams named pipes that the shim opens on its
// side. The interface's own streaming server cannot half-close stdin over WebSocket; this can.

import { execFile } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { uuid, type Env } from '../../base/env.ts';
import type { ByteSink, ByteSource, ExecOptions, StdStreams, TerminalSize } from '../../api/node-api.ts';
import { RuntimeError } from '../../kubelet/runtime.ts';
import { Containerd } from '../containerd/messages.ts';
import type { GrpcChannel } from '../rpc/grpc.ts';

export interface ExecHost {
  readonly env: Env;
  readonly channel: GrpcChannel;
  readonly streamDir: string;
}

interface ProcessSpec {
  readonly args: readonly string[];
  readonly env?: readonly string[];
  readonly terminal?: boolean;
  readonly [field: string]: unknown;
}

const SIGKILL = 9;
const NOWHERE = '/dev/null';
const PROCESS_TYPE = 'types.containerd.io/opencontainers/runtime-spec/1/Process';
const UNLIMITED = {};
const run = promisify(execFile);

/** The process a command runs as: the container's own, with another command line. */
export function execProcess(own: ProcessSpec, command: readonly string[], tty: boolean): ProcessSpec {
  const env = own.env ?? [];
  const { consoleSize: _, ...rest } = own;
  const terminal = tty && !env.some((entry) => entry.startsWith('TERM=')) ? ['TERM=xterm'] : [];
  return { ...rest, args: command, terminal: tty, env: [...env, ...terminal] };
}

async function processSpecOf(channel: GrpcChannel, id: string): Promise<ProcessSpec> {
  const { container } = await channel.call(Containerd.getContainer, { id });
  const spec = JSON.parse(new TextDecoder().decode(container?.spec?.value)) as { process: ProcessSpec };
  return spec.process;
}

/** Opens a pipe for reading at once: without the flag the call would wait for the writer. */
function openReader(path: string): Socket {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: true, writable: false });
}

/** Undefined when nobody reads any more: the process has gone. */
function openWriter(path: string): Socket | undefined {
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    return new Socket({ fd, readable: false, writable: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return undefined;
    throw error;
  }
}

async function copyOut(from: Socket, to: ByteSink): Promise<void> {
  for await (const chunk of from) await to.write(chunk as Uint8Array);
}

/** Copies until the source ends or the pipe breaks; then the process sees the end of its input. */
export async function copyIn(from: ByteSource, to: Socket): Promise<void> {
  let broken = false;
  to.on('error', () => (broken = true));
  for await (const chunk of from) {
    if (broken) return;
    await new Promise<void>((resolve) => {
      to.once('close', resolve);
      to.write(chunk, () => {
        to.off('close', resolve);
        resolve();
      });
    });
  }
  await new Promise<void>((resolve) => {
    to.once('close', resolve);
    to.end(resolve);
  });
}

class ExecSession {
  private readonly host: ExecHost;
  private readonly process: { readonly containerId: string; readonly execId: string };
  private readonly dir: string;
  private readonly sockets: Socket[] = [];

  constructor(host: ExecHost, containerId: string) {
    this.host = host;
    this.process = { containerId, execId: uuid(host.env.random).replaceAll('-', '') };
    this.dir = join(host.streamDir, this.process.execId);
  }

  async run(options: ExecOptions, streams: StdStreams, signal: AbortSignal): Promise<number> {
    const { channel } = this.host;
    const { containerId, execId } = this.process;
    const pipe = (wanted: unknown, name: string) => (wanted ? join(this.dir, name) : undefined);
    const stdin = pipe(options.stdin && streams.stdin, 'in');
    const stdout = pipe(options.stdout && streams.stdout, 'out');
    const stderr = pipe(options.stderr && streams.stderr && !options.tty, 'err');
    const paths = [stdin, stdout, stderr].filter((path) => path !== undefined);
    const own = await processSpecOf(channel, containerId);
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    if (paths.length > 0) await run('mkfifo', ['-m', '600', ...paths]);
    const outputs = [
      ...(stdout ? [copyOut(this.keep(openReader(stdout)), streams.stdout!)] : []),
      ...(stderr ? [copyOut(this.keep(openReader(stderr)), streams.stderr!)] : []),
    ];
    const copied = Promise.all(outputs);
    // Looked at below; a failure before that must not count as unhandled.
    copied.catch(() => undefined);
    const spec = execProcess(own, options.command, options.tty);
    const value = new TextEncoder().encode(JSON.stringify(spec));
    await channel.call(Containerd.exec, {
      containerId,
      execId,
      stdin: stdin ?? '',
      // The shim wants somewhere to write to; a terminal has no second output.
      stdout: stdout ?? NOWHERE,
      stderr: options.tty ? '' : (stderr ?? NOWHERE),
      terminal: options.tty,
      spec: { typeUrl: PROCESS_TYPE, value },
    });
    const exited = channel.call(Containerd.wait, this.process, UNLIMITED);
    exited.catch(() => undefined);
    await this.start();
    if (stdin) this.feed(stdin, streams.stdin!, options.tty);
    if (options.tty && streams.resize) this.resize(streams.resize);
    const onAbort = () => this.kill();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      const { exitStatus } = await exited;
      await copied;
      return exitStatus;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  private async start(): Promise<void> {
    try {
      await this.host.channel.call(Containerd.start, this.process);
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      const text = `failed to exec in container: failed to start exec "${this.process.execId}": ${error.message}`;
      throw new RuntimeError(error.code, text, { cause: error });
    }
  }

  /** Runs beside the session: a source that never ends must not keep it open. */
  private feed(path: string, source: ByteSource, tty: boolean): void {
    const socket = openWriter(path);
    if (!socket) return;
    this.keep(socket);
    const closeInput = async () => {
      // A terminal has no end of input: closing it would hang it up.
      if (!tty) await this.host.channel.call(Containerd.closeIO, { ...this.process, stdin: true });
    };
    copyIn(source, socket)
      .then(closeInput)
      .catch((error: unknown) => {
        if (!this.ended) this.host.env.log.debug('the input of an exec session broke', { error });
      });
  }

  private resize(sizes: AsyncIterable<TerminalSize>): void {
    const follow = async () => {
      for await (const { width, height } of sizes) {
        if (this.ended) return;
        await this.host.channel.call(Containerd.resizePty, { ...this.process, width, height });
      }
    };
    follow().catch((error: unknown) => {
      if (!this.ended) this.host.env.log.debug('cannot resize a terminal', { error });
    });
  }

  private kill(): void {
    // The process cannot outlive its client; its pipes may, when it left children behind.
    for (const socket of this.sockets) socket.destroy();
    this.host.channel.call(Containerd.kill, { ...this.process, signal: SIGKILL }).catch((error: unknown) => {
      if (!this.ended) this.host.env.log.debug('cannot kill an exec process', { error });
    });
  }

  private ended = false;

  private keep(socket: Socket): Socket {
    this.sockets.push(socket);
    return socket;
  }

  async close(): Promise<void> {
    this.ended = true;
    for (const socket of this.sockets) socket.destroy();
    const { channel } = this.host;
    try {
      await channel.call(Containerd.deleteProcess, this.process).catch(async () => {
        await channel.call(Containerd.kill, { ...this.process, signal: SIGKILL });
        await channel.call(Containerd.wait, this.process, { timeoutSeconds: 5 });
        await channel.call(Containerd.deleteProcess, this.process);
      });
    } catch (error) {
      // Never started, or gone with its container.
      if (!(error instanceof RuntimeError)) throw error;
    } finally {
      await rm(this.dir, { recursive: true, force: true });
    }
  }
}

/**
 * Runs a command in a container; resolves to its exit code once all output has been handed over. The process is killed
 * when the signal aborts, and the promise rejects with the signal's reason.
 */
export async function exec(
  host: ExecHost,
  containerId: string,
  options: ExecOptions,
  streams: StdStreams,
  { signal }: { signal: AbortSignal },
): Promise<number> {
  signal.throwIfAborted();
  const session = new ExecSession(host, containerId);
  try {
    return await session.run(options, streams, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    await session.close();
  }
}
