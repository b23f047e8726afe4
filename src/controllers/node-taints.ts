// The taints a node's conditions and its cordon stand for, and when they evict. Pure.
// https://kubernetes.io/docs/concepts/architecture/nodes/#rate-limits-on-eviction

import type { Node, Taint } from '../api/generated/core-v1.ts';
import { rfc3339 } from '../base/env.ts';

const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';
const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable';

/** Condition type -> status -> the taint it stands for (effect NoSchedule). */
const CONDITION_TAINTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: NOT_READY, Unknown: UNREACHABLE },
  MemoryPressure: { True: 'node.kubernetes.io/memory-pressure' },
  DiskPressure: { True: 'node.kubernetes.io/disk-pressure' },
  PIDPressure: { True: 'node.kubernetes.io/pid-pressure' },
  NetworkUnavailable: { True: 'node.kubernetes.io/network-unavailable' },
};
const MANAGED = new Set([
  UNSCHEDULABLE,
  ...Object.values(CONDITION_TAINTS).flatMap((byStatus) => Object.values(byStatus)),
]);
const EVICTING = new Set([NOT_READY, UNREACHABLE]);

/** The status of the Ready condition; undefined without one. */
export const readyStatus = (node: Node | undefined) =>
  node?.status?.conditions?.find((c) => c.type === 'Ready')?.status;

/**
 * `none`: nodes that are not well lose their pods. `part`: so many of the zone are not well that no further ones do.
 * `all`: no node of the cluster is well, so the fault is more likely between them and here: nobody loses pods.
 */
export type Disruption = 'none' | 'part' | 'all';

const THRESHOLD = 0.55;
const LARGE_CLUSTER = 50;
const zoneOf = ({ metadata: { labels = {} } }: Node) =>
  `${labels['topology.kubernetes.io/region'] ?? ''} ${labels['topology.kubernetes.io/zone'] ?? ''}`;

/** `node` as it is about to be; `nodes` are all, itself as it was. */
export function disruptionOf(node: Node, nodes: readonly Node[]): Disruption {
  const zone = zoneOf(node);
  let [ready, unready, elsewhere] = [0, 0, 0];
  for (const cached of nodes) {
    const other = cached.metadata.uid === node.metadata.uid ? node : cached;
    const well = readyStatus(other) === 'True';
    if (zoneOf(other) !== zone) elsewhere += Number(well);
    else if (well) ready++;
    else unready++;
  }
  if (ready + elsewhere === 0) return 'all';
  const partly = ready > 0 && unready > 2 && unready / (ready + unready) >= THRESHOLD;
  return partly && nodes.length <= LARGE_CLUSTER ? 'part' : 'none';
}

/** One node of a zone after the other begins to lose its pods (upstream: nodeEvictionRate, 0.1 a second). */
const ONE_EVERY = 10_000;
const loses = (t: Taint) => EVICTING.has(t.key) && t.effect === 'NoExecute';

/** Milliseconds before this node may lose its pods, for another of its zone has only just begun to. */
export function evictionPause(node: Node, nodes: readonly Node[], now: number): number {
  if (node.spec?.taints?.some(loses)) return 0;
  const zone = zoneOf(node);
  let pause = 0;
  for (const other of nodes) {
    if (other.metadata.uid === node.metadata.uid || zoneOf(other) !== zone) continue;
    for (const taint of other.spec?.taints ?? []) {
      const age = loses(taint) && taint.timeAdded ? now - Date.parse(taint.timeAdded) : Infinity;
      // A time from the future tells of a clock that was put back.
      if (age >= 0) pause = Math.max(pause, ONE_EVERY - age);
    }
  }
  return pause;
}

const sameTaint = (a: Taint, b: Taint) => a.key === b.key && a.effect === b.effect;

/** What the node's taints should be; undefined when they are. */
export function taintsOf(node: Node, disruption: Disruption, now: number): Taint[] | undefined {
  const old = node.spec?.taints ?? [];
  const wanted = wantedTaints(node, disruption);
  const kept = old.filter((t) => !MANAGED.has(t.key) || wanted.some((w) => sameTaint(w, t)));
  const added = wanted.filter((w) => !old.some((t) => sameTaint(w, t))).map((t) => ({ ...t, timeAdded: rfc3339(now) }));
  return kept.length === old.length && added.length === 0 ? undefined : [...kept, ...added];
}

function wantedTaints(node: Node, disruption: Disruption): Taint[] {
  const taints: Taint[] = [];
  for (const { type, status } of node.status?.conditions ?? []) {
    const key = CONDITION_TAINTS[type]?.[status];
    if (!key) continue;
    taints.push({ key, effect: 'NoSchedule' });
    if (EVICTING.has(key) && evicts(node, disruption)) taints.push({ key, effect: 'NoExecute' });
  }
  if (node.spec?.unschedulable) taints.push({ key: UNSCHEDULABLE, effect: 'NoSchedule' });
  return taints;
}

/** In a partial disruption a node that lost its pods already stays as it is. */
function evicts(node: Node, disruption: Disruption): boolean {
  if (disruption !== 'part') return disruption === 'none';
  return node.spec?.taints?.some(loses) ?? false;
}
