// InterPodAffinity: near to or away from other pods, by topology domain; hard terms refuse, soft ones score.
// https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity

import type { Pod, PodAffinityTerm } from '../../api/generated/core-v1.ts';
import { selectorOf, type Selector } from '../../api/selectors.ts';
import { MAX_SCORE, type NodeInfo, type Plugin, type Snapshot } from '../framework.ts';

const NO_AFFINITY = { reasons: ["node(s) didn't match pod affinity rules"], unresolvable: true };
const ANTI = { reasons: ["node(s) didn't match pod anti-affinity rules"] };
const EXISTING_ANTI = { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"] };

interface Term {
  readonly topologyKey: string;
  readonly selector: Selector;
  readonly namespaces: ReadonlySet<string> | undefined;
  readonly weight: number;
}

/** Terms with a namespaceSelector other than the empty one need namespace labels; the empty one means all namespaces. */
function compile(term: PodAffinityTerm, owner: Pod, weight = 1): Term {
  const labels = owner.metadata.labels ?? {};
  const extra = (term.matchLabelKeys ?? []).flatMap((key) =>
    labels[key] === undefined ? [] : [{ key, operator: 'In', values: [labels[key]] }],
  );
  const less = (term.mismatchLabelKeys ?? []).flatMap((key) =>
    labels[key] === undefined ? [] : [{ key, operator: 'NotIn', values: [labels[key]] }],
  );
  const base = term.labelSelector;
  const all = term.namespaceSelector && !Object.keys(term.namespaceSelector).length;
  return {
    topologyKey: term.topologyKey,
    selector: selectorOf(base && { ...base, matchExpressions: [...(base.matchExpressions ?? []), ...extra, ...less] }),
    namespaces: all ? undefined : new Set(term.namespaces?.length ? term.namespaces : [owner.metadata.namespace ?? '']),
    weight,
  };
}

const about = (term: Term, pod: Pod) =>
  (!term.namespaces || term.namespaces.has(pod.metadata.namespace ?? '')) && term.selector.matches(pod.metadata.labels);

const required = (pod: Pod, what: 'podAffinity' | 'podAntiAffinity') =>
  (pod.spec.affinity?.[what]?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((t) => compile(t, pod));
const preferred = (pod: Pod, what: 'podAffinity' | 'podAntiAffinity', sign: number) =>
  (pod.spec.affinity?.[what]?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((t) =>
    compile(t.podAffinityTerm, pod, sign * t.weight),
  );

/** The topology values of nodes with a pod the term is about. */
function valuesWith(term: Term, snapshot: Snapshot): Map<string, number> {
  const values = new Map<string, number>();
  for (const { node, pods } of snapshot.nodes) {
    const value = node.metadata.labels?.[term.topologyKey];
    if (value === undefined) continue;
    for (const pod of pods.values()) if (about(term, pod)) values.set(value, (values.get(value) ?? 0) + 1);
  }
  return values;
}

/** `key=value` domains that pods already there want this pod kept out of. */
function forbiddenDomains(pod: Pod, snapshot: Snapshot): Set<string> {
  const domains = new Set<string>();
  for (const { node, shy } of snapshot.shyNodes) {
    for (const other of shy) {
      for (const term of required(other, 'podAntiAffinity')) {
        const value = node.metadata.labels?.[term.topologyKey];
        if (value !== undefined && about(term, pod)) domains.add(`${term.topologyKey}=${value}`);
      }
    }
  }
  return domains;
}

const labelOf = (info: NodeInfo, key: string) => info.node.metadata.labels?.[key];

export const interPodAffinity: Plugin = {
  name: 'InterPodAffinity',
  wakes: ['NodeAdd', 'NodeUpdate', 'PodAdd', 'PodDelete', 'PodUpdate'],
  weight: 2,
  filter(pod, snapshot) {
    const near = required(pod, 'podAffinity').map((term) => ({ term, values: valuesWith(term, snapshot) }));
    const away = required(pod, 'podAntiAffinity').map((term) => ({ term, values: valuesWith(term, snapshot) }));
    const forbidden = forbiddenDomains(pod, snapshot);
    if (!near.length && !away.length && !forbidden.size) return undefined;
    // The first pod of a group that wants to be near itself has nobody to be near yet.
    const first = near.every(({ term, values }) => values.size === 0 && about(term, pod));
    return (info) => {
      for (const { term, values } of near) {
        const value = labelOf(info, term.topologyKey);
        if (value === undefined || (!values.has(value) && !first)) return NO_AFFINITY;
      }
      for (const { term, values } of away) {
        const value = labelOf(info, term.topologyKey);
        if (value !== undefined && values.has(value)) return ANTI;
      }
      const labels = info.node.metadata.labels ?? {};
      for (const domain of forbidden) {
        const key = domain.slice(0, domain.indexOf('='));
        if (labels[key] !== undefined && domain === `${key}=${labels[key]}`) return EXISTING_ANTI;
      }
      return undefined;
    };
  },
  score(pod, snapshot) {
    const terms = [...preferred(pod, 'podAffinity', 1), ...preferred(pod, 'podAntiAffinity', -1)];
    if (!terms.length) return undefined;
    const weighed = terms.map((term) => ({ term, values: valuesWith(term, snapshot) }));
    return {
      score: (info) =>
        weighed.reduce(
          (sum, { term, values }) => sum + term.weight * (values.get(labelOf(info, term.topologyKey) ?? '') ?? 0),
          0,
        ),
      normalize(scores) {
        const least = Math.min(...scores);
        const range = Math.max(...scores) - least;
        for (let i = 0; i < scores.length; i++)
          scores[i] = range === 0 ? 0 : ((scores[i]! - least) * MAX_SCORE) / range;
      },
    };
  },
};
