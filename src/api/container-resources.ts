// Exact arithmetic on the resources of a pod's containers, for defaulting and validation: what they need together, and
// the pod's quality of service. https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/

import type { Container, Pod, PodSpec } from './generated/core-v1.ts';
import { parseQuantity, type Quantity, ZERO } from './quantity.ts';

export type ResourceList = Readonly<Record<string, string>>;
export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

/** A sidecar: an init container that keeps running. */
export const isSidecar = (c: Container): boolean => c.restartPolicy === 'Always';

/** True for resources of Kubernetes itself: `cpu`, `hugepages-2Mi`, `requests.kubernetes.io/x`. */
export const isNativeResource = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/');
export const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
/** Requests may be lower than limits. */
export const isOvercommitAllowed = (name: string): boolean => isNativeResource(name) && !isHugePages(name);
/** What `spec.resources` of a pod may name. */
export const isPodLevelResource = (name: string): boolean => name === 'cpu' || name === 'memory' || isHugePages(name);

/**
 * The sum over the containers that run together, or what the init containers need one after the other (each beside the
 * sidecars started before it), whichever is more. Overhead and pod-level resources are not counted.
 */
export function aggregateContainers(
  spec: Pick<PodSpec, 'containers' | 'initContainers'>,
  what: 'requests' | 'limits',
): Record<string, Quantity> {
  const total: Record<string, Quantity> = {};
  for (const c of spec.containers ?? []) addTo(total, c.resources?.[what]);
  const sidecars: Record<string, Quantity> = {};
  const peak: Record<string, Quantity> = {};
  for (const c of spec.initContainers ?? []) {
    const own = c.resources?.[what];
    if (isSidecar(c)) {
      addTo(total, own);
      addTo(sidecars, own);
      raiseTo(peak, sidecars);
    } else {
      const beside = { ...sidecars };
      addTo(beside, own);
      raiseTo(peak, beside);
    }
  }
  raiseTo(total, peak);
  return total;
}

function addTo(into: Record<string, Quantity>, list: ResourceList | undefined): void {
  for (const name in list) into[name] = (into[name] ?? ZERO).add(parseQuantity(list[name]!));
}

function raiseTo(into: Record<string, Quantity>, other: Record<string, Quantity>): void {
  for (const name in other) {
    const known = into[name];
    if (!known || known.compare(other[name]!) < 0) into[name] = other[name]!;
  }
}

const COMPUTE = ['cpu', 'memory'] as const;

/** The quality of service of a pod, from cpu and memory alone. */
export function qosClass({ spec }: Pick<Pod, 'spec'>): QosClass {
  const level = spec.resources;
  if (level && (hasAny(level.requests) || hasAny(level.limits))) return classOf([level]);
  return classOf([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((c) => c.resources ?? {}));
}

const hasAny = (list: ResourceList | undefined) => list !== undefined && Object.keys(list).length > 0;

function classOf(all: readonly { requests?: ResourceList; limits?: ResourceList }[]): QosClass {
  const requests: Record<string, Quantity> = {};
  const limits: Record<string, Quantity> = {};
  let everyoneLimited = true;
  for (const own of all) {
    for (const name of COMPUTE) {
      const request = own.requests?.[name];
      if (request !== undefined && parseQuantity(request).sign > 0) addTo(requests, { [name]: request });
      const limit = own.limits?.[name];
      if (limit !== undefined && parseQuantity(limit).sign > 0) addTo(limits, { [name]: limit });
      else everyoneLimited = false;
    }
  }
  if (Object.keys(requests).length === 0 && Object.keys(limits).length === 0) return 'BestEffort';
  const same = COMPUTE.every((name) => requests[name] && limits[name] && requests[name].compare(limits[name]) === 0);
  return everyoneLimited && same ? 'Guaranteed' : 'Burstable';
}
