// The scheduler's own view of nodes: what informers say, plus pods it has placed that the API has not confirmed yet.
// Changed incrementally; a snapshot is this view itself, read-only to plugins.

import type { Node, Pod } from '../api/generated/core-v1.ts';
import { controllerOf } from '../api/object.ts';
import { podRequests, resourcesOf, type Resources } from '../api/pod-requests.ts';
import { quantityMilliValue, quantityValue } from '../api/quantity.ts';
import type { Selector } from '../api/selectors.ts';
import { TermIndex, termsOf, type NamespaceLabels, type PlacedTerm } from './affinity-terms.ts';
import type { NodeInfo, Snapshot } from './framework.ts';
import { PodIndex } from './pod-index.ts';
import { hostPortsOf } from './plugins/node-ports.ts';

const DEFAULT_MILLI_CPU = 100;
const DEFAULT_MEMORY = 200 * 1024 * 1024;

const weighedOf = new WeakMap<Pod['spec'], { milliCpu: number; memory: number }>();
/** Requests with a little for each container that asks for nothing. */
export function weighedRequests(pod: Pod): { readonly milliCpu: number; readonly memory: number } {
  let weighed = weighedOf.get(pod.spec);
  if (!weighed) {
    weighed = { milliCpu: 0, memory: 0 };
    for (const c of pod.spec.containers) {
      const { cpu, memory } = c.resources?.requests ?? {};
      weighed.milliCpu += cpu === undefined ? DEFAULT_MILLI_CPU : quantityMilliValue(cpu);
      weighed.memory += memory === undefined ? DEFAULT_MEMORY : quantityValue(memory);
    }
    weighedOf.set(pod.spec, weighed);
  }
  return weighed;
}

class NodeState implements NodeInfo {
  node: Node;
  readonly pods = new Map<string, Pod>();
  allocatable: Resources & { readonly pods: number };
  readonly requested = { milliCpu: 0, memory: 0, ephemeralStorage: 0, others: new Map<string, number>() };
  readonly weighed = { milliCpu: 0, memory: 0 };
  readonly ports = new Map<string, string[]>();
  readonly siblings = new Map<string, number>();

  constructor(node: Node) {
    this.node = node;
    this.allocatable = allocatableOf(node);
  }

  setNode(node: Node): void {
    if (node.status?.allocatable !== this.node.status?.allocatable) this.allocatable = allocatableOf(node);
    this.node = node;
  }

  add(pod: Pod): void {
    this.pods.set(pod.metadata.uid, pod);
    this.#count(pod, 1);
    for (const { key, ip } of hostPortsOf(pod)) this.ports.set(key, [...(this.ports.get(key) ?? []), ip]);
  }

  remove(pod: Pod): void {
    if (!this.pods.delete(pod.metadata.uid)) return;
    this.#count(pod, -1);
    for (const { key, ip } of hostPortsOf(pod)) {
      const left = [...(this.ports.get(key) ?? [])];
      left.splice(left.indexOf(ip), 1);
      if (left.length) this.ports.set(key, left);
      else this.ports.delete(key);
    }
  }

  #count(pod: Pod, sign: 1 | -1): void {
    const requests = podRequests(pod);
    this.requested.milliCpu += sign * requests.milliCpu;
    this.requested.memory += sign * requests.memory;
    this.requested.ephemeralStorage += sign * requests.ephemeralStorage;
    for (const [name, value] of requests.others) {
      this.requested.others.set(name, (this.requested.others.get(name) ?? 0) + sign * value);
    }
    const weighed = weighedRequests(pod);
    this.weighed.milliCpu += sign * weighed.milliCpu;
    this.weighed.memory += sign * weighed.memory;
    const owner = controllerOf(pod)?.uid;
    if (!owner) return;
    const count = (this.siblings.get(owner) ?? 0) + sign;
    if (count > 0) this.siblings.set(owner, count);
    else this.siblings.delete(owner);
  }
}

function allocatableOf(node: Node): Resources & { readonly pods: number } {
  const list = node.status?.allocatable ?? node.status?.capacity;
  return { ...resourcesOf(list), pods: quantityValue(list?.['pods']) };
}

