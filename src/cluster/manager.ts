// The life of a cluster as other processes see it: start it in the background, wait for it, stop it, ask how it is.
// The cluster itself is run-cluster.ts, in the process that `coracle up --foreground` is.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  UserError,
  type ClusterSelector,
  type ClusterStatus,
  type StepSink,
  type UpOptions,
  type UpResult,
} from '../cli/platform.ts';
import { rotateLog } from '../host/log-sink.ts';
import { lastWords } from './cluster-log.ts';
import { pathsOf, type ClusterPaths } from './paths.ts';
import { MALLOC, NODE_FLAGS } from './process-settings.ts';
import { removeIfEmpty } from './user-kubeconfig.ts';
import { readState, runningState, type ClusterState } from './state-file.ts';
import { startTicksOf } from '../host/processes.ts';

/** What the background process tells the one that started it. */
export type ChildMessage =
  | { readonly type: 'step'; readonly name: string; readonly seconds?: number; readonly detail?: string }
  | { readonly type: 'ready'; readonly notice: string | undefined }
  | { readonly type: 'failed'; readonly message: string };

export const contextOf = (name: string) => (name === 'coracle' ? 'coracle' : `coracle-${name}`);

/**
 * Starts the cluster in the background and resolves when it is ready, to what there is to tell about its nodes; `entry` is the
 * CLI's own script.
 */
export async function startInBackground(
  options: UpOptions,
  entry: string,
  steps: StepSink,
  signal?: AbortSignal,
): Promise<string | undefined> {
  signal?.throwIfAborted();
  const paths = pathsOf(options);
  mkdirSync(paths.logs, { recursive: true });
  rotateLog(paths.logFile);
  const log = openSync(paths.logFile, 'a');
  const args = ['up', '--foreground', '--name', options.name, '--store', options.store, '--nodes', options.nodes];
  args.push('--node-count', String(options.nodeCount));
  if (options.dataDir) args.push('--data-dir', options.dataDir);
  if (options.port) args.push('--port', String(options.port));
  if (!options.wait) args.push('--no-wait');
  if (options.logLevels) args.push('--log-levels', options.logLevels);
  const child = spawn(process.execPath, [...NODE_FLAGS, entry, ...args], {
    detached: true,
    cwd: '/',
    env: { ...MALLOC, ...process.env },
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const interrupt = () => child.kill('SIGTERM');
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    return await new Promise<string | undefined>((resolve, refuse) => {
      const interrupted = () => new UserError('interrupted: the cluster was not started', 130);
      const reject = (error: UserError) => refuse(signal?.aborted ? interrupted() : error);
      child.on('message', (message) => {
        const m = message as ChildMessage;
        if (m.type === 'step') steps(m);
        else if (m.type === 'ready') resolve(m.notice);
        else reject(new UserError(m.message));
      });
      child.on('error', (error) => reject(new UserError(`cannot start the cluster's process: ${error.message}`)));
      child.on('exit', (code, killedBy) => {
        reject(new UserError(`the cluster's process ended (${killedBy ?? `exit code ${code}`}): ${lastWords(paths)}`));
      });
    });
  } catch (error) {
    // Whoever cleans up after it must not do so beside it.
    const kill = setTimeout(() => child.kill('SIGKILL'), 5_000);
    if (child.pid !== undefined) await ended;
    clearTimeout(kill);
    throw error;
  } finally {
    signal?.removeEventListener('abort', interrupt);
    child.removeAllListeners();
    if (child.connected) child.disconnect();
    child.unref();
  }
}

/** Resolves once the cluster that is starting is ready; rejects when its process ends. */
export async function waitUntilReady(paths: ClusterPaths): Promise<ClusterState> {
  for (;;) {
    const state = runningState(paths.stateFile);
    if (!state) throw new UserError(`the cluster's process ended while it was starting: ${lastWords(paths)}`);
    if (state.ready) return state;
    await delay(50);
  }
}

/** Ends the cluster's process: asks first, kills after 20 seconds. False when it was not running. */
export async function stopProcess(paths: ClusterPaths): Promise<boolean> {
  const state = runningState(paths.stateFile);
  if (!state) return false;
  const alive = () => startTicksOf(state.pid) === state.startTicks;
  process.kill(state.pid, 'SIGTERM');
  for (let waited = 0; waited < 20_000 && alive(); waited += 20) await delay(20);
  if (alive()) {
    process.kill(state.pid, 'SIGKILL');
    while (alive()) await delay(20);
  }
  return true;
}

function residentBytes(pid: number): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    return pages * 4096;
  } catch {
    return 0;
  }
}

export async function statusOf(
  cluster: ClusterSelector,
  health: (state: ClusterState) => Promise<ClusterStatus['components']>,
): Promise<ClusterStatus> {
  const paths = pathsOf(cluster);
  const running = runningState(paths.stateFile);
  const last = running ?? readState(paths.stateFile);
  const state = running ? (running.ready ? 'running' : 'starting') : existsSync(paths.data) ? 'stopped' : 'absent';
  return {
    name: cluster.name,
    state,
    nodes: last?.nodes ?? 'real',
    server: running?.server ?? '',
    dataDir: paths.data,
    pid: running?.pid ?? 0,
    startedAt: running?.startedAt ?? 0,
    now: Date.now(),
    residentBytes: running ? residentBytes(running.pid) : 0,
    components: running ? await health(running) : [],
  };
}

export function resultOf(status: ClusterStatus, started: boolean, notice: string | undefined): UpResult {
  return { started, status, context: contextOf(status.name), notice };
}

/** What a cluster keeps in its data folder. */
const OWN = [
  'store',
  'pki',
  'logs',
  'containerd',
  'kubelet',
  'pod-logs',
  'admin.kubeconfig',
  'slot',
  'system-image.tar',
];

/** Removes what a stopped cluster keeps on disk, and nothing that others put beside it. */
export function removeData(paths: ClusterPaths): void {
  for (const name of OWN) rmSync(join(paths.data, name), { recursive: true, force: true });
  removeIfEmpty(paths.data);
  rmSync(paths.run, { recursive: true, force: true });
}
