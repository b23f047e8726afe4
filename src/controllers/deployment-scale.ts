// How large each ReplicaSet of a Deployment should be, step by step. Pure arithmetic; sizes are pods.
// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment

import { scaledValue } from '../api/int-or-string.ts';
import type { Deployment } from '../api/kinds/apps/deployment.ts';
import type { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { byAge, DESIRED_REPLICAS, MAX_REPLICAS, scaleAnnotation, sizeOf } from './deployment-sets.ts';

export interface Limits {
  /** Pods above, and below, the desired number during a rolling update. */
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

export function limitsOf(deployment: Deployment): Limits {
  const replicas = deployment.spec.replicas ?? 1;
  if (!isRolling(deployment)) return { maxSurge: 0, maxUnavailable: 0 };
  const rolling = deployment.spec.strategy?.rollingUpdate;
  const maxSurge = scaledValue(rolling?.maxSurge ?? 0, replicas, true);
  const down = scaledValue(rolling?.maxUnavailable ?? 0, replicas, false);
  // Both may round to zero, which would allow no step at all.
  const maxUnavailable = maxSurge === 0 && down === 0 ? 1 : down;
  return { maxSurge, maxUnavailable: replicas === 0 ? 0 : Math.min(maxUnavailable, replicas) };
}

export function isRolling(deployment: Deployment): boolean {
  return (deployment.spec.strategy?.type ?? 'RollingUpdate') === 'RollingUpdate';
}

/** New sizes of sets; a set that is not in it keeps its own. */
export type Sizes = ReadonlyMap<ReplicaSet, number>;

const sum = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number) => sets.reduce((n, s) => n + of(s), 0);
const available = (set: ReplicaSet) => set.status?.availableReplicas ?? 0;
const active = (sets: readonly ReplicaSet[]) => sets.filter((set) => sizeOf(set) > 0);

/** The size of the current set: as many as wanted, and as the surge allows. */
export function currentSize(deployment: Deployment, all: readonly ReplicaSet[], current: ReplicaSet): number {
  const replicas = deployment.spec.replicas ?? 1;
  if (!isRolling(deployment)) return replicas;
  const room = replicas + limitsOf(deployment).maxSurge - sum(all, sizeOf);
  if (room <= 0) return sizeOf(current);
  return sizeOf(current) + Math.min(room, replicas - sizeOf(current));
}

/** One step of growing the current set in a rolling update; empty when it has its size. */
export function growCurrent(deployment: Deployment, all: readonly ReplicaSet[], current: ReplicaSet): Sizes {
  const replicas = deployment.spec.replicas ?? 1;
  if (sizeOf(current) === replicas) return new Map();
  const size = sizeOf(current) > replicas ? replicas : currentSize(deployment, all, current);
  return size === sizeOf(current) ? new Map() : new Map([[current, size]]);
}

/**
 * One step of shrinking the old sets: first their pods that do not work anyway, then as many as leave the minimum
 * available.
 */
export function shrinkOld(deployment: Deployment, old: readonly ReplicaSet[], current: ReplicaSet): Sizes {
  const sizes = new Map<ReplicaSet, number>();
  const living = active(old).sort(byAge);
  if (living.length === 0) return sizes;
  const minimum = (deployment.spec.replicas ?? 1) - limitsOf(deployment).maxUnavailable;
  const unavailableCurrent = sizeOf(current) - available(current);
  const size = (set: ReplicaSet) => sizes.get(set) ?? sizeOf(set);

  let removable = sum([...old, current], sizeOf) - minimum - unavailableCurrent;
  if (removable <= 0) return sizes;
  for (const set of living) {
    if (removable <= 0) break;
    const unhealthy = Math.min(removable, sizeOf(set) - available(set));
    if (unhealthy <= 0) continue;
    sizes.set(set, sizeOf(set) - unhealthy);
    removable -= unhealthy;
  }

  // What a set has been told to give up may still count in its status: it must not be given up twice.
  const lasting = (set: ReplicaSet) => Math.min(available(set), size(set));
  let spare = sum([...old, current], lasting) - minimum;
  for (const set of living) {
    if (spare <= 0) break;
    const step = Math.min(size(set), spare);
    if (step === 0) continue;
    sizes.set(set, size(set) - step);
    spare -= step;
  }
  return sizes;
}

/**
 * Sizes after the Deployment itself was resized. With several living sets in a rolling update the change is shared out
 * in proportion, so that a bad new version does not grow faster than a good old one.
 */
export function resize(deployment: Deployment, old: readonly ReplicaSet[], current: ReplicaSet | undefined): Sizes {
  const replicas = deployment.spec.replicas ?? 1;
  const sole = activeOrLatest(old, current);
  // Also without a change of size: the annotations must come to say what the set was sized for.
  if (sole) return new Map([[sole, replicas]]);
  if (current && isSaturated(deployment, current)) return new Map(active(old).map((set) => [set, 0]));
  const living = active(current ? [...old, current] : old);
  return isRolling(deployment) && living.length ? shareOut(deployment, living) : new Map();
}

function activeOrLatest(old: readonly ReplicaSet[], current: ReplicaSet | undefined): ReplicaSet | undefined {
  const living = active(current ? [...old, current] : old);
  if (living.length > 1) return undefined;
  return living[0] ?? current ?? [...old].sort(byAge).at(-1);
}

function isSaturated(deployment: Deployment, current: ReplicaSet): boolean {
  const replicas = deployment.spec.replicas ?? 1;
  return (
    sizeOf(current) === replicas &&
    scaleAnnotation(current, DESIRED_REPLICAS) === replicas &&
    available(current) === replicas
  );
}

function shareOut(deployment: Deployment, living: readonly ReplicaSet[]): Sizes {
  const replicas = deployment.spec.replicas ?? 1;
  const allowed = replicas > 0 ? replicas + limitsOf(deployment).maxSurge : 0;
  const toAdd = allowed - sum(living, sizeOf);
  // The largest first; of equal ones the newer when growing, the older when shrinking.
  const order = [...living].sort((a, b) => sizeOf(b) - sizeOf(a) || (toAdd > 0 ? byAge(b, a) : byAge(a, b)));
  const sizes = new Map<ReplicaSet, number>();
  let added = 0;
  for (const set of order) {
    const share = toAdd === 0 ? 0 : proportion(deployment, set, toAdd, added);
    sizes.set(set, sizeOf(set) + share);
    added += share;
  }
  const first = order[0]!;
  if (toAdd !== 0) sizes.set(first, Math.max(0, sizes.get(first)! + toAdd - added));
  return sizes;
}

function proportion(deployment: Deployment, set: ReplicaSet, toAdd: number, added: number): number {
  if (sizeOf(set) === 0 || toAdd === added) return 0;
  const fraction = fractionOf(deployment, set);
  return toAdd > 0 ? Math.min(fraction, toAdd - added) : Math.max(fraction, toAdd - added);
}

/** By how much the set changes if it keeps its share of the whole. */
function fractionOf(deployment: Deployment, set: ReplicaSet): number {
  const replicas = deployment.spec.replicas ?? 1;
  if (replicas === 0) return -sizeOf(set);
  const before = scaleAnnotation(set, MAX_REPLICAS) || deployment.status?.replicas || 0;
  if (before === 0) return 0;
  const exact = (sizeOf(set) * (replicas + limitsOf(deployment).maxSurge)) / before;
  return Math.round(exact) - sizeOf(set);
}
