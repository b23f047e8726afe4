// InterPodAffinity: near to or away from other pods, by topology domain; hard terms refuse, soft ones score. What placed
// pods want of the pod that comes counts as well.
// https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity

import type { Pod } from '../../api/generated/core-v1.ts';
import { about, termsOf, type Term } from '../affinity-terms.ts';
import { MAX_SCORE, type NodeInfo, type Plugin, type Snapshot } from '../framework.ts';

const NO_AFFINITY = { reasons: ["node(s) didn't match pod affinity rules"], unresolvable: true };
const ANTI = { reasons: ["node(s) didn't match pod anti-affinity rules"] };
const EXISTING_ANTI = { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"] };
/** What it is worth to be where a placed pod must be near to this one. */
const HARD_AFFINITY_WEIGHT = 1;

/** Topology value -> how much of something is there. */
type Values = Map<string, number>;

const valueOf = ({ node }: NodeInfo, key: string) => node.metadata.labels?.[key];
const add = (values: Values, value: string | undefined, count: number) => {
  if (value !== undefined) values.set(value, (values.get(value) ?? 0) + count);
};

/** How many placed pods all the terms speak of, by the topology of the first. */
function valuesWith(term: Term, also: readonly Term[], snapshot: Snapshot): Values {
  const values: Values = new Map();
  const namespaces = term.namespaceSelector ? undefined : term.namespaces;
  snapshot.eachPod(namespaces, term.selector, (pod, node) => {
    const all =
      about(term, pod, snapshot.namespaceLabels) && also.every((t) => about(t, pod, snapshot.namespaceLabels));
    if (all) add(values, valueOf(node, term.topologyKey), 1);
  });
  return values;
}

/** Topology key -> values that pods already there want this pod kept out of. */
function forbiddenDomains(pod: Pod, snapshot: Snapshot): Map<string, Set<string>> {
  const domains = new Map<string, Set<string>>();
  for (const { term, nodes } of snapshot.antiAffinity) {
    if (!about(term, pod, snapshot.namespaceLabels)) continue;
    let values = domains.get(term.topologyKey);
    if (!values) domains.set(term.topologyKey, (values = new Set()));
    for (const node of nodes.keys()) {
      const value = valueOf(node, term.topologyKey);
      if (value !== undefined) values.add(value);
    }
  }
  return domains;
}

export const interPodAffinity: Plugin = {
  name: 'InterPodAffinity',
  wakes: ['NodeAdd', 'NodeUpdate', 'PodAdd', 'PodDelete', 'PodUpdate'],
  weight: 2,
  filter(pod, snapshot) {
    const { affinity, antiAffinity } = termsOf(pod);
    // Only pods that meet all terms count for any of them.
    const near = affinity.map((term) => ({ term, values: valuesWith(term, affinity, snapshot) }));
    const away = antiAffinity.map((term) => ({ term, values: valuesWith(term, [], snapshot) }));
    const forbidden = [...forbiddenDomains(pod, snapshot)];
    if (!near.length && !away.length && !forbidden.length) return undefined;
    // The first pod of a group that wants to be near itself has nobody to be near yet.
    const first = near.every(({ term, values }) => values.size === 0 && about(term, pod, snapshot.namespaceLabels));
    return (info) => {
      for (const { term, values } of near) {
        const value = valueOf(info, term.topologyKey);
        if (value === undefined || (!values.has(value) && !first)) return NO_AFFINITY;
      }
      for (const { term, values } of away) {
        const value = valueOf(info, term.topologyKey);
        if (value !== undefined && values.has(value)) return ANTI;
      }
      for (const [key, values] of forbidden) {
        const value = valueOf(info, key);
        if (value !== undefined && values.has(value)) return EXISTING_ANTI;
      }
      return undefined;
    };
  },
  score(pod, snapshot) {
    const worth = attraction(pod, snapshot);
    if (!worth.size) return undefined;
    return {
      score(info) {
        let sum = 0;
        for (const [key, values] of worth) sum += values.get(valueOf(info, key) ?? '') ?? 0;
        return sum;
      },
      normalize(scores) {
        let [least, most] = [Infinity, -Infinity];
        for (const score of scores) {
          least = Math.min(least, score);
          most = Math.max(most, score);
        }
        for (let i = 0; i < scores.length; i++)
          scores[i] = most === least ? 0 : Math.floor(((scores[i]! - least) * MAX_SCORE) / (most - least));
      },
    };
  },
};

/** Topology key -> value -> what being there is worth to this pod and to those placed. */
function attraction(pod: Pod, snapshot: Snapshot): Map<string, Values> {
  const worth = new Map<string, Values>();
  const valuesOf = (key: string) => {
    let values = worth.get(key);
    if (!values) worth.set(key, (values = new Map()));
    return values;
  };
  for (const term of termsOf(pod).preferred) {
    const values = valuesOf(term.topologyKey);
    for (const [value, count] of valuesWith(term, [], snapshot)) add(values, value, count * term.weight);
  }
  for (const { term, nodes } of snapshot.attraction) {
    if (!about(term, pod, snapshot.namespaceLabels)) continue;
    const values = valuesOf(term.topologyKey);
    for (const [node, count] of nodes) {
      add(values, valueOf(node, term.topologyKey), count * (term.weight || HARD_AFFINITY_WEIGHT));
    }
  }
  return worth;
}
