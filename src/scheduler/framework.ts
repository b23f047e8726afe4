// The scheduling framework: what a plugin sees and says. One plugin, one file in plugins/; the list is plugins/index.ts.
// https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/

import type { Node, Pod } from '../api/generated/core-v1.ts';
import type { Resources } from '../api/pod-requests.ts';
import type { Selector } from '../api/selectors.ts';
import type { NamespaceLabels, PlacedTerm } from './affinity-terms.ts';

/** A node and what is on it, bound or about to be bound. Read-only to plugins. */
export interface NodeInfo {
  readonly node: Node;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly allocatable: Resources & { readonly pods: number };
  readonly requested: {
    readonly milliCpu: number;
    readonly memory: number;
    readonly ephemeralStorage: number;
    readonly others: ReadonlyMap<string, number>;
  };
  /** The same with defaults for containers that request nothing, so that they weigh something in scores. */
  readonly weighed: { readonly milliCpu: number; readonly memory: number };
  /** `protocol/port` -> host IPs in use. */
  readonly ports: ReadonlyMap<string, readonly string[]>;
  /** How many pods of each controller (by UID) are here. */
  readonly siblings: ReadonlyMap<string, number>;
}

export interface Snapshot {
  /** In a stable order. */
  readonly nodes: readonly NodeInfo[];
  /** Calls `visit` for the placed pods of the namespaces (of all when absent) that the selector matches. */
  eachPod(
    namespaces: Iterable<string> | undefined,
    selector: Selector,
    visit: (pod: Pod, node: NodeInfo) => void,
  ): void;
  /** Required anti-affinity of placed pods, by term. */
  readonly antiAffinity: Iterable<PlacedTerm>;
  /** What placed pods prefer, and whom they must be near to, by term. */
  readonly attraction: Iterable<PlacedTerm>;
  readonly namespaceLabels: NamespaceLabels;
}

/** Why a node does not fit. `unresolvable`: removing pods from it would not help. */
export interface Misfit {
  readonly reasons: readonly string[];
  readonly unresolvable?: boolean;
}

/** Cluster changes that may make a pod schedulable. */
export type ClusterEvent = 'NodeAdd' | 'NodeUpdate' | 'PodDelete' | 'PodAdd' | 'PodUpdate';

export interface Plugin {
  readonly name: string;
  /** Pods refused by this plugin are tried again after these events. */
  readonly wakes: readonly ClusterEvent[];
  /** The filter looks at the pod and the node alone: a change of a node it refuses as `unresolvable` helps no pod. */
  readonly nodeAlone?: boolean;
  /** Undefined: this plugin has nothing to say about the pod. Called once a scheduling attempt. */
  filter?(pod: Pod, snapshot: Snapshot): ((node: NodeInfo) => Misfit | undefined) | undefined;
  /** Undefined likewise. A score is 0 to 100 after `normalize`. */
  score?(pod: Pod, snapshot: Snapshot): Scorer | undefined;
  readonly weight?: number;
}

export interface Scorer {
  score(node: NodeInfo): number;
  /** Changes the raw scores in place to 0..100. */
  normalize?(scores: Float64Array): void;
}

export const MAX_SCORE = 100;

/** Scales scores to 0..100 by their maximum; `reverse` turns them round. */
export function normalizeByMax(scores: Float64Array, reverse: boolean): void {
  let max = 0;
  for (const score of scores) max = Math.max(max, score);
  for (let i = 0; i < scores.length; i++) {
    const scaled = max === 0 ? 0 : (scores[i]! * MAX_SCORE) / max;
    scores[i] = reverse ? MAX_SCORE - scaled : scaled;
  }
}
