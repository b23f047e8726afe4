// Pod affinity terms, compiled once for each pod, and an index of those that placed pods have: a thousand replicas of one
// workload have the same terms, so a pod that comes is compared with each kind of term once.

import type { Pod, PodAffinityTerm } from '../api/generated/core-v1.ts';
import { selectorOf, type Selector } from '../api/selectors.ts';
import type { NodeInfo } from './framework.ts';

export interface Term {
  readonly topologyKey: string;
  readonly selector: Selector;
  readonly namespaces: ReadonlySet<string>;
  /** Namespaces by their labels, besides `namespaces`. */
  readonly namespaceSelector: Selector | undefined;
  /** Of a preferred term: negative for anti-affinity. 0 for a required one. */
  readonly weight: number;
  /** The same text for the same term. */
  readonly key: string;
}

export interface Terms {
  readonly affinity: readonly Term[];
  readonly antiAffinity: readonly Term[];
  readonly preferred: readonly Term[];
}

const NONE: Terms = { affinity: [], antiAffinity: [], preferred: [] };
const known = new WeakMap<Pod, Terms>();

export function termsOf(pod: Pod): Terms {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  if (!podAffinity && !podAntiAffinity) return NONE;
  let terms = known.get(pod);
  if (terms) return terms;
  const required = (list: readonly PodAffinityTerm[] | undefined) => (list ?? []).map((t) => compile(t, pod, 0));
  terms = {
    affinity: required(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    antiAffinity: required(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    preferred: [
      ...(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((t) =>
        compile(t.podAffinityTerm, pod, t.weight),
      ),
      ...(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((t) =>
        compile(t.podAffinityTerm, pod, -t.weight),
      ),
    ],
  };
  known.set(pod, terms);
  return terms;
}

/** What `matchLabelKeys` ask for, the API server has written into the label selector. */
function compile(term: PodAffinityTerm, owner: Pod, weight: number): Term {
  const { topologyKey, namespaceSelector, labelSelector } = term;
  const namespaces =
    term.namespaces?.length || namespaceSelector ? (term.namespaces ?? []) : [owner.metadata.namespace ?? ''];
  return {
    topologyKey,
    selector: selectorOf(labelSelector),
    namespaces: new Set(namespaces),
    namespaceSelector: namespaceSelector && selectorOf(namespaceSelector),
    weight,
    key: JSON.stringify([topologyKey, [...namespaces].sort(), namespaceSelector, labelSelector, weight]),
  };
}

/** Labels of a namespace, if it is known. */
export type NamespaceLabels = (namespace: string) => Readonly<Record<string, string>> | undefined;

/** Whether the term speaks of this pod. */
export function about(term: Term, pod: Pod, labelsOf: NamespaceLabels): boolean {
  const { namespace = '', labels } = pod.metadata;
  if (!term.namespaces.has(namespace) && !term.namespaceSelector?.matches(labelsOf(namespace) ?? {})) return false;
  return term.selector.matches(labels);
}

export interface PlacedTerm {
  readonly term: Term;
  /** How many pods with the term each node has. */
  readonly nodes: ReadonlyMap<NodeInfo, number>;
}

/** Terms of placed pods, equal ones together. */
export class TermIndex {
  readonly #terms = new Map<string, { term: Term; nodes: Map<NodeInfo, number> }>();

  values(): Iterable<PlacedTerm> {
    return this.#terms.values();
  }

  change(terms: readonly Term[], node: NodeInfo, by: 1 | -1): void {
    for (const term of terms) {
      let entry = this.#terms.get(term.key);
      if (!entry) this.#terms.set(term.key, (entry = { term, nodes: new Map() }));
      const count = (entry.nodes.get(node) ?? 0) + by;
      if (count > 0) entry.nodes.set(node, count);
      else entry.nodes.delete(node);
      if (entry.nodes.size === 0) this.#terms.delete(term.key);
    }
  }
}
