// Node selectors: terms over labels and fields of a node, and a pod's required ones.
// https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/

import type { Node, NodeSelectorRequirement, NodeSelectorTerm, Pod } from './generated/core-v1.ts';

function meets(requirement: NodeSelectorRequirement, value: string | undefined): boolean {
  const { operator, values = [] } = requirement;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      if (value === undefined || !/^-?\d+$/.test(value) || !/^-?\d+$/.test(values[0] ?? '')) return false;
      return operator === 'Gt' ? Number(value) > Number(values[0]) : Number(value) < Number(values[0]);
    }
    default:
      return false;
  }
}

/** All requirements of the term hold; an empty term matches nothing. */
export function matchesTerm(term: NodeSelectorTerm, node: Node): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  const labels = node.metadata.labels ?? {};
  return (
    matchExpressions.every((r) => meets(r, labels[r.key])) &&
    matchFields.every((r) => meets(r, r.key === 'metadata.name' ? node.metadata.name : undefined))
  );
}

/** The pod's nodeSelector and required node affinity both allow the node. */
export function nodeAllowed(pod: Pod, node: Node): boolean {
  const { nodeSelector, affinity } = pod.spec;
  if (nodeSelector) {
    const labels = node.metadata.labels ?? {};
    for (const key in nodeSelector) if (labels[key] !== nodeSelector[key]) return false;
  }
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || (required.nodeSelectorTerms ?? []).some((term) => matchesTerm(term, node));
}
