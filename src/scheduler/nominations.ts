// Pods for which room is being made on a node: until they have it, less important pods must not take it.

import type { Pod } from '../api/generated/core-v1.ts';
import type { NodeInfo, Plugin } from './framework.ts';
import type { ClusterState } from './node-state.ts';
import { filterOf, type Filter } from './plan.ts';
import { priorityOf } from './preemption.ts';

export class Nominations {
  readonly #byUid = new Map<string, { readonly pod: Pod; readonly node: string }>();

  nodeOf(uid: string): string | undefined {
    return this.#byUid.get(uid)?.node;
  }

  /** Returns the less important pods that were to have the node: they lose it. */
  nominate(pod: Pod, node: string): Pod[] {
    const losers = [...this.#byUid.values()].filter(
      (other) => other.node === node && priorityOf(other.pod) < priorityOf(pod),
    );
    for (const loser of losers) this.#byUid.delete(loser.pod.metadata.uid);
    this.#byUid.set(pod.metadata.uid, { pod, node });
    return losers.map((loser) => loser.pod);
  }

  /** What a scheduler before this one has written. */
  restore(pod: Pod): void {
    const node = pod.status?.nominatedNodeName;
    if (node) this.#byUid.set(pod.metadata.uid, { pod, node });
  }

  delete(uid: string): void {
    this.#byUid.delete(uid);
  }

  /** Whether the pod fits beside those a node is kept for; undefined when there are none it has to respect. */
  filterFor(pod: Pod, state: ClusterState, plugins: readonly Plugin[]): Filter | undefined {
    if (this.#byUid.size === 0) return undefined;
    const kept = new Map<string, Pod[]>();
    for (const { pod: other, node } of this.#byUid.values()) {
      if (other.metadata.uid === pod.metadata.uid || priorityOf(other) < priorityOf(pod)) continue;
      const pods = kept.get(node);
      if (pods) pods.push(other);
      else kept.set(node, [other]);
    }
    if (kept.size === 0) return undefined;
    return (node: NodeInfo) => {
      const pods = kept.get(node.node.metadata.name);
      return pods && state.pretend({ with: pods }, node, () => filterOf(pod, state, plugins)(node));
    };
  }
}
