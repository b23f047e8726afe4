// Starts server-main.ts, bundled, as a child process that can be killed, measured and starved.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';

export interface ServerChildOptions {
  readonly dataDir: string;
  /** `disk` unless told. */
  readonly store?: 'memory' | 'disk';
  /** A free one unless told. */
  readonly port?: number;
  /** Milliseconds its wall clock is ahead of this machine's. */
  readonly shift?: number;
  /** Nodes with simulated containers, called n0, n1, ... */
  readonly nodes?: number;
  /** Exec, attach, logs and port-forward are answered by an echo, on whatever node. */
  readonly echoNode?: boolean;
  /** File descriptors it may have. */
  readonly files?: number;
}

export type Asked =
  | { readonly id: number; readonly do: 'memory' | 'stop' }
  | { readonly id: number; readonly do: 'shift'; readonly ms: number };
export type Told = { readonly ready: Ready } | { readonly answer: number; readonly value: object };

interface Ready {
  readonly port: number;
  /** PEM: the authority, and the administrator's certificate and key. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface ServerChild extends Ready {
  readonly child: ChildProcess;
  readonly pid: number;
  /** What it logged, line by line. */
  readonly log: string[];
  /** Resolves to the code or signal it ended with. */
  readonly ended: Promise<string>;
  /** After a garbage collection. Bytes. */
  memory(): Promise<NodeJS.MemoryUsage>;
  /** Sets its wall clock so far ahead of this machine's. */
  shift(ms: number): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** As a shutdown; rejects when it does not end. */
  stop(): Promise<void>;
}

const ROOT = join(import.meta.dirname, '../../..');
let bundled: Promise<string> | undefined;

/** Once a process: a child starts in a third of the time, and all children are of the same sources. */
function bundle(): Promise<string> {
  return (bundled ??= bundleOnce());
}

async function bundleOnce(): Promise<string> {
  const outfile = join(ROOT, '.cache', `hard-${process.pid}`, 'server.mjs');
  mkdirSync(join(outfile, '..'), { recursive: true });
  process.once('exit', () => rmSync(join(outfile, '..'), { recursive: true, force: true }));
  const require = `import { createRequire as __require_ } from 'node:module'; const require = __require_(import.meta.url);`;
  await build({
    entryPoints: [join(import.meta.dirname, 'server-main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    external: ['lmdb'],
    banner: { js: require },
    logLevel: 'warning',
  });
  return outfile;
}

/** The process, before it is ready; `ready` rejects with what it logged when it ends first. */
export interface StartingChild {
  readonly ready: Promise<ServerChild>;
  kill(): Promise<void>;
}

export async function spawnServer(options: ServerChildOptions): Promise<StartingChild> {
  const file = await bundle();
  const argv = [process.execPath, '--expose-gc', file, JSON.stringify(options)];
  const limited = options.files ? ['sh', '-c', `ulimit -n ${options.files}; exec "$@"`, 'sh', ...argv] : argv;
  const child = spawn(limited[0]!, limited.slice(1), { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const log: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => log.push(line));
  const ended = new Promise<string>((resolve) => child.once('close', (code, signal) => resolve(signal ?? `${code}`)));
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  const onExit = () => void child.kill('SIGKILL');
  process.once('exit', onExit);
  void ended.then(() => process.off('exit', onExit));
  const ready = new Promise<ServerChild>((resolve, reject) => {
    const asked = new Map<number, (value: object) => void>();
    let next = 1;
    const ask = (what: { do: 'memory' } | { do: 'shift'; ms: number }) =>
      new Promise<object>((answered, failed) => {
        asked.set(next, answered);
        child.send({ id: next++, ...what }, (error) => error && failed(error));
        void ended.then((why) => failed(new Error(`the server ended (${why})\n${log.slice(-30).join('\n')}`)));
      });
    child.on('message', (told: Told) => {
      if ('answer' in told) return asked.get(told.answer)?.(told.value);
      resolve({
        ...told.ready,
        child,
        pid: child.pid!,
        log,
        ended,
        kill,
        memory: () => ask({ do: 'memory' }) as Promise<NodeJS.MemoryUsage>,
        shift: async (ms) => void (await ask({ do: 'shift', ms })),
        stop: () => stop(child, ended, log),
      });
    });
    void ended.then((why) => reject(new Error(`the server did not start (${why})\n${log.slice(-30).join('\n')}`)));
  });
  ready.catch(() => {});
  return { ready, kill };
}

export async function startServerChild(options: ServerChildOptions): Promise<ServerChild> {
  return (await spawnServer(options)).ready;
}

async function stop(child: ChildProcess, ended: Promise<string>, log: readonly string[]): Promise<void> {
  if (child.connected) child.send({ id: 0, do: 'stop' } satisfies Asked);
  const timer = setTimeout(() => void child.kill('SIGABRT'), 20_000);
  const why = await ended;
  clearTimeout(timer);
  if (why !== '0') throw new Error(`the server ended with ${why}\n${log.slice(-30).join('\n')}`);
}
