// From requests and limits to what the kernel understands: shares, quotas, bytes, out-of-memory scores, cgroup paths.
// https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/

import type { Container, EphemeralContainer, ResourceRequirements } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { parseQuantity, quantityMilliValue, quantityValue, ZERO, type Quantity } from '../api/quantity.ts';
import { aggregateContainers } from '../api/container-resources.ts';
import type { CgroupLimits } from './host.ts';
import { isSidecar, qosClassOf } from './pod-spec.ts';
import type { LinuxResources } from './runtime.ts';

const PERIOD = 100_000;
const LEAST_QUOTA = 1000;
const LEAST_SHARES = 2;
const MOST_SHARES = 262_144;

export function cpuShares(milli: number): number {
  if (milli === 0) return LEAST_SHARES;
  return Math.min(Math.max(Math.floor((milli * 1024) / 1000), LEAST_SHARES), MOST_SHARES);
}

/** Undefined: unlimited. */
export function cpuQuota(milli: number): number | undefined {
  return milli === 0 ? undefined : Math.max(Math.floor((milli * PERIOD) / 1000), LEAST_QUOTA);
}

export function linuxResources(
  pod: Pod,
  container: Container | EphemeralContainer,
  memoryCapacity: number,
): LinuxResources {
  const { requests, limits } = container.resources ?? {};
  const limit = quantityMilliValue(limits?.['cpu']);
  const request = requests?.['cpu'] === undefined ? limit : quantityMilliValue(requests['cpu']);
  const quota = cpuQuota(limit);
  const memory = quantityValue(limits?.['memory']);
  return {
    cpuShares: cpuShares(request),
    ...(quota === undefined ? {} : { cpuQuota: quota, cpuPeriod: PERIOD }),
    ...(memory > 0 ? { memoryLimitBytes: memory } : {}),
    oomScoreAdj: oomScore(pod, container, memoryCapacity),
  };
}

const NODE_CRITICAL = 2_000_001_000;

function oomScore(pod: Pod, container: Container | EphemeralContainer, memoryCapacity: number): number {
  if ((pod.spec.priority ?? 0) >= NODE_CRITICAL) return -997;
  const qos = qosClassOf(pod);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const request = quantityValue(container.resources?.requests?.['memory']);
  const score = 1000 - Math.floor((1000 * request) / Math.max(memoryCapacity, 1));
  return Math.min(Math.max(score, 3), 999);
}

/** `/kubepods/burstable/pod<uid>`; guaranteed pods stand directly below the root. */
export function cgroupParent(root: string, pod: Pod): string {
  const qos = qosClassOf(pod);
  const level = qos === 'Guaranteed' ? '' : `/${qos.toLowerCase()}`;
  return `${root}${level}/pod${pod.metadata.uid}`;
}

/** What the pod asks for in all: the greatest need over its life, pod-level resources winning, overhead added. */
export function podTotals(pod: Pod, which: 'requests' | 'limits'): Record<string, Quantity> {
  const { overhead, resources } = pod.spec;
  const total = aggregateContainers(pod.spec, which);
  for (const [name, text] of Object.entries(resources?.[which] ?? {})) total[name] = parseQuantity(text);
  for (const [name, text] of Object.entries(overhead ?? {})) {
    if (which === 'requests' || total[name]) total[name] = (total[name] ?? ZERO).add(parseQuantity(text));
  }
  return total;
}

/** Limits of the pod's cgroup: a limit holds for the pod only when every container has it (or the pod itself). */
export function podCgroupLimits(pod: Pod): CgroupLimits {
  const requests = podTotals(pod, 'requests');
  const limits = podTotals(pod, 'limits');
  const { containers, initContainers = [], resources } = pod.spec;
  const bounded = (name: string) => {
    if (resources?.limits?.[name] !== undefined) return true;
    const has = (r: ResourceRequirements | undefined) => quantityMilliValue(r?.limits?.[name]) > 0;
    return containers.every((c) => has(c.resources)) && initContainers.filter(isSidecar).every((c) => has(c.resources));
  };
  const cpu = bounded('cpu') ? cpuQuota(limits['cpu']?.milliValue ?? 0) : undefined;
  const memory = bounded('memory') ? limits['memory']?.value : undefined;
  const shares = requests['cpu'] ?? limits['cpu'];
  return {
    cpuShares: qosClassOf(pod) === 'BestEffort' ? LEAST_SHARES : cpuShares(shares?.milliValue ?? 0),
    cpuQuota: cpu,
    cpuPeriod: PERIOD,
    memoryBytes: memory,
  };
}
