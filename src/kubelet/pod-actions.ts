// Carries out what a pod's plan asks for, besides starting containers. Each action tells its failure in an event and,
// where it must not be repeated at once, in a block.

import { aborted } from '../base/on-abort.ts';
import { sandboxConfig } from './container-config.ts';
import { decodeText } from './bytes.ts';
import { runHook } from './handlers.ts';
import { hostsFile, podHostname } from './hostname.ts';
import { removeLogs } from './log-rotation.ts';
import type { KillAction, PodAction, ResizeAction } from './plan-steps.ts';
import { containerNamed } from './pod-spec.ts';
import type { PodWork } from './pod-work.ts';
import { cgroupParent } from './resources.ts';
import { runtimeHandler } from './runtime-class.ts';
import type { EventOwner } from './runtime.ts';
import { SYNC_RETRY } from './start-container.ts';

const MOUNT_RETRY = { first: 500, last: 122_000 };
const REFRESH_RETRY = 30_000;
const SANDBOX_RETRY = { first: 1_000, last: 10_000 };
const LEAST_SECONDS = 2;
const HOSTS_BYTES = 1 << 20;

const retryIn = ({ first, last }: { first: number; last: number }, tries: number) => Math.min(first * 2 ** tries, last);

export async function mountVolumes(work: PodWork): Promise<void> {
  const failures = await work.volumes.setUp(work.pod.spec.volumes ?? [], work.volumeContext());
  if (failures.length === 0) {
    work.volumeState = 'ready';
    work.volumeTries = 0;
    work.blocks.delete('volumes');
    return;
  }
  for (const { volume, error } of failures) {
    const name = JSON.stringify(volume);
    work.note('Warning', 'FailedMount', `MountVolume.SetUp failed for volume ${name} : ${error.message}`);
  }
  const until = work.node.time.now() + retryIn(MOUNT_RETRY, work.volumeTries++);
  work.blocks.set('volumes', { reason: 'FailedMount', message: failures[0]!.error.message, until });
}

/** Brings live volumes up to date; what fails keeps its old content and is tried again later. */
export async function refreshVolumes(work: PodWork): Promise<void> {
  const failures = await work.volumes.refresh(work.pod, work.volumeContext());
  work.refreshAfter = failures.length ? work.node.time.now() + REFRESH_RETRY : 0;
  for (const { volume, error } of failures) {
    const name = JSON.stringify(volume);
    work.note('Warning', 'FailedMount', `MountVolume.SetUp failed for volume ${name} : ${error.message}`);
  }
}

export async function unmountVolumes(work: PodWork): Promise<void> {
  await work.volumes.tearDown();
  work.volumeState = 'released';
}

