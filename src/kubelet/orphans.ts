// Cleans up sandboxes, files and cgroups of pods that are gone from the API: deleted while this kubelet was away.

import type { NodeContext } from './node-context.ts';
import { isAlive } from './pod-runtime.ts';
import type { ContainerStatus, SandboxStatus } from './runtime.ts';
import { PodVolumes } from './volumes/pod-volumes.ts';

/** Upstream gives containers of unknown pods one second. */
const GRACE_SECONDS = 1;

/** `known` tells the pods by UID that have a worker. Failures are logged; the next relist tries again. */
export async function removeOrphans(
  node: NodeContext,
  listing: { readonly sandboxes: readonly SandboxStatus[]; readonly containers: readonly ContainerStatus[] },
  known: { has(uid: string): boolean },
): Promise<void> {
  const orphans = listing.sandboxes.filter((s) => !known.has(s.pod.uid));
  await Promise.all(
    orphans.map(async (sandbox) => {
      try {
        await endSandbox(node, sandbox, listing.containers);
      } catch (error) {
        if (!node.signal.aborted) node.env.log.warn('cannot remove an orphaned sandbox', { id: sandbox.id, error });
      }
    }),
  );
  try {
    await removeFiles(node, known);
    if (node.config.manageCgroups) await removeCgroups(node, known);
  } catch (error) {
    if (!node.signal.aborted) node.env.log.warn('cannot remove what is left of deleted pods', { error });
  }
}

async function endSandbox(
  { runtime, env }: NodeContext,
  { id, pod }: SandboxStatus,
  containers: readonly ContainerStatus[],
): Promise<void> {
  env.log.info('removing an orphaned pod', { ...pod });
  const own = containers.filter((c) => c.sandboxId === id && isAlive(c));
  await Promise.all(own.map((c) => runtime.stopContainer(c.id, GRACE_SECONDS)));
  await runtime.stopSandbox(id);
  await runtime.removeSandbox(id);
}

async function removeFiles({ host, config }: NodeContext, known: { has(uid: string): boolean }): Promise<void> {
  const pods = `${config.rootDirectory}/pods`;
  for (const uid of await host.files.list(pods)) {
    if (known.has(uid)) continue;
    const disk = `${pods}/${uid}`;
    const memory = config.memoryDirectory ? `${config.memoryDirectory}/${uid}` : disk;
    await new PodVolumes(host, { disk, memory }).tearDown();
    await host.files.remove(disk);
    await host.files.remove(memory);
  }
  for (const name of await host.files.list(config.logsDirectory)) {
    const uid = name.split('_').at(-1)!;
    if (name.split('_').length === 3 && !known.has(uid)) await host.files.remove(`${config.logsDirectory}/${name}`);
  }
}

async function removeCgroups({ host, config }: NodeContext, known: { has(uid: string): boolean }): Promise<void> {
  for (const level of ['', '/burstable', '/besteffort']) {
    const parent = config.cgroupRoot + level;
    for (const name of await host.cgroups.children(parent)) {
      if (name.startsWith('pod') && !known.has(name.slice(3))) await host.cgroups.remove(`${parent}/${name}`);
    }
  }
}
