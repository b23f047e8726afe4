// The Platform of the command line on this machine: clusters as background processes, components as this process.

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import {
  UserError,
  type ClusterSelector,
  type Platform,
  type StepSink,
  type UpOptions,
  type UpResult,
} from '../cli/platform.ts';
import { createLogger, type LogLevel } from '../base/log.ts';
import { realEnv } from '../base/real-env.ts';
import type { Env } from '../base/env.ts';
import { httpTransport } from '../host/http-transport.ts';
import { kubeconfigPaths, readKubeconfig, removeContext, writeContext } from '../host/kubeconfig.ts';
import { logSink } from '../host/log-sink.ts';
import { chooseNodes } from './choose-nodes.ts';
import {
  contextOf,
  removeData,
  resultOf,
  startInBackground,
  statusOf,
  stopProcess,
  waitUntilReady,
  writeLogs,
} from './manager.ts';
import { networkOf, slotOf } from './networks.ts';
import { pathsOf, type ClusterPaths } from './paths.ts';
import { portFree } from './ports.ts';
import { withFigures } from './status-figures.ts';
import { readState, removeState, runningState, type ClusterState } from './state-file.ts';
import { CORACLE_VERSION, KUBERNETES_VERSION } from './version.ts';

const FIRST_PORT = 6443;
const LAST_PORT = 6543;

/** The script that runs the command line: what the background process is started with. */
const entry = () => process.argv[1] ?? fileURLToPath(import.meta.url);

async function choosePort(wanted: number | undefined): Promise<number> {
  if (wanted !== undefined) {
    if (await portFree(wanted)) return wanted;
    throw new UserError(`port ${wanted} is taken by another program: end it, or choose another with --port`);
  }
  for (let port = FIRST_PORT; port <= LAST_PORT; port++) if (await portFree(port)) return port;
  throw new UserError(`all ports from ${FIRST_PORT} to ${LAST_PORT} are taken: name a free one with --port`);
}

/** Where kubectl looks: the first file of $KUBECONFIG, or ~/.kube/config. */
const userKubeconfig = () => kubeconfigPaths(process.env, homedir())[0]!;

function loggedEnv(form: 'json' | 'text', level: LogLevel = 'info'): Env {
  return realEnv(createLogger({ level, sink: logSink(2, form) }));
}

/** Only what a command prints matters: its own warnings and errors. */
const commandEnv = () => loggedEnv('text', 'warn');

export function nodePlatform(): Platform {
  return {
    version: { coracle: CORACLE_VERSION, kubernetes: KUBERNETES_VERSION },
    up,
    foreground,
    down,
    delete: remove,
    status: async (cluster) => withFigures(await statusOf(cluster, health), commandEnv()),
    async kubeconfig(cluster, whom) {
      const { issueKubeconfig } = await import('./issue-kubeconfig.ts');
      return issueKubeconfig(commandEnv(), cluster.name, pathsOf(cluster), whom);
    },
    logs: (cluster, options, write, { signal }) => writeLogs(pathsOf(cluster), options, write, signal),
    async buildImage(options) {
      return (await import('./image-commands.ts')).buildImageFile(options);
    },
    async loadImage(cluster, file) {
      return (await import('./image-commands.ts')).loadImageFile(cluster, file);
    },
    async images(cluster) {
      return (await import('./image-commands.ts')).listImages(cluster);
    },
    async demo(what, write) {
      const demo = await import('./demo.ts');
      await (what === 'up' ? demo.demoUp(nodePlatform(), write) : demo.demoDown(nodePlatform(), write));
    },
    async component(name, flags, context) {
      await (await import('./components.ts')).runComponent(name, flags, context);
    },
  };
}

async function up(options: UpOptions, steps: StepSink): Promise<UpResult> {
  const paths = pathsOf(options);
  const running = runningState(paths.stateFile);
  if (running) {
    if (!running.ready) await waitUntilReady(paths);
    await mergeKubeconfig(options);
    return resultOf(await statusOf(options, health), false, undefined);
  }
  mkdirSync(paths.data, { recursive: true });
  const { nodes, notice } = await chooseNodes(options.nodes, paths.data, steps);
  // A cluster keeps its port, for kubeconfigs out there name it.
  const before = readState(paths.stateFile)?.port ?? savedPort(paths);
  const port = await choosePort(options.port ?? (before && (await portFree(before)) ? before : undefined));
  await startInBackground({ ...options, port }, nodes, entry(), steps);
  await mergeKubeconfig(options);
  return resultOf(await statusOf(options, health), true, notice);
}

