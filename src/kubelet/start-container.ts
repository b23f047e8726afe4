// Starts one container: image, configuration, create, start, postStart hook; each failure with upstream's reason.

import type { Container, EphemeralContainer } from '../api/generated/core-v1.ts';
import { aborted } from '../base/on-abort.ts';
import { containerConfig, sandboxConfig } from './container-config.ts';
import { makeEnvironment, type EnvEntry } from './environment.ts';
import { runHook } from './handlers.ts';
import type { Span } from '../base/trace.ts';
import type { ReadyImage } from './images.ts';
import type { StartAction } from './plan-steps.ts';
import type { PodWork } from './pod-work.ts';
import { pullSecrets } from './pull-secrets.ts';
import type { ContainerConfig, ContainerStatus, EventOwner, Mount } from './runtime.ts';
import { serviceEnvironment } from './service-env.ts';
import { StartFailure } from './start-failure.ts';

/** Upstream's pause before a pod that failed to sync is tried again. */
export const SYNC_RETRY = 10_000;

/** Resolves when the container runs and its hook is done, when it failed (told in a block), or when `signal` aborts. */
export async function startContainer(
  work: PodWork,
  action: StartAction,
  owner: EventOwner,
  signal: AbortSignal,
  span?: Span,
): Promise<void> {
  const { name } = action.target.container;
  try {
    await begin(work, action, owner, signal, span);
    work.blocks.delete(name);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof StartFailure)) throw error;
    const { reason, message, retry } = error;
    const text = IMAGE_REASONS.has(reason) ? reason : message;
    work.note('Warning', 'Failed', `Error: ${text}`, name);
    const now = work.node.time.now();
    work.blocks.set(name, {
      reason,
      message,
      until: now + (retry.delay ?? SYNC_RETRY),
      ...(retry.later
        ? { later: { at: now + retry.later.after, reason: retry.later.reason, message: retry.later.message } }
        : {}),
    });
  }
}

const IMAGE_REASONS = new Set(['ErrImagePull', 'ErrImageNeverPull', 'InvalidImageName', 'ImageInspectError']);

async function begin(
  work: PodWork,
  action: StartAction,
  owner: EventOwner,
  signal: AbortSignal,
  span: Span | undefined,
): Promise<void> {
  let began = span?.now() ?? 0;
  const passed = (phase: string) => {
    span?.phase(phase, began);
    began = span?.now() ?? 0;
  };
  const { node } = work;
  const { runtime, images, env } = node;
  const { container } = action.target;
  const { name } = container;
  const sandbox = work.runtime.sandbox!;
  const ready = await unlessAborted(
    images.ensure({
      container,
      secrets: () => pullSecrets(work),
      backoffs: work.pulls,
      note: (type, reason, message) => work.note(type, reason, message, name),
    }),
    signal,
  );
  passed('PullImage');
  const config = await unlessAborted(configure(work, action, ready), signal);
  const podConfig = sandboxConfig(work.pod, sandbox.attempt, node.config, node.machine.dns, () => {});
  const id = await step(
    'CreateContainerError',
    () => runtime.createContainer(sandbox.id, config, podConfig),
    () => images.forget(ready.reference),
  );
  passed('CreateContainer');
  const made = createdStatus(id, sandbox.id, config, ready, env.clock.now());
  work.adopt(made, owner);
  if (signal.aborted) {
    await runtime.removeContainer(id);
    return work.forget(id);
  }
  work.note('Normal', 'Created', 'Container created', name);
  try {
    await step('RunContainerError', () => runtime.startContainer(id));
  } catch (error) {
    await work.refresh(id);
    throw error;
  }
  passed('StartContainer');
  work.note('Normal', 'Started', 'Container started', name);
  const { postStart } = container.lifecycle ?? {};
  if (postStart) {
    await afterStart(work, container, id, signal);
    passed('PostStartHook');
  }
  await work.refresh(id);
}

