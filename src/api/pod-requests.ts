// What a pod asks of a node: the sum over its containers, as scheduler, quota and kubelet count it.
// https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers

import type { Container, Pod, PodSpec } from './generated/core-v1.ts';
import { quantityMilliValue, quantityValue } from './quantity.ts';

/** cpu in thousandths of a core, memory and ephemeral storage in bytes, further resources in their own units. */
export interface Resources {
  readonly milliCpu: number;
  readonly memory: number;
  readonly ephemeralStorage: number;
  readonly others: ReadonlyMap<string, number>;
}

const NO_OTHERS: ReadonlyMap<string, number> = new Map();
export const NO_RESOURCES: Resources = { milliCpu: 0, memory: 0, ephemeralStorage: 0, others: NO_OTHERS };

export function resourcesOf(list: Record<string, string> | undefined): Resources {
  if (!list) return NO_RESOURCES;
  let others: Map<string, number> | undefined;
  for (const name in list) {
    if (name !== 'cpu' && name !== 'memory' && name !== 'ephemeral-storage' && name !== 'pods') {
      (others ??= new Map()).set(name, quantityValue(list[name]));
    }
  }
  return {
    milliCpu: quantityMilliValue(list['cpu']),
    memory: quantityValue(list['memory']),
    ephemeralStorage: quantityValue(list['ephemeral-storage']),
    others: others ?? NO_OTHERS,
  };
}

function combine(a: Resources, b: Resources, by: (x: number, y: number) => number): Resources {
  if (b === NO_RESOURCES && by === add) return a;
  if (a === NO_RESOURCES) return b;
  let { others } = a;
  if (b.others.size) {
    const merged = new Map(a.others);
    for (const [name, value] of b.others) merged.set(name, by(merged.get(name) ?? 0, value));
    others = merged;
  }
  return {
    milliCpu: by(a.milliCpu, b.milliCpu),
    memory: by(a.memory, b.memory),
    ephemeralStorage: by(a.ephemeralStorage, b.ephemeralStorage),
    others,
  };
}
const add = (x: number, y: number) => x + y;

export const addResources = (a: Resources, b: Resources): Resources => combine(a, b, add);
const maxResources = (a: Resources, b: Resources): Resources => combine(a, b, Math.max);

type Pick = (container: Container) => Record<string, string> | undefined;

/**
 * Sum of the containers, but at least what the init containers need on their way: one that restarts always (a sidecar)
 * counts from its start on, the others each need their own beside the sidecars before them. Plus overhead.
 */
function total(spec: PodSpec, pick: Pick): Resources {
  let sum = NO_RESOURCES;
  for (const c of spec.containers) sum = addResources(sum, resourcesOf(pick(c)));
  let sidecars = NO_RESOURCES;
  let peak = NO_RESOURCES;
  for (const c of spec.initContainers ?? []) {
    const own = resourcesOf(pick(c));
    if (c.restartPolicy === 'Always') {
      sidecars = addResources(sidecars, own);
      peak = maxResources(peak, sidecars);
    } else {
      peak = maxResources(peak, addResources(sidecars, own));
    }
  }
  return addResources(maxResources(addResources(sum, sidecars), peak), resourcesOf(spec.overhead));
}

const known = new WeakMap<PodSpec, Resources>();

/** Memoised per immutable spec. */
export function podRequests(pod: Pod): Resources {
  let requests = known.get(pod.spec);
  if (!requests) known.set(pod.spec, (requests = total(pod.spec, (c) => c.resources?.requests)));
  return requests;
}

export const podLimits = (pod: Pod): Resources => total(pod.spec, (c) => c.resources?.limits);
