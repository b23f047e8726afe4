// Makes containerd forget containers whose processes, mounts and network are gone already, without the slow way through
// the runtime interface, which would run the network plugins for each. Images stay.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Env } from '../../base/env.ts';
import { RuntimeError } from '../../kubelet/runtime.ts';
import { GrpcChannel } from '../rpc/grpc.ts';
import { startDaemon, type DaemonOptions } from './daemon.ts';
import { Containerd } from './messages.ts';
import { containerdPaths, daemonOptions, type ContainerdLocation } from './start.ts';

const COLLECTION = 'coracle-collection';

const ignore = (code: string) => (error: unknown) => {
  if (!(error instanceof RuntimeError) || error.code !== code) throw error;
};

async function removeAll(socket: string): Promise<void> {
  const channel = new GrpcChannel(socket, { 'containerd-namespace': 'k8s.io' });
  try {
    const { containers } = await channel.call(Containerd.listContainers, {});
    const removal = containers.map(async ({ id, snapshotter, snapshotKey: key }) => {
      await channel.call(Containerd.deleteContainer, { id }).catch(ignore('NOT_FOUND'));
      if (key !== '') await channel.call(Containerd.removeSnapshot, { snapshotter, key }).catch(ignore('NOT_FOUND'));
    });
    await Promise.all(removal);
    // Removed snapshots stay on the disk until the next collection; the end of a lease can wait for one.
    await channel.call(Containerd.createLease, { id: COLLECTION }).catch(ignore('ALREADY_EXISTS'));
    await channel.call(Containerd.deleteLease, { id: COLLECTION, sync: true });
  } finally {
    channel.close();
  }
}

/** The folders below containerd's root that stand for containers. */
async function containerFolders(root: string): Promise<string[]> {
  const parents = [
    'io.containerd.grpc.v1.cri/sandboxes',
    'io.containerd.grpc.v1.cri/containers',
    'io.containerd.runtime.v2.task/k8s.io',
  ].map((name) => join(root, name));
  const names = parents.map(async (parent) => {
    const children = await readdir(parent).catch(() => []);
    return children.map((child) => join(parent, child));
  });
  return (await Promise.all(names)).flat();
}

/** No containerd may run on that folder. Does nothing when there was no container. */
export async function forgetContainers(location: ContainerdLocation & { readonly env: Env }): Promise<void> {
  const { root } = containerdPaths(location);
  const folders = await containerFolders(root);
  if (folders.length === 0) return;
  const dir = join(location.runDir, 'forget');
  const usual = daemonOptions(location);
  const socket = join(dir, 'containerd.sock');
  const options: DaemonOptions = {
    ...usual,
    config: { ...usual.config, state: join(dir, 'state'), socket, storageOnly: true },
    configFile: join(dir, 'config.toml'),
    hideUnifiedCgroup: false,
  };
  await mkdir(dir, { recursive: true });
  try {
    const daemon = await startDaemon(options);
    try {
      await removeAll(socket);
    } finally {
      await daemon.stop();
    }
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
