// Decides where one pod goes: pure, from the snapshot of nodes. Filters, then scores; the best node wins.

import type { Pod } from '../api/generated/core-v1.ts';
import type { Misfit, NodeInfo, Plugin, Snapshot } from './framework.ts';

/** Why one node was refused. */
export interface Refusal {
  readonly node: NodeInfo;
  readonly plugin: string;
  readonly misfit: Misfit;
}

export interface Unplaced {
  /** `0/3 nodes are available: 3 Insufficient cpu.`, for the event and the PodScheduled condition. */
  readonly message: string;
  /** The plugins that refused nodes. */
  readonly refusedBy: readonly string[];
  readonly refusals: readonly Refusal[];
}

export type Placement = { readonly node: string } | Unplaced;

export interface PlanOptions {
  readonly plugins: readonly Plugin[];
  /** Where the search begins, so that large clusters are used evenly; the caller moves it on. */
  readonly start?: number;
  /** Why the pod does not fit beside pods that matter as much or more and that the node is being cleared for. */
  readonly besideNominated?: Filter | undefined;
}

/** How many fitting nodes are enough to choose from: all of up to 100, a shrinking share of more, as upstream. */
export function enoughNodes(total: number): number {
  if (total <= 100) return total;
  const percent = Math.max(5, 50 - Math.floor(total / 125));
  return Math.max(100, Math.floor((total * percent) / 100));
}

export type Filter = (node: NodeInfo) => Omit<Refusal, 'node'> | undefined;

/** What all plugins have to say about a pod on a node, as things stand. */
export function filterOf(pod: Pod, snapshot: Snapshot, plugins: readonly Plugin[]): Filter {
  const filters = plugins.flatMap(({ name, filter }) => {
    const check = filter?.(pod, snapshot);
    return check ? [{ name, check }] : [];
  });
  return (node) => {
    for (const { name, check } of filters) {
      const misfit = check(node);
      if (misfit) return { plugin: name, misfit };
    }
    return undefined;
  };
}

/** `seen` in the result is how many nodes were looked at: the caller's next `start` moves by it. */
export function schedule(pod: Pod, snapshot: Snapshot, options: PlanOptions): Placement & { readonly seen: number } {
  const { nodes } = snapshot;
  if (nodes.length === 0)
    return { message: 'no nodes available to schedule pods', refusedBy: [], refusals: [], seen: 0 };
  const filter = filterOf(pod, snapshot, options.plugins);
  const feasible: NodeInfo[] = [];
  const refusals: Refusal[] = [];
  const enough = enoughNodes(nodes.length);
  let seen = 0;
  for (; seen < nodes.length && feasible.length < enough; seen++) {
    const node = nodes[((options.start ?? 0) + seen) % nodes.length]!;
    const refusal = filter(node) ?? options.besideNominated?.(node);
    if (refusal) refusals.push({ node, ...refusal });
    else feasible.push(node);
  }
  if (feasible.length === 0) {
    const refusedBy = [...new Set(refusals.map((r) => r.plugin))];
    return { message: unschedulable(nodes.length, refusals), refusedBy, refusals, seen };
  }
  const best = feasible.length === 1 ? feasible[0]! : pick(pod, snapshot, feasible, options.plugins);
  return { node: best.node.metadata.name, seen };
}

function pick(pod: Pod, snapshot: Snapshot, feasible: readonly NodeInfo[], plugins: readonly Plugin[]): NodeInfo {
  const totals = new Float64Array(feasible.length);
  const scores = new Float64Array(feasible.length);
  for (const plugin of plugins) {
    const scorer = plugin.score?.(pod, snapshot);
    if (!scorer) continue;
    for (let i = 0; i < feasible.length; i++) scores[i] = scorer.score(feasible[i]!);
    scorer.normalize?.(scores);
    const weight = plugin.weight ?? 1;
    for (let i = 0; i < feasible.length; i++) totals[i]! += weight * scores[i]!;
  }
  let best = 0;
  for (let i = 1; i < totals.length; i++) if (totals[i]! > totals[best]!) best = i;
  return feasible[best]!;
}

function unschedulable(total: number, refusals: readonly Refusal[]): string {
  const reasons = refusals.flatMap(({ misfit }) => misfit.reasons);
  return `0/${total} nodes are available: ${histogram(reasons)}.`;
}

/** `2 Insufficient cpu, 1 Too many pods`, in order of the text. */
export function histogram(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(', ');
}
