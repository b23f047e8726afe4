// A containerd of our own per cluster. It outlives this process: the next one finds it by its command line, which tells
// of it from its first moment on, and takes it over.
// While this process lives it supervises: a containerd that dies is started again; the containers do not notice.

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { sleep, type Env } from '../../base/env.ts';
import { Cri } from '../cri/messages.ts';
import { rotateLog } from '../log-sink.ts';
import { endProcess, findProcesses, isAlive, processRef, type ProcessRef } from '../processes.ts';
import { GrpcChannel } from '../rpc/grpc.ts';
import { SYSTEM_PATH } from '../run.ts';
import { containerdConfig, type ContainerdConfig } from './config.ts';
import { Containerd } from './messages.ts';

export interface DaemonOptions {
  readonly env: Env;
  readonly config: ContainerdConfig;
  /** Path of the binary. */
  readonly binary: string;
  readonly configFile: string;
  readonly logFile: string;
  /**
   * Runs it in a mount namespace of its own without the second cgroup hierarchy: crun takes the mixed layout of
   * cgroup v1 for version 2 otherwise.
   */
  readonly hideUnifiedCgroup: boolean;
}

export interface ContainerdDaemon {
  /** The process that serves now. */
  readonly process: ProcessRef;
  /** Ends the supervision and leaves containerd running for the next Coracle. */
  release(): void;
  /** Ends containerd; containers and their shims live on. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;
const LOOK_MS = 5;
/** A killed containerd loses nothing, so patience is not worth much. */
const STOP_MS = 1_000;
/** One that lived this long is started again at once. */
const STABLE_MS = 10_000;
const MAX_BACKOFF_MS = 30_000;

/** `/` stays as shared as it was, so that mounts of the machine still come in, and what is mounted here reaches pods. */
const HIDE_UNIFIED =
  'mount --make-rprivate /sys/fs/cgroup && umount /sys/fs/cgroup/unified && mount --make-rshared / && exec "$@"';

interface Started {
  readonly process: ProcessRef;
  /** Undefined when an earlier Coracle started it. */
  readonly child: ChildProcess | undefined;
}

/** The last lines of a log, as one. */
export function lastWords(logFile: string): string {
  try {
    const lines = readFileSync(logFile, 'utf8').trim().split('\n').slice(-3);
    const texts = lines.map((line) => /msg="((?:[^"\\]|\\.)*)"(?: error="((?:[^"\\]|\\.)*)")?/.exec(line) ?? [line]);
    const words = texts.map(([whole, message, error]) => [message ?? whole, error].filter(Boolean).join(': '));
    return words.join('; ').replaceAll('\\"', '"').slice(-500) || 'it left no log';
  } catch {
    return 'it left no log';
  }
}

function canConnect(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
}

async function answers({ socket, storageOnly }: ContainerdConfig): Promise<boolean> {
  const channel = new GrpcChannel(socket);
  try {
    if (storageOnly) await channel.call(Containerd.version, {}, { timeoutSeconds: 5 });
    else await channel.call(Cri.version, {}, { timeoutSeconds: 5 });
    return true;
  } catch {
    return false;
  } finally {
    channel.close();
  }
}

/** A shim of this containerd, which lives in the mount namespace the next one has to join. */
export function findShims(socket: string): ProcessRef[] {
  return findProcesses(
    ([command = '', ...args]) => command.includes('containerd-shim') && args[args.indexOf('-address') + 1] === socket,
  );
}

/** Containerds whose configuration is somewhere in `dir`: also one that starts only now, in whatever wraps it. */
export function findContainerds(dir: string): ProcessRef[] {
  return findProcesses((line) => {
    const at = line.indexOf('--config');
    return line[at - 1]?.endsWith('/containerd') === true && line[at + 1]?.startsWith(`${dir}/`) === true;
  });
}

function commandOf(options: DaemonOptions): string[] {
  const containerd = [options.binary, '--config', options.configFile, '--log-level', 'error'];
  const shim = findShims(options.config.socket)[0];
  if (shim) return ['nsenter', `--mount=/proc/${shim.pid}/ns/mnt`, '--', ...containerd];
  if (!options.hideUnifiedCgroup || !existsSync('/sys/fs/cgroup/unified/cgroup.controllers')) return containerd;
  return ['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c', HIDE_UNIFIED, 'sh', ...containerd];
}

/** Asks until it answers; false when it takes too long. */
async function waitUntilServing(env: Env, config: ContainerdConfig, signal: AbortSignal): Promise<boolean> {
  const deadline = env.clock.monotonic() + START_TIMEOUT_MS;
  const late = () => signal.aborted || env.clock.monotonic() > deadline;
  for (const ready of [() => canConnect(config.socket), () => answers(config)]) {
    while (!(await ready())) {
      if (late()) return false;
      await sleep(env, LOOK_MS);
    }
  }
  return true;
}

