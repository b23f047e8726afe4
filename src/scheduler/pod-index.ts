// Placed pods by their labels, so that those a selector means are found without a look at all pods of the cluster.

import type { Pod } from '../api/generated/core-v1.ts';
import type { Selector } from '../api/selectors.ts';
import type { NodeInfo } from './framework.ts';

interface Located {
  readonly pod: Pod;
  readonly node: NodeInfo;
}
type Visit = (pod: Pod, node: NodeInfo) => void;

const labelKey = (namespace: string | undefined, key: string, value: string) => `${namespace}/${key}=${value}`;

export class PodIndex {
  readonly #all = new Map<string, Located>();
  readonly #byLabel = new Map<string, Map<string, Located>>();

  add(pod: Pod, node: NodeInfo): void {
    const { uid, namespace, labels = {} } = pod.metadata;
    const located = { pod, node };
    this.#all.set(uid, located);
    for (const key in labels) {
      const label = labelKey(namespace, key, labels[key]!);
      const bucket = this.#byLabel.get(label);
      if (bucket) bucket.set(uid, located);
      else this.#byLabel.set(label, new Map([[uid, located]]));
    }
  }

  /** `pod` as it was added. */
  remove(pod: Pod): void {
    const { uid, namespace, labels = {} } = pod.metadata;
    this.#all.delete(uid);
    for (const key in labels) {
      const label = labelKey(namespace, key, labels[key]!);
      const bucket = this.#byLabel.get(label);
      bucket?.delete(uid);
      if (bucket?.size === 0) this.#byLabel.delete(label);
    }
  }

  /** Calls `visit` for the pods of the namespaces (of all when absent) that the selector matches. */
  each(namespaces: Iterable<string> | undefined, selector: Selector, visit: Visit): void {
    if (namespaces === undefined) return this.#visit(this.#all, selector, visit);
    for (const namespace of namespaces) {
      const bucket = this.#smallest(namespace, selector);
      if (bucket) this.#visit(bucket, selector, visit);
      else this.#visit(this.#all, selector, (pod, node) => pod.metadata.namespace === namespace && visit(pod, node));
    }
  }

  /** The fewest pods among which all matching ones are; undefined when no requirement names a value. */
  #smallest(namespace: string, { requirements }: Selector): ReadonlyMap<string, Located> | undefined {
    let best: ReadonlyMap<string, Located> | undefined;
    for (const { key, operator, values } of requirements) {
      const equals = operator === '=' || operator === '==' || (operator === 'in' && values.length === 1);
      if (!equals) continue;
      const bucket = this.#byLabel.get(labelKey(namespace, key, values[0]!)) ?? NOBODY;
      if (!best || bucket.size < best.size) best = bucket;
    }
    return best;
  }

  #visit(pods: ReadonlyMap<string, Located>, selector: Selector, visit: Visit): void {
    for (const { pod, node } of pods.values()) if (selector.matches(pod.metadata.labels)) visit(pod, node);
  }
}

const NOBODY: ReadonlyMap<string, Located> = new Map();
