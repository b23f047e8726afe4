// Taints and the tolerations that meet them.
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/

import type { Taint, Toleration } from './generated/core-v1.ts';

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  const value = taint.value ?? '';
  switch (toleration.operator || 'Equal') {
    case 'Exists':
      return true;
    case 'Equal':
      return (toleration.value ?? '') === value;
    case 'Lt':
    case 'Gt': {
      const [left, right] = [Number(value), Number(toleration.value)];
      return toleration.operator === 'Lt' ? left < right : left > right;
    }
    default:
      return false;
  }
}

export function tolerated(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return tolerations?.some((toleration) => tolerates(toleration, taint)) ?? false;
}

/** The first taint with one of the effects that no toleration meets. */
export function untolerated(
  taints: readonly Taint[] | undefined,
  tolerations: readonly Toleration[] | undefined,
  effects: readonly string[],
): Taint | undefined {
  return taints?.find((taint) => effects.includes(taint.effect) && !tolerated(tolerations, taint));
}
