// The verbs of a cluster's life: up, down, delete, and the process that a cluster is. What fails half way is taken back.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseLogLevels } from '../base/log.ts';
import { UserError, type ClusterSelector, type StepSink, type UpOptions, type UpResult } from '../cli/platform.ts';
import { chooseNodes } from './choose-nodes.ts';
import { clusterHealth } from './cluster-health.ts';
import { commandEnv, loggedEnv } from './command-env.ts';
import { writableFolder } from './folders.ts';
import { withLock } from './lock.ts';
import {
  contextOf,
  removeData,
  resultOf,
  startInBackground,
  statusOf,
  stopProcess,
  waitUntilReady,
  type ChildMessage,
} from './manager.ts';
import { networkOf, slotOf } from './networks.ts';
import { dataRoot, pathsOf, runRoot, sysctlClaims, type ClusterPaths } from './paths.ts';
import { portFree } from './ports.ts';
import { readState, removeState, runningState, type ClusterState } from './state-file.ts';
import {
  addToUserKubeconfig,
  checkUserKubeconfig,
  removeFromUserKubeconfig,
  removeIfEmpty,
} from './user-kubeconfig.ts';

const FIRST_PORT = 6443;
const LAST_PORT = 6543;

/** The script that runs the command line: what the background process is started with. */
const entry = () => process.argv[1] ?? fileURLToPath(import.meta.url);

async function choosePort(wanted: number | undefined, paths: ClusterPaths): Promise<number> {
  if (wanted !== undefined) {
    if (await portFree(wanted)) return wanted;
    throw new UserError(`port ${wanted} is taken by another program: end it, or choose another with --port`);
  }
  // A cluster keeps its port, for kubeconfigs out there name it.
  const before = readState(paths.stateFile)?.port ?? savedPort(paths);
  if (before && (await portFree(before))) return before;
  for (let port = FIRST_PORT; port <= LAST_PORT; port++) if (await portFree(port)) return port;
  throw new UserError(`all ports from ${FIRST_PORT} to ${LAST_PORT} are taken: name a free one with --port`);
}

/** Starts the cluster, or finds it up. Rejects with a UserError when it cannot; then nothing of the attempt is left. */
export async function up(
  options: UpOptions,
  steps: StepSink,
  { signal }: { signal?: AbortSignal } = {},
): Promise<UpResult> {
  const paths = pathsOf(options);
  checkUserKubeconfig();
  return withLock(paths.stateFile, waitingFor(options, steps), async () => {
    const running = runningState(paths.stateFile);
    if (running && !running.ready) await waitUntilReady(paths);
    const notice = running ? undefined : await start(options, paths, steps, signal);
    await addToUserKubeconfig(commandEnv(), contextOf(options.name), paths.adminKubeconfig);
    return resultOf(await statusOf(options, clusterHealth), !running, notice);
  });
}

const waitingFor =
  ({ name }: ClusterSelector, steps: StepSink) =>
  () =>
    steps({ name: `waiting for another command that is at work on cluster ${name}` });

async function start(
  options: UpOptions,
  paths: ClusterPaths,
  steps: StepSink,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const fresh = !existsSync(paths.pki);
  const madeData = !existsSync(paths.data);
  try {
    makeFolders(paths);
    return await startInBackground(options, entry(), steps, signal);
  } catch (error) {
    await takeBack(options, paths, fresh || madeData);
    // The logs that the sentence leads to have gone with the rest.
    if (fresh && error instanceof UserError)
      throw new UserError(error.message.replaceAll(/ \(see [^)]*\)/g, ''), error.exitCode);
    throw error;
  }
}

/** After a start that failed: a new cluster leaves nothing, one of earlier its data. */
async function takeBack(cluster: ClusterSelector, paths: ClusterPaths, fresh: boolean): Promise<void> {
  try {
    await removeNode(cluster, paths, undefined);
    removeState(paths.stateFile);
    if (fresh) removeData(paths);
    prune();
  } catch (error) {
    commandEnv().log.warn('not everything could be taken back: coracle delete does the rest', { error });
  }
}

function makeFolders(paths: ClusterPaths): void {
  const root = process.getuid?.() === 0;
  const mine = root ? '' : 'set HOME or CORACLE_HOME to a folder of yours, or ';
  writableFolder(paths.data, `${mine}name another folder with --data-dir`);
  const hint = 'set XDG_RUNTIME_DIR to a folder of yours';
  writableFolder(paths.run, hint);
  // Below /tmp anybody could have made it before.
  if (!root && process.getuid && statSync(runRoot()).uid !== process.getuid())
    throw new UserError(`${runRoot()} belongs to somebody else: ${hint}`);
}

function savedPort(paths: ClusterPaths): number | undefined {
  if (!existsSync(paths.adminKubeconfig)) return undefined;
  const port = /server: "?https:\/\/[^:]+:(\d+)/.exec(readFileSync(paths.adminKubeconfig, 'utf8'))?.[1];
  return port ? Number(port) : undefined;
}