const finished = (pod: Pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

export class ClusterState implements Snapshot {
  readonly #states = new Map<string, NodeState>();
  /** Pods on nodes that are not known (yet). */
  readonly #homeless = new Map<string, Map<string, Pod>>();
  /** UID -> where it is counted, and whether the API has confirmed it. */
  readonly #placed = new Map<string, { node: string; pod: Pod; assumed: boolean }>();
  readonly #index = new PodIndex();
  readonly #antiAffinity = new TermIndex();
  readonly #attraction = new TermIndex();
  #nodes: readonly NodeState[] | undefined;
  readonly namespaceLabels: NamespaceLabels;

  constructor(namespaceLabels: NamespaceLabels = () => undefined) {
    this.namespaceLabels = namespaceLabels;
  }

  /** Of placed pods: all, and those whose binding is not yet seen. */
  counts(): { readonly pods: number; readonly assumed: number } {
    let assumed = 0;
    for (const placed of this.#placed.values()) if (placed.assumed) assumed++;
    return { pods: this.#placed.size, assumed };
  }

  get nodes(): readonly NodeInfo[] {
    return (this.#nodes ??= [...this.#states.values()]);
  }

  node(name: string): NodeInfo | undefined {
    return this.#states.get(name);
  }

  get antiAffinity(): Iterable<PlacedTerm> {
    return this.#antiAffinity.values();
  }

  get attraction(): Iterable<PlacedTerm> {
    return this.#attraction.values();
  }

  eachPod(
    namespaces: Iterable<string> | undefined,
    selector: Selector,
    visit: (pod: Pod, node: NodeInfo) => void,
  ): void {
    this.#index.each(namespaces, selector, visit);
  }

  setNode(node: Node): void {
    const known = this.#states.get(node.metadata.name);
    if (known) return known.setNode(node);
    const state = new NodeState(node);
    for (const pod of this.#homeless.get(node.metadata.name)?.values() ?? []) this.#put(pod, state);
    this.#homeless.delete(node.metadata.name);
    this.#states.set(node.metadata.name, state);
    this.#nodes = undefined;
  }

  removeNode(name: string): void {
    const state = this.#states.get(name);
    if (!state) return;
    const pods = new Map(state.pods);
    for (const pod of pods.values()) this.#remove(pod, state);
    if (pods.size) this.#homeless.set(name, pods);
    this.#states.delete(name);
    this.#nodes = undefined;
  }

  /** A pod as the API has it now; counts when it is bound and not finished. */
  setPod(pod: Pod): void {
    const { uid } = pod.metadata;
    const node = pod.spec.nodeName;
    const placed = this.#placed.get(uid);
    if (!node && placed?.assumed) return;
    if (placed) {
      const same = placed.node === node && placed.pod.spec === pod.spec && placed.pod.metadata === pod.metadata;
      if (same && !placed.assumed && !finished(pod)) return;
      this.#take(uid);
    }
    if (node && !finished(pod)) this.#place(pod, node, false);
  }

  removePod(uid: string): void {
    if (this.#placed.has(uid)) this.#take(uid);
  }

  /** Counts a pod on a node before the API knows. */
  assume(pod: Pod, node: string): void {
    this.#place(pod, node, true);
  }

  /** Takes back an assumption whose binding failed. */
  forget(uid: string): void {
    if (this.#placed.get(uid)?.assumed) this.#take(uid);
  }

  isAssumed(uid: string): boolean {
    return this.#placed.get(uid)?.assumed ?? false;
  }

  /** What `look` sees with these pods gone from the node, or added to it; all is as before when it returns. */
  pretend<T>(
    change: { readonly without?: readonly Pod[]; readonly with?: readonly Pod[] },
    node: NodeInfo,
    look: () => T,
  ): T {
    const state = node as NodeState;
    const { without = [], with: more = [] } = change;
    for (const pod of without) this.#remove(pod, state);
    for (const pod of more) this.#put(pod, state);
    try {
      return look();
    } finally {
      for (const pod of more) this.#remove(pod, state);
      for (const pod of without) this.#put(pod, state);
    }
  }

  #place(pod: Pod, node: string, assumed: boolean): void {
    this.#placed.set(pod.metadata.uid, { node, pod, assumed });
    const state = this.#states.get(node);
    if (state) return this.#put(pod, state);
    let homeless = this.#homeless.get(node);
    if (!homeless) this.#homeless.set(node, (homeless = new Map()));
    homeless.set(pod.metadata.uid, pod);
  }

  #take(uid: string): void {
    const { node, pod } = this.#placed.get(uid)!;
    this.#placed.delete(uid);
    const state = this.#states.get(node);
    if (state) this.#remove(pod, state);
    this.#homeless.get(node)?.delete(uid);
  }

  #put(pod: Pod, state: NodeState): void {
    state.add(pod);
    this.#index.add(pod, state);
    this.#attract(pod, state, 1);
  }

  #remove(pod: Pod, state: NodeState): void {
    state.remove(pod);
    this.#index.remove(pod);
    this.#attract(pod, state, -1);
  }

  #attract(pod: Pod, state: NodeState, by: 1 | -1): void {
    const { affinity, antiAffinity, preferred } = termsOf(pod);
    this.#antiAffinity.change(antiAffinity, state, by);
    this.#attraction.change(affinity, state, by);
    this.#attraction.change(preferred, state, by);
  }
}