export async function createSandbox(
  work: PodWork,
  { attempt, changed }: Extract<PodAction, { do: 'createSandbox' }>,
  owner: EventOwner,
): Promise<void> {
  const { node, pod } = work;
  const { runtime, host, config } = node;
  if (changed) work.note('Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
  for (const { image, imagePullPolicy } of pod.spec.containers) {
    if (image && imagePullPolicy !== 'Always') node.images.prefetch(image);
  }
  try {
    const handler = await runtimeHandler(node.client, pod.spec.runtimeClassName);
    const warn = (reason: string, message: string) => work.note('Warning', reason, message);
    const wanted = { ...sandboxConfig(pod, attempt, config, node.machine.dns, warn), runtimeHandler: handler };
    await Promise.all([
      host.files.makeDirectory(wanted.logDirectory, 0o755),
      config.manageCgroups ? host.cgroups.apply(wanted.cgroupParent, work.resizer.limits(pod)) : undefined,
    ]);
    const id = await runtime.runSandbox(wanted);
    node.register(id, owner);
    const status = await runtime.sandboxStatus(id);
    if (!status) throw new Error(`sandbox ${id} is gone`);
    if (!pod.spec.hostNetwork && status.ips.length > 0) work.podIPs = status.ips;
    await writeHostsFile(work);
    work.runtime.putSandbox(status);
    work.sandboxTries = 0;
    work.blocks.delete('sandbox');
  } catch (error) {
    const { message } = error as Error;
    work.note('Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${message}`);
    const until = node.time.now() + retryIn(SANDBOX_RETRY, work.sandboxTries++);
    work.blocks.set('sandbox', { reason: 'FailedCreatePodSandBox', message, until });
  }
}

async function writeHostsFile(work: PodWork): Promise<void> {
  const { pod, node } = work;
  const { files } = node.host;
  const own = pod.spec.hostNetwork ? await files.read('/etc/hosts', HOSTS_BYTES) : undefined;
  const hostFile = pod.spec.hostNetwork ? decodeText(own ?? new Uint8Array()) : undefined;
  const text = hostsFile(pod, podHostname(pod, node.config.clusterDomain), work.addresses.podIPs, hostFile);
  await files.write(`${work.directory}/etc-hosts`, text, 0o644);
}

export async function stopSandbox(work: PodWork, id: string): Promise<void> {
  const { env, runtime } = work.node;
  try {
    await runtime.stopSandbox(id);
    work.runtime.markStopped(id);
  } catch (error) {
    const { message } = error as Error;
    work.note('Warning', 'FailedKillPod', `error killing pod: ${message}`);
    await new Promise<void>((resolve) => void env.clock.setTimer(SANDBOX_RETRY.first, resolve));
  }
}

export async function removeSandbox(work: PodWork, id: string): Promise<void> {
  await work.node.runtime.removeSandbox(id);
  work.node.unregister(id);
  work.runtime.removeSandbox(id);
}

export async function removeContainer(work: PodWork, id: string): Promise<void> {
  const { host, runtime } = work.node;
  const known = work.runtime.find(id);
  await runtime.removeContainer(id);
  work.forget(id);
  if (!known) return;
  await host.files.remove(work.messageFile(known.name, known.attempt));
  await removeLogs(work.node, `${work.logDirectory}/${known.logPath}`);
}

/** preStop, stop signal, and the kill when the grace is over. `signal` aborts it in favour of a shorter grace. */
export async function killContainer(work: PodWork, action: KillAction, signal: AbortSignal): Promise<void> {
  const { env, runtime } = work.node;
  const { id, name, graceSeconds } = action;
  const began = env.clock.monotonic();
  work.note('Normal', 'Killing', action.message, name);
  await preStop(work, action, signal);
  if (signal.aborted) return;
  const left = graceSeconds - Math.ceil((env.clock.monotonic() - began) / 1000);
  work.stopping.add(id);
  try {
    await runtime.stopContainer(id, Math.max(left, Math.min(LEAST_SECONDS, graceSeconds)));
  } finally {
    work.stopping.delete(id);
  }
  if (!signal.aborted) await work.refresh(id, true);
}

async function preStop(work: PodWork, { id, name, graceSeconds }: KillAction, signal: AbortSignal): Promise<void> {
  const { env, runtime, host } = work.node;
  const container = containerNamed(work.pod, name)?.container;
  const handler = container?.lifecycle?.preStop;
  if (!container || !handler || graceSeconds === 0 || work.runtime.find(id)?.state !== 'running') return;
  const ended = new AbortController();
  const late = new Promise<void>((resolve) => {
    const timer = env.clock.setTimer(graceSeconds * 1000, resolve);
    ended.signal.addEventListener('abort', () => timer.cancel());
  });
  const hook = runHook(handler, {
    runtime,
    prober: host.prober,
    env,
    container,
    id,
    podIP: work.addresses.podIPs[0] ?? '',
    timeoutSeconds: graceSeconds,
    signal: AbortSignal.any([signal, ended.signal]),
  }).catch((error: Error) => {
    if (signal.aborted || ended.signal.aborted) return;
    env.log.warn('preStop hook failed', { pod: work.pod.metadata.name, container: name, why: error.message });
    work.note('Warning', 'FailedPreStopHook', 'PreStopHook failed', name);
  });
  await Promise.race([hook, late, aborted(signal)]);
  ended.abort(new Error('the grace period is over'));
}

/** Brings a running container to the resources it is to have. A failure is told in the pod's condition. */
export async function resizeContainer(work: PodWork, { key, id, container }: ResizeAction): Promise<void> {
  try {
    await work.resizer.update(work.pod, container, id);
    work.blocks.delete(key);
    work.node.freed();
  } catch (error) {
    const { message } = error as Error;
    work.blocks.set(key, { reason: 'Error', message, until: work.node.time.now() + SYNC_RETRY });
  }
}

/** Removes what is left of a pod that is gone from the API: sandboxes with their containers, files, cgroup, logs. */
export async function destroyPod(work: PodWork): Promise<void> {
  const { node, pod } = work;
  const { host, config } = node;
  for (const { id } of work.runtime.sandboxes) await removeSandbox(work, id);
  for (const { id } of work.runtime.all()) work.forget(id);
  if (config.manageCgroups) await host.cgroups.remove(cgroupParent(config.cgroupRoot, pod));
  await host.files.remove(work.directory);
  if (config.memoryDirectory) await host.files.remove(`${config.memoryDirectory}/${work.uid}`);
  await host.files.remove(work.logDirectory);
}
