// Small readers of a pod's spec that the whole kubelet shares: its containers in order, restart rules, quality of service.

import type { Container, ContainerStatus, EphemeralContainer } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { isSidecar, qosClass, type QosClass } from '../api/container-resources.ts';

export type ContainerKind = 'init' | 'sidecar' | 'app' | 'ephemeral';

export interface SpecContainer {
  readonly kind: ContainerKind;
  readonly container: Container | EphemeralContainer;
}

export { isSidecar };

const perPod = new WeakMap<Pod, readonly SpecContainer[]>();

/** Init containers (sidecars among them), app containers, ephemeral containers: in the order of the spec. */
export function containersOf(pod: Pod): readonly SpecContainer[] {
  let all = perPod.get(pod);
  if (!all) {
    const { initContainers = [], containers, ephemeralContainers = [] } = pod.spec;
    all = [
      ...initContainers.map((c): SpecContainer => ({ kind: isSidecar(c) ? 'sidecar' : 'init', container: c })),
      ...containers.map((c): SpecContainer => ({ kind: 'app', container: c })),
      ...ephemeralContainers.map((c): SpecContainer => ({ kind: 'ephemeral', container: c })),
    ];
    perPod.set(pod, all);
  }
  return all;
}

export function containerNamed(pod: Pod, name: string): SpecContainer | undefined {
  return containersOf(pod).find((c) => c.container.name === name);
}

/** Where events about a container point, e.g. `spec.containers{web}`. */
export function fieldPathOf(pod: Pod, name: string): string {
  const kind = containerNamed(pod, name)?.kind ?? 'app';
  const list = {
    init: 'initContainers',
    sidecar: 'initContainers',
    app: 'containers',
    ephemeral: 'ephemeralContainers',
  };
  return `spec.${list[kind]}{${name}}`;
}

/** `name_namespace(uid)`, the form of pods in messages. */
export function podText(pod: Pod): string {
  const { name, namespace, uid } = pod.metadata;
  return `${name}_${namespace}(${uid})`;
}

/** True when a container of this kind that ended with `exitCode` is to run again. */
export function restartsAfter(pod: Pod, { kind, container }: SpecContainer, exitCode: number): boolean {
  if (kind === 'ephemeral') return false;
  if (kind === 'sidecar') return true;
  for (const rule of container.restartPolicyRules ?? []) {
    const { operator, values = [] } = rule.exitCodes ?? {};
    const listed = values.includes(exitCode);
    if (rule.exitCodes && (operator === 'NotIn' ? !listed : listed)) return true;
  }
  const policy = container.restartPolicy ?? pod.spec.restartPolicy ?? 'Always';
  if (policy === 'Never') return false;
  // An init container that succeeded has done its work, whatever the policy.
  return kind === 'app' && policy === 'Always' ? true : exitCode !== 0;
}

/** Seconds a pod may take to stop when nobody says otherwise. */
export const graceOf = (pod: Pod): number => pod.spec.terminationGracePeriodSeconds ?? 30;

export const isTerminal = (phase: string | undefined): boolean => phase === 'Succeeded' || phase === 'Failed';

export function statusNamed(list: readonly ContainerStatus[] | undefined, name: string): ContainerStatus | undefined {
  return list?.find((s) => s.name === name);
}

/** All container statuses of a status, init and ephemeral ones included. */
export function allStatuses(status: Pod['status']): ContainerStatus[] {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = status ?? {};
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses];
}

/** The class the API server recorded, or computed. */
export const qosClassOf = (pod: Pod): QosClass => (pod.status?.qosClass as QosClass | undefined) ?? qosClass(pod);

/** FNV-1a over name and image: the parts of a running container whose change means a restart. */
export function containerHash(container: Container | EphemeralContainer): string {
  let hash = 0x811c9dc5;
  for (const ch of `${container.name}\0${container.image ?? ''}`) {
    hash = Math.imul(hash ^ ch.codePointAt(0)!, 0x01000193) >>> 0;
  }
  return hash.toString(16);
}
