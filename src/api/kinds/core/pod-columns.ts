// The row of a pod as `kubectl get pods` shows it. The status column tells the most telling reason there is.

import { isSidecar } from '../../container-resources.ts';
import type { ContainerState, ContainerStatus, Pod } from '../../generated/core-v1.ts';
import { humanDuration } from '../../human-duration.ts';
import type { Cell, Column } from '../../kind.ts';
import { AGE, ageOf, NAME, NONE, text, wide } from '../columns.ts';

export const podColumns: readonly Column[] = [
  NAME,
  text('Ready', 'The aggregate readiness state of this pod for accepting traffic.'),
  text('Status', 'The aggregate status of the containers in this pod.'),
  text(
    'Restarts',
    'The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.',
  ),
  AGE,
  wide('IP', 'The address of the pod.'),
  wide('Node', 'The node the pod runs on.'),
  wide('Nominated Node', 'The node where room is being made for the pod.'),
  wide('Readiness Gates', 'How many of the further conditions for readiness are true.'),
];

export function podRow(pod: Pod, now: number): Cell[] {
  const { spec, status = {} } = pod;
  const { ready, total, reason, restarts } = summarize(pod, now);
  const gates = spec.readinessGates ?? [];
  const open = gates.filter((g) => hasCondition(pod, g.conditionType, 'True')).length;
  return [
    pod.metadata.name,
    `${ready}/${total}`,
    reason,
    restarts,
    ageOf(pod, now),
    status.podIPs?.[0]?.ip || status.podIP || NONE,
    spec.nodeName || NONE,
    status.nominatedNodeName || NONE,
    gates.length ? `${open}/${gates.length}` : NONE,
  ];
}

const hasCondition = (pod: Pod, type: string, status: string) =>
  pod.status?.conditions?.some((c) => c.type === type && c.status === status) ?? false;

/** Restarts so far and when the last one was (milliseconds; 0 is never). */
class Restarts {
  count = 0;
  last = 0;
  add(s: ContainerStatus): void {
    this.count += s.restartCount ?? 0;
    const end = s.lastState?.terminated?.finishedAt;
    if (end) this.last = Math.max(this.last, Date.parse(end));
  }
  text(now: number): string {
    return this.count && this.last ? `${this.count} (${humanDuration(now - this.last)} ago)` : String(this.count);
  }
}

interface Summary {
  readonly ready: number;
  readonly total: number;
  readonly reason: string;
  readonly restarts: string;
}

function summarize(pod: Pod, now: number): Summary {
  const { spec, status = {} } = pod;
  let reason = status.reason || status.phase || '';
  if (status.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated')) {
    reason = 'SchedulingGated';
  }
  const sidecars = new Set(spec.initContainers?.filter(isSidecar).map((c) => c.name));
  const init = readInit(pod, sidecars);
  let { ready, restarts } = init;
  if (init.reason) reason = init.reason;
  if (!init.reason || hasCondition(pod, 'Initialized', 'True')) {
    const main = readContainers(pod, reason);
    reason = main.reason;
    ready += main.ready;
    restarts = init.sidecarRestarts;
    for (const s of status.containerStatuses ?? []) restarts.add(s);
  }
  if (pod.metadata.deletionTimestamp) {
    if (status.reason === 'NodeLost') reason = 'Unknown';
    else if (status.phase !== 'Succeeded' && status.phase !== 'Failed') reason = 'Terminating';
  }
  return { ready, total: (spec.containers?.length ?? 0) + sidecars.size, reason, restarts: restarts.text(now) };
}

/** How far the init containers are; `reason` is empty when they are through. */
function readInit(pod: Pod, sidecars: ReadonlySet<string>) {
  const restarts = new Restarts();
  const sidecarRestarts = new Restarts();
  let ready = 0;
  let reason = '';
  for (const [i, s] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const sidecar = sidecars.has(s.name);
    restarts.add(s);
    if (sidecar) sidecarRestarts.add(s);
    if (s.state?.terminated?.exitCode === 0) continue;
    if (sidecar && s.started) {
      if (s.ready) ready++;
      continue;
    }
    const waiting = s.state?.waiting?.reason;
    if (s.state?.terminated) reason = `Init:${endReason(s.state)}`;
    else if (waiting && waiting !== 'PodInitializing') reason = `Init:${waiting}`;
    else reason = `Init:${i}/${pod.spec.initContainers?.length ?? 0}`;
    break;
  }
  return { restarts, sidecarRestarts, ready, reason };
}

/** The reason of the first container that has one, or what follows from all of them. */
function readContainers(pod: Pod, initial: string): { reason: string; ready: number } {
  let reason = initial;
  let ready = 0;
  for (const s of [...(pod.status?.containerStatuses ?? [])].reverse()) {
    if (s.state?.waiting?.reason) reason = s.state.waiting.reason;
    else if (s.state?.terminated) reason = endReason(s.state);
    else if (s.ready && s.state?.running) ready++;
  }
  // Some are done, but others run on.
  if (reason === 'Completed' && ready) reason = hasCondition(pod, 'Ready', 'True') ? 'Running' : 'NotReady';
  return { reason, ready };
}

function endReason({ terminated }: ContainerState): string {
  return (
    terminated!.reason || (terminated!.signal ? `Signal:${terminated!.signal}` : `ExitCode:${terminated!.exitCode}`)
  );
}
