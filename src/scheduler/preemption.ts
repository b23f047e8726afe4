// Makes room for a pod that fits nowhere: finds the node where the least important pods have to go for it. Pure: the state
// is as before when this returns. https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/

import type { Pod } from '../api/generated/core-v1.ts';
import type { PodDisruptionBudget } from '../api/generated/policy-v1.ts';
import { selectorOf } from '../api/selectors.ts';
import type { NodeInfo, Plugin } from './framework.ts';
import type { ClusterState } from './node-state.ts';
import { filterOf, histogram, type Refusal } from './plan.ts';

export interface Preemption {
  readonly node: string;
  readonly victims: readonly Pod[];
}

export interface NoPreemption {
  /** `preemption: 0/1 nodes are available: ...` */
  readonly message: string;
  /** Room is being made already: victims are on their way out. */
  readonly underWay?: boolean;
}

export interface PreemptionOptions {
  readonly plugins: readonly Plugin[];
  readonly refusals: readonly Refusal[];
  readonly budgets: readonly PodDisruptionBudget[];
  /** The node where room was made for the pod before. */
  readonly nominated?: string | undefined;
}

/** Of large clusters a part is looked at: at least this many nodes, or a tenth of all. */
const LEAST_CANDIDATES = 100;

export const priorityOf = (pod: Pod) => pod.spec.priority ?? 0;

interface Candidate {
  readonly node: NodeInfo;
  /** Most important first. */
  readonly victims: readonly Pod[];
  /** How many of them a disruption budget would rather keep. */
  readonly violations: number;
}

export function findVictims(pod: Pod, state: ClusterState, options: PreemptionOptions): Preemption | NoPreemption {
  if (pod.spec.preemptionPolicy === 'Never')
    return { message: 'preemption: not eligible due to preemptionPolicy=Never.' };
  if (isUnderWay(pod, state, options.nominated)) {
    const message = 'preemption: not eligible due to a terminating pod on the nominated node.';
    return { message, underWay: true };
  }
  const { refusals } = options;
  const hopeful = refusals.filter(({ misfit }) => !misfit.unresolvable);
  const limit = Math.max(LEAST_CANDIDATES, Math.floor(state.nodes.length / 10));
  const candidates: Candidate[] = [];
  for (const { node } of hopeful) {
    const candidate = victimsOn(node, pod, state, options);
    if (candidate) candidates.push(candidate);
    if (candidates.length >= limit) break;
  }
  const best = candidates.reduce<Candidate | undefined>((a, b) => (a && !isBetter(b, a) ? a : b), undefined);
  if (best) return { node: best.node.node.metadata.name, victims: best.victims };
  const reasons = refusals.map(({ misfit }) =>
    misfit.unresolvable ? 'Preemption is not helpful for scheduling' : 'No preemption victims found for incoming pod',
  );
  return { message: `preemption: 0/${state.nodes.length} nodes are available: ${histogram(reasons)}.` };
}

function isUnderWay(pod: Pod, state: ClusterState, nominated: string | undefined): boolean {
  const pods = nominated === undefined ? undefined : state.node(nominated)?.pods.values();
  for (const other of pods ?? []) {
    const going = other.metadata.deletionTimestamp !== undefined && priorityOf(other) < priorityOf(pod);
    if (going && other.status?.conditions?.some((c) => c.reason === 'PreemptionByScheduler')) return true;
  }
  return false;
}

function victimsOn(
  node: NodeInfo,
  pod: Pod,
  state: ClusterState,
  { plugins, budgets }: PreemptionOptions,
): Candidate | undefined {
  const lower = [...node.pods.values()].filter((other) => priorityOf(other) < priorityOf(pod));
  if (lower.length === 0) return undefined;
  const fits = (without: readonly Pod[]) =>
    state.pretend({ without }, node, () => filterOf(pod, state, plugins)(node) === undefined);
  if (!fits(lower)) return undefined;
  // Those a budget protects are kept first, then the more important ones.
  const important = [...lower].sort(moreImportant);
  const guarded = violating(important, budgets);
  let gone: readonly Pod[] = important;
  for (const other of [...important.filter((p) => guarded.has(p)), ...important.filter((p) => !guarded.has(p))]) {
    const left = gone.filter((p) => p !== other);
    if (fits(left)) gone = left;
  }
  return { node, victims: gone, violations: gone.filter((p) => guarded.has(p)).length };
}

const startOf = (pod: Pod) => pod.status?.startTime ?? pod.metadata.creationTimestamp;
const moreImportant = (a: Pod, b: Pod) => priorityOf(b) - priorityOf(a) || (startOf(a) < startOf(b) ? -1 : 1);

/** The pods whose loss a budget does not allow, taking them in order. */
function violating(pods: readonly Pod[], budgets: readonly PodDisruptionBudget[]): ReadonlySet<Pod> {
  const allowed = new Map(budgets.map((b) => [b, b.status?.disruptionsAllowed ?? 0]));
  const found = new Set<Pod>();
  for (const pod of pods) {
    if (!pod.metadata.labels) continue;
    for (const budget of budgets) {
      const { selector } = budget.spec ?? {};
      if (budget.metadata.namespace !== pod.metadata.namespace || !selector) continue;
      if (selectorOf(selector).isEmpty || !selectorOf(selector).matches(pod.metadata.labels)) continue;
      if (budget.status?.disruptedPods?.[pod.metadata.name] !== undefined) continue;
      const left = allowed.get(budget)! - 1;
      allowed.set(budget, left);
      if (left < 0) found.add(pod);
    }
  }
  return found;
}

/** Fewer budgets violated, a less important most important victim, less importance in sum, fewer, younger. */
function isBetter(a: Candidate, b: Candidate): boolean {
  const sum = (c: Candidate) => c.victims.reduce((total, pod) => total + priorityOf(pod) + 2 ** 31, 0);
  const highest = (c: Candidate) => (c.victims[0] ? priorityOf(c.victims[0]) : -Infinity);
  const difference =
    a.violations - b.violations || highest(a) - highest(b) || sum(a) - sum(b) || a.victims.length - b.victims.length;
  return difference !== 0 ? difference < 0 : earliest(a) > earliest(b);
}

/** When the longest running of the most important victims started. */
function earliest({ victims }: Candidate): string {
  const [first] = victims;
  const same = victims.filter((pod) => first && priorityOf(pod) === priorityOf(first));
  return same.map(startOf).sort()[0] ?? '';
}
