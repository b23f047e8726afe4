// Decides where one pod goes: pure, from the snapshot of nodes. Filters, then scores; the best node wins.

import type { Pod } from '../api/generated/core-v1.ts';
import type { Misfit, NodeInfo, Plugin, Snapshot } from './framework.ts';

export type Placement =
  | { readonly node: string }
  | {
      /** For the event and the PodScheduled condition. */
      readonly message: string;
      /** The plugins that refused nodes. */
      readonly refusedBy: readonly string[];
    };

export interface PlanOptions {
  readonly plugins: readonly Plugin[];
  /** Where the search begins, so that large clusters are used evenly; the caller moves it on. */
  readonly start?: number;
}

interface Refusal {
  readonly plugin: string;
  readonly misfit: Misfit;
}

/** How many fitting nodes are enough to choose from: all of up to 100, a shrinking share of more, as upstream. */
export function enoughNodes(total: number): number {
  if (total <= 100) return total;
  const percent = Math.max(5, 50 - Math.floor(total / 125));
  return Math.max(100, Math.floor((total * percent) / 100));
}

/** `seen` in the result is how many nodes were looked at: the caller's next `start` moves by it. */
export function schedule(pod: Pod, snapshot: Snapshot, options: PlanOptions): Placement & { readonly seen: number } {
  const { nodes } = snapshot;
  if (nodes.length === 0) return { message: 'no nodes available to schedule pods', refusedBy: [], seen: 0 };
  const filters = options.plugins.flatMap((plugin) => {
    const filter = plugin.filter?.(pod, snapshot);
    return filter ? [{ name: plugin.name, filter }] : [];
  });
  const feasible: NodeInfo[] = [];
  const refusals: Refusal[] = [];
  const enough = enoughNodes(nodes.length);
  let seen = 0;
  for (; seen < nodes.length && feasible.length < enough; seen++) {
    const info = nodes[((options.start ?? 0) + seen) % nodes.length]!;
    const refusal = refuse(filters, info);
    if (refusal) refusals.push(refusal);
    else feasible.push(info);
  }
  if (feasible.length === 0) return { ...unschedulable(pod, nodes, refusals), seen };
  const best = feasible.length === 1 ? feasible[0]! : pick(pod, snapshot, feasible, options.plugins);
  return { node: best.node.metadata.name, seen };
}

function refuse(
  filters: readonly { name: string; filter: (n: NodeInfo) => Misfit | undefined }[],
  info: NodeInfo,
): Refusal | undefined {
  for (const { name, filter } of filters) {
    const misfit = filter(info);
    if (misfit) return { plugin: name, misfit };
  }
  return undefined;
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

function unschedulable(pod: Pod, nodes: readonly NodeInfo[], refusals: readonly Refusal[]) {
  const histogram = new Map<string, number>();
  for (const { misfit } of refusals)
    for (const reason of misfit.reasons) histogram.set(reason, (histogram.get(reason) ?? 0) + 1);
  const all = `0/${nodes.length} nodes are available`;
  const message = `${all}: ${summary(histogram)}. preemption: ${all}: ${preemptionSummary(pod, refusals)}.`;
  return { message, refusedBy: [...new Set(refusals.map((r) => r.plugin))] };
}

const summary = (histogram: ReadonlyMap<string, number>) =>
  [...histogram]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(', ');

/** Preemption does not run; this says, as upstream does, why it would not help. */
function preemptionSummary(pod: Pod, refusals: readonly Refusal[]): string {
  if (pod.spec.preemptionPolicy === 'Never') return 'not eligible due to preemptionPolicy=Never';
  const histogram = new Map<string, number>();
  for (const { misfit } of refusals) {
    const reason = misfit.unresolvable
      ? 'Preemption is not helpful for scheduling'
      : 'No preemption victims found for incoming pod';
    histogram.set(reason, (histogram.get(reason) ?? 0) + 1);
  }
  return summary(histogram);
}
