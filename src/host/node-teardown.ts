// Leaves no trace of a node on the machine: containers, processes, mounts, cgroups, network, kernel settings. It works
// on whatever is there: a running node, one whose processes were all killed, one that never came up.

import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Env } from '../base/env.ts';
import { removeCgroup } from './cgroup-tree.ts';
import { networkName, removePodNetwork, type PodNetworkOptions } from './cni.ts';
import { findContainerds, findShims } from './containerd/daemon.ts';
import { forgetContainers } from './containerd/forget.ts';
import { containerdPaths, type ContainerdLocation, type ContainerdPaths } from './containerd/start.ts';
import { unmountBelow } from './mounts.ts';
import { endProcess, signalProcess } from './processes.ts';

export interface NodeParts extends ContainerdLocation {
  /** The cgroup all pods are in, e.g. `/coracle-demo`; never `/`. */
  readonly cgroupRoot: string;
  readonly network: PodNetworkOptions;
  /** The folders that were shared with containers: the kubelet's. They stay, unmounted. */
  readonly sharedFolders: readonly string[];
}

export interface TeardownOptions extends NodeParts {
  readonly env: Env;
}

/** Where the CNI library keeps results and the shims their sockets: fixed places, shared by everybody. */
const CNI_RESULTS = '/var/lib/cni/results';

/**
 * Takes a node away; images stay. Rejects with the first thing that resisted, after having tried everything else.
 */
export async function tearDownNode(options: TeardownOptions): Promise<void> {
  const { env, cgroupRoot, network, sharedFolders } = options;
  const paths = containerdPaths(options);
  const problems: unknown[] = [];
  const attempt = async (what: string, act: () => Promise<unknown>) => {
    try {
      await act();
    } catch (error) {
      env.log.warn(`cannot ${what}`, { error });
      problems.push(error);
    }
  };
  // containerd first: it would clean up after each container by itself, one program after the other.
  await attempt('end containerd', () => endContainerd(options.runDir));
  await attempt('end the shims', () => endShims(paths));
  await attempt('kill the containers', () => removeCgroup(cgroupRoot));
  await attempt('unmount', () => unmountBelow(paths.state, paths.root, ...sharedFolders));
  await attempt('remove what the network plugins keep', () => removeNetworkResults(network.bridge));
  await attempt('remove the pod network', () => removePodNetwork(network));
  const files = [paths.state, paths.socket, `${paths.socket}.ttrpc`, paths.streamDir, paths.configFile];
  for (const file of files) await attempt(`remove ${file}`, () => rm(file, { recursive: true, force: true }));
  await attempt('make containerd forget its containers', () => forgetContainers(options));
  if (problems.length > 0) throw problems[0];
}

/** A killed containerd loses nothing. */
async function endContainerd(runDir: string): Promise<void> {
  for (const one of findContainerds(runDir)) await endProcess(one, 0);
}

/** Shims that are left, and the sockets they listen on. */
async function endShims(paths: ContainerdPaths): Promise<void> {
  const bundles = join(paths.state, 'io.containerd.runtime.v2.task', 'k8s.io');
  const addresses = (await readdir(bundles).catch(() => [])).map((id) =>
    readFile(join(bundles, id, 'address'), 'utf8').catch(() => ''),
  );
  const shims = findShims(paths.socket);
  for (const shim of shims) signalProcess(shim, 'SIGKILL');
  for (const shim of shims) await endProcess(shim, 0);
  for (const address of await Promise.all(addresses)) {
    if (address.startsWith('unix:///run/containerd/s/')) await rm(address.slice('unix://'.length), { force: true });
  }
}

/** Files of the CNI library about sandboxes that are gone: ours by the network's name, and their loopback's. */
export async function networkResults(bridge: string): Promise<string[]> {
  const names = await readdir(CNI_RESULTS).catch(() => []);
  const ours = new RegExp(`^${networkName(bridge)}-([0-9a-f]+)-`);
  const ids = new Set(names.flatMap((name) => ours.exec(name)?.[1] ?? []));
  const isOurs = (name: string) => ids.has(/-([0-9a-f]{64})-/.exec(name)?.[1] ?? '');
  return names.filter(isOurs).map((name) => join(CNI_RESULTS, name));
}

async function removeNetworkResults(bridge: string): Promise<void> {
  for (const file of await networkResults(bridge)) await rm(file, { force: true });
}
