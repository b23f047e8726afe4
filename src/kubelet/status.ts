// A pod's whole status, purely: from its spec, what runs, probe results and the status written before.

import type { ContainerStatus, PodStatus, ResourceRequirements } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { rfc3339 } from '../base/env.ts';
import { containerStatus } from './container-status.ts';
import type { ProbeVerdict, Waiting } from './plan-steps.ts';
import { anyAppStarted, podConditions, type ResizeState } from './pod-conditions.ts';
import { podPhase } from './pod-phase.ts';
import type { PodRuntime } from './pod-runtime.ts';
import { containersOf, isTerminal, qosClassOf, statusNamed, type ContainerKind } from './pod-spec.ts';

export interface StatusInput {
  readonly pod: Pod;
  readonly now: number;
  readonly runtime: PodRuntime;
  /** e.g. `containerd`, for container IDs. */
  readonly runtimeName: string;
  readonly verdict: (containerId: string) => ProbeVerdict;
  readonly waiting: ReadonlyMap<string, Waiting>;
  /** Termination messages by container ID. */
  readonly messages: ReadonlyMap<string, string>;
  /** The status as last written, or as the API has it. */
  readonly previous: PodStatus | undefined;
  readonly hostIPs: readonly string[];
  /** The pod's addresses, known from its sandbox; kept after the sandbox is gone. */
  readonly podIPs: readonly string[];
  /** What a running container runs with, where that may differ from the spec. */
  readonly actualResources?: (id: string) => ResourceRequirements | undefined;
  readonly resize?: ResizeState;
  /** Nothing runs any more and nothing will. */
  readonly terminal: boolean;
  /** The pod was failed by the kubelet: deadline, eviction. */
  readonly failed: Waiting | undefined;
}

export function podStatus(input: StatusInput): PodStatus {
  const { pod, previous, runtime } = input;
  const seen = statusesByKind(input);
  const phase = phaseOf(input, [...seen.init, ...seen.app]);
  const byKind = input.terminal ? finalStatuses(pod, seen) : seen;
  const reasons = reasonOf(input, phase);
  const hostIPs = input.hostIPs.map((ip) => ({ ip }));
  const podIPs = (pod.spec.hostNetwork ? input.hostIPs : input.podIPs).map((ip) => ({ ip }));
  const { conditions: _c, reason: _r, message: _m, ...kept } = pod.status ?? {};
  const status: PodStatus = {
    ...kept,
    containerStatuses: byKind.app,
    ...(byKind.ephemeral.length ? { ephemeralContainerStatuses: byKind.ephemeral } : {}),
    ...(hostIPs.length ? { hostIP: hostIPs[0]!.ip, hostIPs } : {}),
    ...(byKind.init.length ? { initContainerStatuses: byKind.init } : {}),
    ...reasons,
    ...(pod.metadata.generation ? { observedGeneration: pod.metadata.generation } : {}),
    phase,
    ...(podIPs.length ? { podIP: podIPs[0]!.ip, podIPs } : {}),
    qosClass: qosClassOf(pod),
    startTime: previous?.startTime ?? rfc3339(input.now),
  };
  const networkReady =
    runtime.sandbox?.state === 'ready' && (pod.spec.hostNetwork === true || runtime.sandbox.ips.length > 0);
  return { ...status, conditions: podConditions(pod, status, previous, networkReady, input.now, input.resize) };
}

/** The status of a pod this node does not take. */
export function rejectedStatus(pod: Pod, reason: string, message: string, now: number): PodStatus {
  return {
    ...(pod.status?.conditions ? { conditions: pod.status.conditions } : {}),
    ...(pod.metadata.generation ? { observedGeneration: pod.metadata.generation } : {}),
    message: `Pod was rejected: ${message}`,
    phase: 'Failed',
    qosClass: qosClassOf(pod),
    reason,
    startTime: pod.status?.startTime ?? rfc3339(now),
  };
}

type ByKind = Record<'init' | 'app' | 'ephemeral', ContainerStatus[]>;

function statusesByKind(input: StatusInput): ByKind {
  const { pod, previous } = input;
  const out: ByKind = { init: [], app: [], ephemeral: [] };
  const waiting = pod.spec.initContainers?.length ? 'PodInitializing' : 'ContainerCreating';
  const groups: Record<ContainerKind, [ContainerStatus[], ContainerStatus[] | undefined]> = {
    init: [out.init, previous?.initContainerStatuses],
    sidecar: [out.init, previous?.initContainerStatuses],
    app: [out.app, previous?.containerStatuses],
    ephemeral: [out.ephemeral, previous?.ephemeralContainerStatuses],
  };
  for (const target of containersOf(pod)) {
    const [list, before] = groups[target.kind];
    list.push(containerStatus(input, target, statusNamed(before, target.container.name), waiting));
  }
  out.app.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return out;
}

/**
 * A pod never leaves a terminal phase, and enters one only when nothing of it runs: whoever sees `Succeeded` or
 * `Failed` may count on its resources being free.
 */
function phaseOf(input: StatusInput, statuses: readonly ContainerStatus[]): string {
  for (const known of [input.previous?.phase, input.pod.status?.phase]) if (isTerminal(known)) return known!;
  if (input.terminal && input.failed) return 'Failed';
  const phase = podPhase(input.pod, statuses, input.terminal);
  if (input.terminal) return isTerminal(phase) ? phase : 'Failed';
  return isTerminal(phase) ? (input.previous?.phase ?? 'Pending') : phase;
}

function reasonOf(input: StatusInput, phase: string): { reason?: string; message?: string } {
  if (input.failed && input.terminal) return { message: input.failed.message, reason: input.failed.reason };
  const { reason, message, phase: before } = input.previous ?? {};
  if (before !== phase) return {};
  return { ...(message ? { message } : {}), ...(reason ? { reason } : {}) };
}

/** In a pod that is over, a container that should have run and left no trace counts as lost. */
function finalStatuses(pod: Pod, { init, app, ephemeral }: ByKind): ByKind {
  const lastInit = init.at(-1);
  const initialized = !lastInit || anyAppStarted(pod, app) || lastInit.state?.terminated?.exitCode === 0;
  const begun = init.findLastIndex((s) => s.state?.terminated || s.lastState?.terminated);
  return {
    init: init.map((s, i) => (i <= begun ? ended(s) : s)),
    app: initialized ? app.map(ended) : app,
    ephemeral,
  };
}

function ended(status: ContainerStatus): ContainerStatus {
  if (status.state?.terminated) return status;
  const message = 'The container could not be located when the pod was terminated';
  return { ...status, state: { terminated: { exitCode: 137, message, reason: 'ContainerStatusUnknown' } } };
}
