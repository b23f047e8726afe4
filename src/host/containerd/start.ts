// One call from nothing to a running, empty node: containerd, the sandbox image and the runtime on top.

import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Env } from '../../base/env.ts';
import { isPureCgroupV2 } from '../cgroup-tree.ts';
import { criRuntime, type CriRuntime, type HostPorts } from '../cri/runtime.ts';
import { hostArchitecture } from '../images/build.ts';
import { loadImages } from '../images/load.ts';
import { buildPauseImage } from '../images/pause.ts';
import { shareFolder } from '../mounts.ts';
import { findProgram } from '../run.ts';
import { PAUSE_IMAGE, type ContainerdConfig, type HostFeatures } from './config.ts';
import { startDaemon, type ContainerdDaemon, type DaemonOptions } from './daemon.ts';

export interface ContainerdLocation {
  /** Images and snapshots; survives. */
  readonly dataDir: string;
  /** Everything else; short, for sockets live here. May be lost at a reboot. */
  readonly runDir: string;
  readonly logFile: string;
}

export interface ContainerdPaths {
  readonly root: string;
  readonly state: string;
  readonly socket: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly registryDir: string;
  readonly cniConfDir: string;
  readonly cniDataDir: string;
  readonly streamDir: string;
}

export function containerdPaths({ dataDir, runDir, logFile }: ContainerdLocation): ContainerdPaths {
  return {
    root: join(dataDir, 'root'),
    registryDir: join(dataDir, 'certs.d'),
    state: join(runDir, 'state'),
    socket: join(runDir, 'containerd.sock'),
    configFile: join(runDir, 'config.toml'),
    cniConfDir: join(runDir, 'cni'),
    cniDataDir: join(runDir, 'pod-network'),
    streamDir: join(runDir, 'io'),
    logFile,
  };
}

export interface StartContainerdOptions extends ContainerdLocation {
  readonly env: Env;
  /** An address of this node for the streaming server. Default 127.0.0.1. */
  readonly streamAddress?: string | undefined;
  /** Folders whose mounts containers must see, e.g. the kubelet's. Each becomes a shared mount where needed. */
  readonly sharedFolders?: readonly string[] | undefined;
  readonly hostPorts?: HostPorts | undefined;
  /** The OCI runtime to use by default. Default: crun, the quicker one, when it is there. */
  readonly defaultRuntime?: 'crun' | 'runc' | undefined;
}

export interface NodeContainerd {
  readonly paths: ContainerdPaths;
  readonly daemon: ContainerdDaemon;
  readonly runtime: CriRuntime;
  /** Ends this process's part: containerd and the containers live on. */
  release(): void;
}

const CAP_SYS_RESOURCE = 24n;

function hostFeatures(): HostFeatures {
  const read = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status'))?.[1] ?? '0';
  return {
    apparmor:
      read('/sys/module/apparmor/parameters/enabled').startsWith('Y') && findProgram('apparmor_parser') !== undefined,
    hugetlb: /\bhugetlb\b/.test(read('/sys/fs/cgroup/cgroup.controllers') || read('/proc/cgroups')),
    lowerOomScores: ((BigInt(`0x${capabilities}`) >> CAP_SYS_RESOURCE) & 1n) === 1n,
  };
}

/** Debian, Fedora and the CNI project each have their own place. */
export function cniBinDir(): string | undefined {
  return ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'].find((dir) => existsSync(join(dir, 'bridge')));
}

/** What it takes to start containerd on this machine. Throws a sentence when a program is missing. */
export function daemonOptions(options: StartContainerdOptions): DaemonOptions {
  const paths = containerdPaths(options);
  const binary = findProgram('containerd');
  if (!binary) throw new Error('containerd is not installed: apt-get install containerd');
  const bins = cniBinDir();
  if (!bins) throw new Error('the CNI plugins are not installed: apt-get install containernetworking-plugins');
  const features = hostFeatures();
  // On cgroup v2 crun raises a limit that only CAP_SYS_RESOURCE may raise.
  const quickest = isPureCgroupV2() && !features.lowerOomScores ? 'runc' : 'crun';
  const order = (options.defaultRuntime ?? quickest) === 'runc' ? ['runc', 'crun'] : ['crun', 'runc'];
  const runtimes = order.flatMap((name) => {
    const path = findProgram(name);
    return path === undefined ? [] : [{ name, binary: path }];
  });
  if (runtimes.length === 0) throw new Error('there is no OCI runtime: apt-get install crun');
  const config: ContainerdConfig = {
    root: paths.root,
    state: paths.state,
    socket: paths.socket,
    cniBinDirs: [bins],
    cniConfDir: paths.cniConfDir,
    registryDir: paths.registryDir,
    streamAddress: options.streamAddress ?? '127.0.0.1',
    runtimes,
    features,
  };
  const hideUnifiedCgroup = runtimes.some((runtime) => runtime.name === 'crun');
  const { configFile, logFile } = paths;
  return { env: options.env, config, binary, configFile, logFile, hideUnifiedCgroup };
}

async function ensurePauseImage(runtime: CriRuntime, { socket, state }: ContainerdPaths): Promise<void> {
  if (await runtime.imageStatus(PAUSE_IMAGE)) return;
  const archive = join(state, 'pause.tar');
  await buildPauseImage(archive, hostArchitecture());
  await loadImages({ socket, runtime }, archive);
  await rm(archive, { force: true });
}

/**
 * Starts a private containerd, or takes over the one that an earlier Coracle left running. Rejects with one sentence
 * that says what is wrong. The network is not ready before its configuration is written: see cni.ts.
 */
export async function startContainerd(options: StartContainerdOptions): Promise<NodeContainerd> {
  const { env } = options;
  const paths = containerdPaths(options);
  const launch = daemonOptions(options);
  for (const folder of options.sharedFolders ?? []) await shareFolder(folder);
  const daemon = await startDaemon(launch);
  const { socket, streamDir } = paths;
  await rm(streamDir, { recursive: true, force: true });
  const runtime = criRuntime({ env, socket, streamDir, hostPorts: options.hostPorts });
  const release = () => {
    daemon.release();
    runtime.close();
  };
  try {
    await ensurePauseImage(runtime, paths);
  } catch (error) {
    release();
    throw error;
  }
  return { paths, daemon, runtime, release };
}
