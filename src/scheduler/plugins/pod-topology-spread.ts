// PodTopologySpread: a pod's own constraints refuse (DoNotSchedule) or score (ScheduleAnyway). Pods without constraints
// are spread by their controller: nodes with fewer siblings score higher.
// https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/

import type { Pod, TopologySpreadConstraint } from '../../api/generated/core-v1.ts';
import { nodeAllowed } from '../../api/node-affinity.ts';
import { controllerOf } from '../../api/object.ts';
import { selectorOf } from '../../api/selectors.ts';
import { untolerated } from '../../api/taints.ts';
import { MAX_SCORE, type NodeInfo, type Plugin, type Scorer, type Snapshot } from '../framework.ts';

const NO_LABEL = {
  reasons: ["node(s) didn't match pod topology spread constraints (missing required label)"],
  unresolvable: true,
};
const SKEW = { reasons: ["node(s) didn't match pod topology spread constraints"] };

interface Domains {
  readonly constraint: TopologySpreadConstraint;
  /** Topology value -> matching pods there. */
  readonly counts: ReadonlyMap<string, number>;
  readonly matchesSelf: boolean;
}

function counted(constraint: TopologySpreadConstraint, pod: Pod, info: NodeInfo): boolean {
  if (info.node.metadata.labels?.[constraint.topologyKey] === undefined) return false;
  if (constraint.nodeAffinityPolicy !== 'Ignore' && !nodeAllowed(pod, info.node)) return false;
  if (constraint.nodeTaintsPolicy !== 'Honor') return true;
  return !untolerated(info.node.spec.taints, pod.spec.tolerations, ['NoSchedule', 'NoExecute']);
}

/** What `matchLabelKeys` ask for, the API server has written into the label selector. */
function domainsOf(constraint: TopologySpreadConstraint, pod: Pod, snapshot: Snapshot): Domains {
  const selector = selectorOf(constraint.labelSelector);
  const { topologyKey } = constraint;
  const counts = new Map<string, number>();
  const among = new Set<NodeInfo>();
  for (const info of snapshot.nodes) {
    if (!counted(constraint, pod, info)) continue;
    among.add(info);
    counts.set(info.node.metadata.labels![topologyKey]!, 0);
  }
  snapshot.eachPod([pod.metadata.namespace ?? ''], selector, (other, info) => {
    if (other.metadata.deletionTimestamp || !among.has(info)) return;
    const value = info.node.metadata.labels![topologyKey]!;
    counts.set(value, counts.get(value)! + 1);
  });
  return { constraint, counts, matchesSelf: selector.matches(pod.metadata.labels) };
}

function leastOf({ constraint, counts }: Domains): number {
  if (counts.size < (constraint.minDomains ?? 1)) return 0;
  let least = Infinity;
  for (const count of counts.values()) least = Math.min(least, count);
  return least === Infinity ? 0 : least;
}

const ofType = (pod: Pod, type: string) =>
  pod.spec.topologySpreadConstraints?.filter((c) => c.whenUnsatisfiable === type) ?? [];

/** Fewer pods per domain is better: 100 for the least loaded, 0 for the most. */
function spreadScorer(loadOf: (node: NodeInfo) => number): Scorer {
  return {
    score: loadOf,
    normalize(scores) {
      let [least, most] = [Infinity, 0];
      for (const s of scores) {
        least = Math.min(least, s);
        most = Math.max(most, s);
      }
      for (let i = 0; i < scores.length; i++)
        scores[i] = most === 0 ? MAX_SCORE : ((most + least - scores[i]!) * MAX_SCORE) / most;
    },
  };
}

export const podTopologySpread: Plugin = {
  name: 'PodTopologySpread',
  wakes: ['NodeAdd', 'NodeUpdate', 'PodAdd', 'PodDelete', 'PodUpdate'],
  weight: 2,
  filter(pod, snapshot) {
    const hard = ofType(pod, 'DoNotSchedule');
    if (hard.length === 0) return undefined;
    const all = hard
      .map((constraint) => ({ ...domainsOf(constraint, pod, snapshot) }))
      .map((d) => ({ ...d, least: leastOf(d) }));
    return ({ node }) => {
      for (const { constraint, counts, matchesSelf, least } of all) {
        const value = node.metadata.labels?.[constraint.topologyKey];
        if (value === undefined) return NO_LABEL;
        if ((counts.get(value) ?? 0) + (matchesSelf ? 1 : 0) - least > constraint.maxSkew) return SKEW;
      }
      return undefined;
    };
  },
  score(pod, snapshot) {
    const soft = ofType(pod, 'ScheduleAnyway').map((constraint) => domainsOf(constraint, pod, snapshot));
    if (soft.length) {
      return spreadScorer(({ node }) =>
        soft.reduce((sum, d) => sum + (d.counts.get(node.metadata.labels?.[d.constraint.topologyKey] ?? '') ?? 0), 0),
      );
    }
    const owner = controllerOf(pod)?.uid;
    if (!owner || pod.spec.topologySpreadConstraints?.length) return undefined;
    return spreadScorer(({ siblings }) => siblings.get(owner) ?? 0);
  },
};
