// The scale subresource (autoscaling/v1 Scale) of kinds that count replicas.

import type { LabelSelector, KubeObject } from '../object.ts';
import type { ScaleSubresource } from '../kind.ts';
import { selectorFromLabels, selectorOf } from '../selectors.ts';

interface Replicated extends KubeObject {
  spec: { replicas?: number; selector?: LabelSelector | Record<string, string> };
  status?: { replicas?: number };
}

/** `plain`: the selector is a map of labels (ReplicationController), not a LabelSelector. */
export function replicaScale<T extends Replicated>(plain = false): ScaleSubresource {
  return {
    read(object) {
      const { spec, status } = object as T;
      const selector = plain
        ? selectorFromLabels(spec.selector as Record<string, string> | undefined)
        : selectorOf(spec.selector as LabelSelector | undefined);
      return { replicas: spec.replicas ?? 0, statusReplicas: status?.replicas ?? 0, selector: selector.toString() };
    },
    write(object, replicas) {
      const scaled = object as T;
      return { ...scaled, spec: { ...scaled.spec, replicas } };
    },
  };
}
