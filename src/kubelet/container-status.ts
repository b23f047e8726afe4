// Container statuses as the API shows them, from what the runtime knows and from the status written before.

import type {
  Container,
  ContainerState,
  ContainerStatus as ApiStatus,
  EphemeralContainer,
  ResourceRequirements,
  VolumeMountStatus,
} from '../api/generated/core-v1.ts';
import { rfc3339 } from '../base/env.ts';
import type { Waiting } from './plan-steps.ts';
import { isAlive } from './pod-runtime.ts';
import { restartsAfter, type SpecContainer } from './pod-spec.ts';
import type { StatusInput } from './status.ts';
import type { ContainerStatus } from './runtime.ts';

/** `previous` is the status of this container as last written. */
export function containerStatus(
  input: StatusInput,
  target: SpecContainer,
  previous: ApiStatus | undefined,
  defaultWaiting: string,
): ApiStatus {
  const { container, kind } = target;
  const [latest, before] = input.runtime.instances(container.name);
  const base = latest ? known(input, latest, before, previous) : unknown(container, previous, defaultWaiting);
  const status = withWaiting(input, target, latest, base);
  const started = isStarted(input, target, latest);
  return {
    ...status,
    ...(latest ? resourcesOf(container, input.actualResources?.(latest.id)) : {}),
    ...(latest ? mountsOf(container) : {}),
    ready: isReady(input, target, latest, started),
    ...(kind === 'ephemeral' ? {} : { started }),
  };
}

function known(
  input: StatusInput,
  latest: ContainerStatus,
  before: ContainerStatus | undefined,
  previous: ApiStatus | undefined,
): ApiStatus {
  return {
    // Only what has run has to be found again: a start that is interrupted is made anew.
    ...(latest.state === 'created' ? {} : { containerID: `${input.runtimeName}://${latest.id}` }),
    image: latest.image,
    imageID: latest.imageId,
    lastState: lastState(input, latest, before, previous),
    name: latest.name,
    ready: false,
    restartCount: latest.attempt,
    state: stateOf(input, latest),
  };
}

/** The state before the latest: a dead instance the runtime still has, or what the API remembers of it. */
function lastState(
  input: StatusInput,
  latest: ContainerStatus,
  before: ContainerStatus | undefined,
  previous: ApiStatus | undefined,
): ContainerState {
  if (before) return before.state === 'exited' ? stateOf(input, before) : {};
  if (!previous || latest.attempt === 0) return {};
  if (previous.containerID === `${input.runtimeName}://${latest.id}`) return previous.lastState ?? {};
  return previous.state?.terminated ? { terminated: previous.state.terminated } : (previous.lastState ?? {});
}

function stateOf(input: StatusInput, instance: ContainerStatus): ContainerState {
  if (instance.state === 'created') return { waiting: { reason: 'ContainerCreating' } };
  if (instance.state !== 'exited') return { running: { startedAt: rfc3339(instance.startedAt) } };
  const message = input.messages.get(instance.id) || instance.message;
  const at = (ms: number) => (ms > 0 ? rfc3339(ms) : rfc3339(instance.createdAt));
  return {
    terminated: {
      containerID: `${input.runtimeName}://${instance.id}`,
      exitCode: instance.exitCode,
      finishedAt: at(instance.finishedAt),
      ...(message ? { message } : {}),
      reason: instance.reason || (instance.exitCode === 0 ? 'Completed' : 'Error'),
      startedAt: at(instance.startedAt),
    },
  };
}

/** A container the runtime does not know: not made yet, or gone behind our back. */
function unknown(
  container: Container | EphemeralContainer,
  previous: ApiStatus | undefined,
  defaultWaiting: string,
): ApiStatus {
  const bare: ApiStatus = {
    image: container.image ?? '',
    imageID: '',
    lastState: {},
    name: container.name,
    ready: false,
    restartCount: 0,
    state: { waiting: { reason: defaultWaiting } },
  };
  if (!previous) return bare;
  const { restartCount, lastState = {}, state } = previous;
  if (!previous.containerID) return { ...bare, restartCount, lastState };
  if (state?.terminated) {
    // Its record was collected after it had ended; what was written stays true.
    return { ...previous, ready: false };
  }
  const lost: ContainerState = {
    terminated: {
      exitCode: 137,
      message: 'The container could not be located when the pod was deleted.  The container used to be Running',
      reason: 'ContainerStatusUnknown',
    },
  };
  return { ...bare, restartCount: restartCount + 1, lastState: state?.running ? lost : lastState };
}

/** A container that is to run but does not shows why it waits; how it ended moves to lastState. */
function withWaiting(
  input: StatusInput,
  target: SpecContainer,
  latest: ContainerStatus | undefined,
  status: ApiStatus,
): ApiStatus {
  const waiting = input.terminal ? undefined : input.waiting.get(target.container.name);
  if (!waiting || (latest && isAlive(latest))) return status;
  if (latest?.state === 'exited' && !restartsAfter(input.pod, target, latest.exitCode)) return status;
  const { terminated } = status.state ?? {};
  return {
    ...status,
    ...(terminated ? { lastState: { terminated } } : {}),
    state: { waiting: waitingState(waiting) },
  };
}

const waitingState = ({ reason, message }: Waiting) => (message ? { message, reason } : { reason });

function isStarted(input: StatusInput, { container }: SpecContainer, latest: ContainerStatus | undefined): boolean {
  if (latest?.state !== 'running') return false;
  return !container.startupProbe || input.verdict(latest.id).startup === true;
}

function isReady(
  input: StatusInput,
  { container, kind }: SpecContainer,
  latest: ContainerStatus | undefined,
  started: boolean,
): boolean {
  if (kind === 'init') return latest?.state === 'exited' && latest.exitCode === 0;
  if (kind === 'ephemeral' || !started || !latest) return false;
  return !container.readinessProbe || input.verdict(latest.id).readiness === true;
}

function resourcesOf(
  container: Container | EphemeralContainer,
  actual: ResourceRequirements | undefined,
): Partial<ApiStatus> {
  const allocated = container.resources?.requests;
  const { limits, requests } = actual ?? container.resources ?? {};
  return {
    ...(allocated ? { allocatedResources: allocated } : {}),
    resources: { ...(limits ? { limits } : {}), ...(requests ? { requests } : {}) },
  };
}

function mountsOf(container: Container | EphemeralContainer): Partial<ApiStatus> {
  const mounts = container.volumeMounts ?? [];
  if (!mounts.length) return {};
  return {
    volumeMounts: mounts.map((m): VolumeMountStatus => ({
      mountPath: m.mountPath,
      name: m.name,
      ...(m.readOnly ? { readOnly: true, recursiveReadOnly: 'Disabled' } : {}),
    })),
  };
}
