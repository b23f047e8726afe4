// What controllers ask about pods: is it alive, ready, available; whose is it.

import { Pod } from '../api/kinds/core/pod.ts';
import type { Kind } from '../api/kind.ts';
import { controllerOf, keyOf, type KubeObject } from '../api/object.ts';
import type { Selector } from '../api/selectors.ts';
import type { View } from '../client/controller.ts';
import { controllerKey } from '../client/controller-runtime.ts';

/** Neither finished nor on its way out. */
export function isActive(pod: Pod): boolean {
  return !isTerminal(pod) && pod.metadata.deletionTimestamp === undefined;
}

export function isTerminal(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return phase === 'Succeeded' || phase === 'Failed';
}

/** When the pod became ready, in milliseconds; undefined when it is not. */
export function readySince(pod: Pod): number | undefined {
  const ready = pod.status?.conditions?.find((c) => c.type === 'Ready');
  if (ready?.status !== 'True') return undefined;
  return ready.lastTransitionTime ? Date.parse(ready.lastTransitionTime) : 0;
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
}

/** Milliseconds until a ready pod counts as available (0: it does); undefined when it is not ready. */
export function availableIn(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  if (minReadySeconds === 0) return isReady(pod) ? 0 : undefined;
  const since = readySince(pod);
  return since === undefined ? undefined : Math.max(0, since + minReadySeconds * 1000 - now);
}

export function isAvailable(pod: Pod, minReadySeconds: number, now: number): boolean {
  return availableIn(pod, minReadySeconds, now) === 0;
}

/** The index of objects nobody controls, by namespace: those a controller may adopt. */
export const ORPHANS = 'orphans-by-namespace';
export const orphanIndex = {
  [ORPHANS]: (object: KubeObject) => (controllerOf(object) ? [] : [object.metadata.namespace ?? '']),
};

/**
 * The keys of the controllers a changed object concerns: its own, and, for an orphan, all that would select it.
 * `selects` is undefined for an owner that must not adopt anything.
 */
export function claimKeys<T extends KubeObject>(kind: Kind<T>, selects: (owner: T) => Selector | undefined) {
  const any = kind;
  return (object: KubeObject | undefined, old: KubeObject | undefined, view: View): readonly string[] => {
    const now = object && controllerKey(object, any);
    const before = old && controllerKey(old, any);
    if (now !== undefined) return before === undefined || before === now ? [now] : [before, now];
    const keys = before === undefined ? [] : [before];
    if (!object || controllerOf(object) || object.metadata.deletionTimestamp) return keys;
    const relabelled = !old || before !== undefined || !sameLabels(object, old);
    if (!relabelled) return keys;
    for (const owner of view.of(kind).list(object.metadata.namespace)) {
      const selector = selects(owner);
      if (selector && !selector.isEmpty && selector.matches(object.metadata.labels)) keys.push(keyOf(owner));
    }
    return keys;
  };
}

export function sameLabels(a: KubeObject, b: KubeObject): boolean {
  const left = a.metadata.labels ?? {};
  const right = b.metadata.labels ?? {};
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => left[key] === right[key]);
}