/** Runs the cluster in this process until the signal aborts. */
export async function foreground(
  options: UpOptions,
  steps: StepSink,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const inBackground = process.send !== undefined;
  const tell = (message: ChildMessage) => void (process.connected && process.send?.(message));
  const step: StepSink = inBackground ? (s) => tell({ type: 'step', ...s }) : steps;
  const env = loggedEnv(
    inBackground ? 'json' : 'text',
    'info',
    options.logLevels ? parseLogLevels(options.logLevels) : {},
  );
  const { exportSpans, tracingEnvironment } = await import('./tracing.ts');
  const flush = exportSpans(env, tracingEnvironment(process.env));
  const paths = pathsOf(options);
  const fresh = !existsSync(paths.pki);
  const begin = async () => {
    const running = runningState(paths.stateFile);
    if (running) throw new UserError(`cluster ${options.name} runs already as process ${running.pid}`);
    makeFolders(paths);
    // While the machine is tried out, what a cluster is made of is loaded.
    const [choice, port, { startCluster }] = await Promise.all([
      chooseNodes(options.nodes, paths.data, step),
      choosePort(options.port, paths),
      import('./run-cluster.ts'),
    ]);
    const { nodes } = choice;
    const { ended } = await startCluster({ ...options, env, paths, port, nodes }, step, { signal });
    return { ended, notice: choice.notice };
  };
  try {
    // The command that started this process holds the lock for it.
    if (inBackground) process.once('disconnect', orphaned);
    const started = inBackground ? begin() : withLock(paths.stateFile, waitingFor(options, steps), begin);
    const { ended, notice } = await started;
    process.off('disconnect', orphaned);
    tell({ type: 'ready', notice });
    await ended;
    await flush();
    removeState(paths.stateFile);
    // What is still under way, as a container's grace period, is nobody's any more.
    setTimeout(() => process.exit(), 200).unref();
  } catch (error) {
    const message = error instanceof UserError ? error.message : explain(error, paths);
    if (!inBackground) {
      if (!(error instanceof UserError)) env.log.error('the cluster did not start', { error });
      if (!runningState(paths.stateFile)?.ready) await takeBack(options, paths, fresh);
      throw new UserError(message);
    }
    env.log.error('the cluster did not start', { error });
    tell({ type: 'failed', message });
    process.exitCode = 1;
    // Servers that did come up would keep the process alive.
    setTimeout(() => process.exit(1), 200);
  }
}

/** The command that started this process, and held the lock for it, was killed: the next one must find nobody at work. */
const orphaned = () => process.exit(1);

function explain(error: unknown, { data }: ClusterPaths): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || message.includes('ENOSPC') || message.includes('No space left on device'))
    return `the disk of ${data} is full: make room and run the command again`;
  return message;
}

/** Stops the cluster; its data stays. False when there was nothing to stop. */
export function down(cluster: ClusterSelector, steps: StepSink): Promise<boolean> {
  return withLock(pathsOf(cluster).stateFile, waitingFor(cluster, steps), () => stop(cluster, steps));
}

async function stop(cluster: ClusterSelector, steps: StepSink): Promise<boolean> {
  const paths = pathsOf(cluster);
  const known = readState(paths.stateFile);
  const began = performance.now();
  const stopped = await stopProcess(paths);
  const removed = await removeNode(cluster, paths, known);
  removeState(paths.stateFile);
  if (stopped || removed) steps({ name: 'stopped', seconds: (performance.now() - began) / 1000 });
  return stopped || removed;
}

/** Takes a real node's traces off the machine, also after the process was killed. False when there were none. */
async function removeNode(
  cluster: ClusterSelector,
  paths: ClusterPaths,
  state: ClusterState | undefined,
): Promise<boolean> {
  const slot = slotOf(paths);
  if (process.getuid?.() !== 0 || slot === undefined || state?.nodes === 'simulated') return false;
  const [{ nodeParts, removeRealNode }, { findLeftovers }] = await Promise.all([
    import('./real-node.ts'),
    import('../host/leftovers.ts'),
  ]);
  const network = networkOf(slot);
  const left = await findLeftovers(nodeParts(cluster.name, paths, network));
  if (left.length === 0) return false;
  await removeRealNode(commandEnv(), cluster.name, paths, network);
  return true;
}

/** Stops the cluster and removes everything it left. False when it did not exist. */
export function remove(cluster: ClusterSelector, steps: StepSink): Promise<boolean> {
  const paths = pathsOf(cluster);
  return withLock(paths.stateFile, waitingFor(cluster, steps), async () => {
    const existed = existsSync(paths.pki) || existsSync(join(paths.data, 'slot'));
    const stopped = await stop(cluster, steps);
    removeData(paths);
    prune();
    await removeFromUserKubeconfig(commandEnv(), contextOf(cluster.name));
    return existed || stopped;
  });
}

/** Folders that clusters share go with the last of them. */
export function prune(): void {
  const claims = sysctlClaims();
  for (const folder of [claims, dirname(claims), runRoot(), dataRoot()]) removeIfEmpty(folder);
}