/** Starts the process and waits until it serves. Throws one sentence that says why it does not. */
async function launch(options: DaemonOptions): Promise<Started> {
  const { config, logFile, env } = options;
  for (const file of [options.configFile, logFile, config.socket]) {
    await mkdir(dirname(file), { recursive: true });
  }
  await mkdir(config.cniConfDir, { recursive: true });
  rotateLog(logFile);
  rmSync(config.socket, { force: true });
  const [command = '', ...args] = commandOf(options);
  const log = openSync(logFile, 'a');
  const child = spawn(command, args, {
    detached: true,
    cwd: '/',
    stdio: ['ignore', log, log],
    env: { PATH: SYSTEM_PATH },
  });
  closeSync(log);
  const ended = new Promise<never>((_, reject) => {
    child.on('error', (error) => reject(new Error(`containerd cannot be started: ${error.message}`)));
    child.on('exit', (code, signal) => {
      const how = signal ?? `exit code ${code}`;
      reject(new Error(`containerd ended (${how}): ${lastWords(logFile)} (see ${logFile})`));
    });
  });
  ended.catch(() => undefined);
  const over = new AbortController();
  const serves = await Promise.race([ended, waitUntilServing(env, config, over.signal)]).finally(() => over.abort());
  const process = processRef(child.pid!) ?? (await ended);
  if (!serves) {
    await endProcess(process, 0);
    throw new Error(
      `containerd does not answer within ${START_TIMEOUT_MS / 1000} seconds: ${lastWords(logFile)} (see ${logFile})`,
    );
  }
  child.unref();
  return { process, child };
}

/**
 * Takes over the containerd that an earlier Coracle left running. One that has another configuration or does not answer is
 * ended, and every further one: the next could not open its database.
 */
async function takeOver({ config, configFile }: DaemonOptions, sameConfig: boolean): Promise<Started | undefined> {
  const [process, ...others] = findContainerds(dirname(configFile));
  if (!process) return undefined;
  if (others.length === 0 && sameConfig && (await canConnect(config.socket)) && (await answers(config))) {
    return { process, child: undefined };
  }
  await Promise.all([process, ...others].map((one) => endProcess(one, STOP_MS)));
  return undefined;
}

/** Calls back once when the process has ended; the returned function stops watching. */
function watchExit({ process, child }: Started, socket: string, onExit: () => void): () => void {
  if (child) {
    child.once('exit', onExit);
    return () => child.off('exit', onExit);
  }
  // Somebody else's child gives no exit event, but its connections break.
  let watching = true;
  const open = () => {
    const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
    session.unref();
    session.on('error', () => undefined);
    session.on('close', () => {
      if (watching && isAlive(process)) setTimeout(() => watching && open(), 100).unref();
      else if (watching) onExit();
    });
    return session;
  };
  const first = open();
  return () => {
    watching = false;
    first.destroy();
  };
}

class Supervisor implements ContainerdDaemon {
  private readonly options: DaemonOptions;
  private current: Started;
  private stopWatching: () => void = () => undefined;
  private readonly stopped = new AbortController();
  private restarting: Promise<void> = Promise.resolve();

  constructor(options: DaemonOptions, current: Started) {
    this.options = options;
    this.current = current;
    this.watch();
  }

  get process(): ProcessRef {
    return this.current.process;
  }

  private watch(): void {
    const since = this.options.env.clock.monotonic();
    this.stopWatching = watchExit(this.current, this.options.config.socket, () => {
      this.restarting = this.restart(since);
    });
  }

  private async restart(since: number): Promise<void> {
    const { env, logFile } = this.options;
    const { signal } = this.stopped;
    let wait = env.clock.monotonic() - since > STABLE_MS ? 0 : 1_000;
    env.log.warn('containerd ended; starting it again', { words: lastWords(logFile) });
    while (!signal.aborted) {
      try {
        if (wait > 0) await sleep(env, wait, { signal });
        this.current = await launch(this.options);
        return this.watch();
      } catch (error) {
        if (signal.aborted) return;
        env.log.error('cannot start containerd again', { error });
        wait = Math.min(Math.max(wait * 2, 1_000), MAX_BACKOFF_MS);
      }
    }
  }

  release(): void {
    this.stopWatching();
    this.stopped.abort();
  }

  async stop(): Promise<void> {
    this.release();
    await this.restarting;
    this.stopWatching();
    await endProcess(this.current.process, STOP_MS);
  }
}

/** Starts containerd, or takes over the one that runs. Rejects with one sentence when it cannot. */
export async function startDaemon(options: DaemonOptions): Promise<ContainerdDaemon> {
  const text = containerdConfig(options.config);
  await mkdir(dirname(options.configFile), { recursive: true });
  const before = await readFile(options.configFile, 'utf8').catch(() => '');
  const running = await takeOver(options, before === text);
  await writeFile(options.configFile, text);
  return new Supervisor(options, running ?? (await launch(options)));
}
