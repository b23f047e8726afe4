// Which pods of a set go first when it shrinks: those that do least. The order is upstream's ActivePodsWithRanks.
// https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-a-replicaset

import type { Pod } from '../api/kinds/core/pod.ts';
import { isActive, readySince } from './pod-state.ts';

export const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

interface Ranked {
  readonly pod: Pod;
  readonly assigned: number;
  readonly phase: number;
  readonly ready: number | undefined;
  readonly cost: number;
  /** Active related pods on the same node. */
  readonly crowd: number;
  readonly restarts: number;
  readonly sidecarRestarts: number;
  readonly created: number;
}

const PHASES: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** The `count` pods to delete of `pods`; `related` are the pods whose nodes count as crowded. */
export function podsToDelete(pods: readonly Pod[], related: readonly Pod[], count: number, now: number): Pod[] {
  if (count >= pods.length) return [...pods];
  const onNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec.nodeName ?? '';
    if (isActive(pod)) onNode.set(node, (onNode.get(node) ?? 0) + 1);
  }
  return pods
    .map((pod) => rank(pod, onNode.get(pod.spec.nodeName ?? '') ?? 0))
    .sort((a, b) => compare(a, b, now))
    .slice(0, count)
    .map((ranked) => ranked.pod);
}

function rank(pod: Pod, crowd: number): Ranked {
  const { status, spec, metadata } = pod;
  const sidecars = new Set((spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').map((c) => c.name));
  let restarts = 0;
  let sidecarRestarts = 0;
  for (const c of status?.containerStatuses ?? []) restarts = Math.max(restarts, c.restartCount);
  for (const c of status?.initContainerStatuses ?? [])
    if (sidecars.has(c.name)) sidecarRestarts = Math.max(sidecarRestarts, c.restartCount);
  return {
    pod,
    assigned: spec.nodeName ? 1 : 0,
    phase: PHASES[status?.phase ?? ''] ?? 0,
    ready: readySince(pod),
    cost: deletionCost(metadata.annotations?.[DELETION_COST]),
    crowd,
    restarts,
    sidecarRestarts,
    created: Date.parse(metadata.creationTimestamp),
  };
}

/** Negative when `a` goes before `b`. */
function compare(a: Ranked, b: Ranked, now: number): number {
  if (a.assigned !== b.assigned) return a.assigned - b.assigned;
  if (a.phase !== b.phase) return a.phase - b.phase;
  if ((a.ready === undefined) !== (b.ready === undefined)) return a.ready === undefined ? -1 : 1;
  if (a.cost !== b.cost) return a.cost - b.cost;
  if (a.crowd !== b.crowd) return b.crowd - a.crowd;
  if (a.ready !== undefined && a.ready !== b.ready) return youngerFirst(a, b, a.ready, b.ready!, now);
  if (a.restarts !== b.restarts) return b.restarts - a.restarts;
  if (a.sidecarRestarts !== b.sidecarRestarts) return b.sidecarRestarts - a.sidecarRestarts;
  if (a.created !== b.created) return youngerFirst(a, b, a.created, b.created, now);
  return 0;
}

/** Ages are compared by their power of two: among pods of about the same age the UID decides, that is, chance. */
function youngerFirst(a: Ranked, b: Ranked, since: number, other: number, now: number): number {
  const difference = ageClass(now - since) - ageClass(now - other);
  if (difference !== 0) return difference;
  return a.pod.metadata.uid < b.pod.metadata.uid ? -1 : 1;
}

const ageClass = (ms: number) => (ms > 0 ? Math.trunc(Math.log2(ms * 1e6)) : -1);

/** What is no 32 bit integer counts as 0. */
function deletionCost(text: string | undefined): number {
  if (text === undefined || !/^(0|-?[1-9][0-9]*)$/.test(text)) return 0;
  const cost = Number(text);
  return cost >= -(2 ** 31) && cost < 2 ** 31 ? cost : 0;
}
