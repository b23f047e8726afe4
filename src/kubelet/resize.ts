// In-place resize: which cpu and memory a pod holds (its allocation), whether this node can give what its spec asks for
// now, and what has to happen to its containers. Pure.
// https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/

import type { Container, ResourceRequirements } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { parseQuantity, ZERO } from '../api/quantity.ts';
import type { CgroupLimits } from './host.ts';
import type { Waiting } from './plan-steps.ts';
import { allStatuses } from './pod-spec.ts';
import { podTotals } from './resources.ts';

/** Resources by container name. */
export type Allocation = ReadonlyMap<string, ResourceRequirements>;

const RESIZABLE = ['cpu', 'memory'] as const;

const resizableOf = (pod: Pod): Container[] => [...(pod.spec.initContainers ?? []), ...pod.spec.containers];

/** What the pod holds: as its status tells for containers that have run, else as its spec asks. */
export function heldBy(pod: Pod): Allocation {
  const statuses = new Map(allStatuses(pod.status).map((s) => [s.name, s]));
  return new Map(
    resizableOf(pod).map(({ name, resources = {} }) => {
      const status = statuses.get(name);
      return [name, status?.containerID && status.resources ? { ...resources, ...status.resources } : resources];
    }),
  );
}

export const askedBy = (pod: Pod): Allocation =>
  new Map(resizableOf(pod).map(({ name, resources = {} }) => [name, resources]));

/** The pod as if its spec asked for no more than it holds; the same object when it does. */
export function withAllocation(pod: Pod, allocation: Allocation): Pod {
  const allocated = (container: Container): Container => {
    const held = allocation.get(container.name);
    return !held || sameResources(held, container.resources ?? {}) ? container : { ...container, resources: held };
  };
  const containers = pod.spec.containers.map(allocated);
  const initContainers = pod.spec.initContainers?.map(allocated);
  const same =
    containers.every((c, i) => c === pod.spec.containers[i]) &&
    (initContainers ?? []).every((c, i) => c === pod.spec.initContainers?.[i]);
  return same ? pod : { ...pod, spec: { ...pod.spec, containers, ...(initContainers ? { initContainers } : {}) } };
}

export function sameResources(a: ResourceRequirements, b: ResourceRequirements): boolean {
  return RESIZABLE.every((name) => differing(a, b, name) === false);
}

function differing(a: ResourceRequirements, b: ResourceRequirements, name: string): boolean {
  const same = (x: string | undefined, y: string | undefined) =>
    x === y || (x !== undefined && y !== undefined && parseQuantity(x).compare(parseQuantity(y)) === 0);
  return !same(a.requests?.[name], b.requests?.[name]) || !same(a.limits?.[name], b.limits?.[name]);
}

/** What a running container needs to get from the resources it runs with to those it is to have. */
export function resizeStep(
  container: Container,
  actual: ResourceRequirements | undefined,
): 'none' | 'update' | 'restart' {
  const wanted = container.resources ?? {};
  const changed = RESIZABLE.filter((name) => actual && differing(actual, wanted, name));
  if (changed.length === 0) return 'none';
  const restart = changed.some((name) =>
    container.resizePolicy?.some((p) => p.resourceName === name && p.restartPolicy === 'RestartContainer'),
  );
  return restart ? 'restart' : 'update';
}

/** Undefined: the node can give it. `Infeasible` will stay so, `Deferred` waits for others to go. */
export function refuseResize(
  wanted: Pod,
  others: readonly Pod[],
  allocatable: Readonly<Record<string, string>>,
): Waiting | undefined {
  const totals = podTotals(wanted, 'requests');
  for (const name of RESIZABLE) {
    const unit = name === 'cpu' ? 'milliValue' : 'value';
    const requested = (totals[name] ?? ZERO)[unit];
    const capacity = parseQuantity(allocatable[name] ?? '0')[unit];
    if (requested > capacity) {
      const message = `Node didn't have enough capacity: ${name}, requested: ${requested}, capacity: ${capacity}`;
      return { reason: 'Infeasible', message };
    }
  }
  for (const name of RESIZABLE) {
    const unit = name === 'cpu' ? 'milliValue' : 'value';
    const requested = (totals[name] ?? ZERO)[unit];
    const capacity = parseQuantity(allocatable[name] ?? '0')[unit];
    const used = others.reduce((sum, other) => sum + (podTotals(other, 'requests')[name] ?? ZERO)[unit], 0);
    if (requested + used > capacity) {
      const detail = `requested: ${requested}, used: ${used}, capacity: ${capacity}`;
      return { reason: 'Deferred', message: `Node didn't have enough resource: ${name}, ${detail}` };
    }
  }
  return undefined;
}

/** Limits under which both fit, for the time while containers move from one to the other. */
export function widest(a: CgroupLimits, b: CgroupLimits): CgroupLimits {
  const max = (x: number | undefined, y: number | undefined) =>
    x === undefined || y === undefined ? undefined : Math.max(x, y);
  return {
    cpuShares: Math.max(a.cpuShares, b.cpuShares),
    cpuQuota: max(a.cpuQuota, b.cpuQuota),
    cpuPeriod: b.cpuPeriod,
    memoryBytes: max(a.memoryBytes, b.memoryBytes),
  };
}