/** Until the hook is done the container does not count as running, so nothing else looks at it. */
async function afterStart(
  work: PodWork,
  container: Container | EphemeralContainer,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const { runtime, env, host } = work.node;
  const hook = runHook(container.lifecycle!.postStart!, {
    runtime,
    prober: host.prober,
    env,
    container,
    id,
    podIP: work.addresses.podIPs[0] ?? '',
    timeoutSeconds: 0,
    signal,
  });
  try {
    await Promise.race([hook, aborted(signal)]);
  } catch (error) {
    if (signal.aborted) return;
    const why = (error as Error).message;
    env.log.warn('postStart hook failed', { pod: work.pod.metadata.name, container: container.name, why });
    work.note('Warning', 'FailedPostStartHook', 'PostStartHook failed', container.name);
    work.note('Normal', 'Killing', 'FailedPostStartHook', container.name);
    await runtime.stopContainer(id, work.pod.spec.terminationGracePeriodSeconds ?? 30);
    await work.refresh(id);
    throw new StartFailure('PostStartHookError', why);
  }
}

/** Leaves off waiting for what may take long (a pull goes on for others) once the pod is to stop. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

async function step<T>(reason: string, run: () => Promise<T>, failed?: () => void): Promise<T> {
  try {
    return await run();
  } catch (error) {
    failed?.();
    throw new StartFailure(reason, (error as Error).message);
  }
}

async function configure(work: PodWork, action: StartAction, ready: ReadyImage): Promise<ContainerConfig> {
  const { pod, node } = work;
  const { container, kind } = action.target;
  try {
    const env = await environment(work, container);
    const values = new Map(env.map((e) => [e.key, e.value]));
    const mounts = await work.volumes.mounts(container, (key) => values.get(key));
    const target = kind === 'ephemeral' ? (container as EphemeralContainer).targetContainerName : undefined;
    return containerConfig({
      pod,
      container,
      attempt: action.attempt,
      image: ready.image,
      reference: ready.reference,
      env,
      mounts: [...mounts, ...(await ownMounts(work, container, action.attempt, mounts))],
      targetId: target ? work.runtime.current(target)?.id : undefined,
      memoryCapacity: node.machine.memoryBytes,
    });
  } catch (error) {
    throw new StartFailure('CreateContainerConfigError', (error as Error).message);
  }
}

async function environment(work: PodWork, container: Container | EphemeralContainer): Promise<EnvEntry[]> {
  const { pod, node } = work;
  await node.services.synced;
  const links = pod.spec.enableServiceLinks ?? true;
  return makeEnvironment({
    pod,
    container,
    objects: work.objects,
    addresses: work.addresses,
    allocatable: node.allocatable,
    services: serviceEnvironment(pod.metadata.namespace!, links, node.services),
    skipped: (source, keys) => {
      const text = `Keys [${keys.join(', ')}] from the EnvFrom ${source} were skipped`;
      const why = 'since they are considered invalid environment variable names.';
      work.note('Warning', 'InvalidEnvironmentVariableNames', `${text} ${why}`, container.name);
    },
  });
}

/** The managed hosts file, unless the container brings its own, and the file of the termination message. */
async function ownMounts(
  work: PodWork,
  container: Container | EphemeralContainer,
  attempt: number,
  volumes: readonly Mount[],
): Promise<Mount[]> {
  const { files } = work.node.host;
  const mounts: Mount[] = [];
  const hosts = `${work.directory}/etc-hosts`;
  if (!volumes.some((m) => m.containerPath === '/etc/hosts') && (await files.kind(hosts))) {
    mounts.push({ containerPath: '/etc/hosts', hostPath: hosts, readonly: false, propagation: 'private' });
  }
  const containerPath = container.terminationMessagePath ?? '/dev/termination-log';
  if (containerPath) {
    const hostPath = work.messageFile(container.name, attempt);
    await files.write(hostPath, '', 0o666);
    mounts.push({ containerPath, hostPath, readonly: false, propagation: 'private' });
  }
  return mounts;
}

/** What is known of a container that has just been made, without asking. */
function createdStatus(
  id: string,
  sandboxId: string,
  config: ContainerConfig,
  { image, reference }: ReadyImage,
  now: number,
): ContainerStatus {
  return {
    id,
    sandboxId,
    name: config.name,
    attempt: config.attempt,
    state: 'created',
    createdAt: now,
    startedAt: 0,
    finishedAt: 0,
    exitCode: 0,
    reason: '',
    message: '',
    image: reference,
    imageId: image.id,
    logPath: config.logPath,
    labels: config.labels,
    annotations: config.annotations,
  };
}