function savedPort(paths: ClusterPaths): number | undefined {
  if (!existsSync(paths.adminKubeconfig)) return undefined;
  const port = /server: "?https:\/\/[^:]+:(\d+)/.exec(readFileSync(paths.adminKubeconfig, 'utf8'))?.[1];
  return port ? Number(port) : undefined;
}

async function foreground(options: UpOptions, steps: StepSink, { signal }: { signal: AbortSignal }): Promise<void> {
  const inBackground = process.send !== undefined;
  const tell = (message: object) => void (process.connected && process.send?.(message));
  const env = loggedEnv(inBackground ? 'json' : 'text');
  try {
    const paths = pathsOf(options);
    const running = runningState(paths.stateFile);
    if (running) throw new UserError(`cluster ${options.name} runs already as process ${running.pid}`);
    mkdirSync(paths.data, { recursive: true });
    const nodes = inBackground
      ? (options.nodes as 'real' | 'simulated')
      : (await chooseNodes(options.nodes, paths.data, steps)).nodes;
    const port = await choosePort(options.port);
    const { startCluster } = await import('./run-cluster.ts');
    const step: StepSink = inBackground ? (s) => tell({ type: 'step', ...s }) : steps;
    const { ended } = await startCluster({ ...options, env, paths, port, nodes }, step, { signal });
    tell({ type: 'ready' });
    await ended;
    removeState(paths.stateFile);
    // What is still under way, as a container's grace period, is nobody's any more.
    setTimeout(() => process.exit(), 200).unref();
  } catch (error) {
    if (!inBackground) throw error;
    env.log.error('the cluster did not start', { error });
    tell({ type: 'failed', message: error instanceof UserError ? error.message : explain(error) });
    process.exitCode = 1;
    // Servers that did come up would keep the process alive.
    setTimeout(() => process.exit(1), 200);
  }
}

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC') return 'the disk is full: make room and run the command again';
  return message;
}

async function down(cluster: ClusterSelector, steps: StepSink): Promise<boolean> {
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

async function remove(cluster: ClusterSelector, steps: StepSink): Promise<boolean> {
  const paths = pathsOf(cluster);
  const existed = existsSync(paths.data);
  const stopped = await down(cluster, steps);
  removeData(paths);
  await removeContext(commandEnv(), userKubeconfig(), contextOf(cluster.name));
  return existed || stopped;
}

async function mergeKubeconfig(cluster: ClusterSelector): Promise<void> {
  const name = contextOf(cluster.name);
  const access = readKubeconfig([pathsOf(cluster).adminKubeconfig]).access();
  const path = userKubeconfig();
  const makeCurrent = !existsSync(path) || !readKubeconfig([path]).currentContext;
  const { server, ca = '', cert = '', key = '' } = access;
  await writeContext(commandEnv(), path, { name, server, ca, cert, key }, { makeCurrent });
}

async function health(state: ClusterState) {
  const env = commandEnv();
  const cluster = { name: state.name, dataDir: state.dataDir };
  const access = readKubeconfig([pathsOf(cluster).adminKubeconfig]).access();
  const transport = httpTransport({ env, ...access });
  try {
    const { status, body } = await transport.raw(
      { method: 'GET', target: '/readyz?verbose', headers: {} },
      { signal: AbortSignal.timeout(2000) },
    );
    const lines = body
      .toString()
      .split('\n')
      .flatMap((line) => (/^\[([+-])\](\S+) (.*)$/.exec(line)?.slice(1) ? [line] : []));
    const checks = lines.map((line) => {
      const [, sign, name = '', text = ''] = /^\[([+-])\](\S+) (.*)$/.exec(line)!;
      return { name, healthy: sign === '+', message: sign === '+' ? '' : text };
    });
    return checks.length
      ? checks
      : [{ name: 'apiserver', healthy: status === 200, message: status === 200 ? '' : `answers ${status}` }];
  } catch (error) {
    return [{ name: 'apiserver', healthy: false, message: (error as Error).message }];
  } finally {
    transport.close();
  }
}
