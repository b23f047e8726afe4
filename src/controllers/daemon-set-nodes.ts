// Which nodes a DaemonSet's pod belongs on, and what such a pod looks like.
// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled

import type { Affinity, Node, Pod, PodSpec, PodTemplateSpec, Toleration } from '../api/generated/core-v1.ts';
import { DaemonSet } from '../api/kinds/apps/daemon-set.ts';
import type { Draft, KubeObject } from '../api/object.ts';
import { nodeAllowed } from '../api/node-affinity.ts';
import { untolerated } from '../api/taints.ts';
import { podOf } from './replicas.ts';

export const HASH_LABEL = 'controller-revision-hash';
const GENERATION_LABEL = 'pod-template-generation';
const GENERATION_ANNOTATION = 'deprecated.daemonset.template.generation';

const tolerate = (key: string, effect: string): Toleration => ({ key, operator: 'Exists', effect });
/** A daemon stays where others would be evicted or not scheduled. */
const TOLERATIONS: readonly Toleration[] = [
  tolerate('node.kubernetes.io/not-ready', 'NoExecute'),
  tolerate('node.kubernetes.io/unreachable', 'NoExecute'),
  tolerate('node.kubernetes.io/disk-pressure', 'NoSchedule'),
  tolerate('node.kubernetes.io/memory-pressure', 'NoSchedule'),
  tolerate('node.kubernetes.io/pid-pressure', 'NoSchedule'),
  tolerate('node.kubernetes.io/unschedulable', 'NoSchedule'),
];
const HOST_NETWORK = tolerate('node.kubernetes.io/network-unavailable', 'NoSchedule');

export interface Placement {
  /** A pod should be there. */
  readonly runs: boolean;
  /** A pod that is there may stay. */
  readonly stays: boolean;
}

export function placement(set: DaemonSet, node: Node): Placement {
  const spec = set.spec.template.spec!;
  if (spec.nodeName && spec.nodeName !== node.metadata.name) return { runs: false, stays: false };
  if (!nodeAllowed({ spec } as Pod, node)) return { runs: false, stays: false };
  const tolerations = tolerationsOf(spec);
  const { taints } = node.spec;
  if (!untolerated(taints, tolerations, ['NoExecute', 'NoSchedule'])) return { runs: true, stays: true };
  return { runs: false, stays: !untolerated(taints, tolerations, ['NoExecute']) };
}

function tolerationsOf(spec: PodSpec): Toleration[] {
  const result = [...(spec.tolerations ?? [])];
  for (const toleration of spec.hostNetwork ? [...TOLERATIONS, HOST_NETWORK] : TOLERATIONS) {
    const at = result.findIndex(
      (t) =>
        t.key === toleration.key &&
        t.effect === toleration.effect &&
        (t.operator ?? 'Equal') === toleration.operator &&
        !t.value,
    );
    if (at >= 0) result[at] = toleration;
    else result.push(toleration);
  }
  return result;
}

/** The number upstream's old API counted templates by; still used when a client set it. */
export function templateGeneration(set: DaemonSet): string | undefined {
  return set.metadata.annotations?.[GENERATION_ANNOTATION];
}

/** The set's pod for one node; the scheduler binds it there by its affinity. */
export function daemonPod(set: DaemonSet, hash: string, node: string): Draft<Pod> {
  const { template } = set.spec;
  const spec = template.spec!;
  const generation = templateGeneration(set);
  const labels = {
    ...template.metadata?.labels,
    ...(generation === undefined ? {} : { [GENERATION_LABEL]: generation }),
    [HASH_LABEL]: hash,
  };
  const mine = {
    ...template,
    metadata: { ...template.metadata, labels },
    spec: { ...spec, tolerations: tolerationsOf(spec), affinity: onNode(spec.affinity, node) },
  } as PodTemplateSpec;
  return podOf(mine, set as KubeObject, DaemonSet);
}

/** Replaces whatever nodes the template asks for: the controller has chosen among those already. */
function onNode(affinity: Affinity | undefined, node: string): Affinity {
  const term = { matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] };
  return {
    ...affinity,
    nodeAffinity: {
      ...affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
    },
  };
}

/** The node a daemon pod runs on or is meant for. */
export function targetNode(pod: Pod): string | undefined {
  if (pod.spec.nodeName) return pod.spec.nodeName;
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  for (const term of required?.nodeSelectorTerms ?? [])
    for (const { key, operator, values } of term.matchFields ?? [])
      if (key === 'metadata.name' && operator === 'In' && values?.length === 1) return values[0];
  return undefined;
}

/** The pod is of the set's present template. */
export function isUpdated(set: DaemonSet, pod: Pod, hash: string): boolean {
  const { labels } = pod.metadata;
  const generation = templateGeneration(set);
  return labels?.[HASH_LABEL] === hash || (generation !== undefined && labels?.[GENERATION_LABEL] === generation);
}
