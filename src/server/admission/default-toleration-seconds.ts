// Pods stay on a node that became unready or unreachable for five minutes, unless they say otherwise.

import type { Pod, Toleration } from '../../api/generated/core-v1.ts';
import type { AdmissionPlugin } from '../admission.ts';

const SECONDS = 300;
const TAINTS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'] as const;

export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
  admit({ kind, op, object }) {
    if (kind.resource !== 'pods' || op.subresource || !object) return;
    const { spec } = object as Pod;
    const present = spec.tolerations ?? [];
    const missing = TAINTS.filter((key) => !present.some((toleration) => covers(toleration, key)));
    if (missing.length === 0) return;
    spec.tolerations = [
      ...present,
      ...missing.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: SECONDS })),
    ];
  },
};

function covers(toleration: Toleration, key: string): boolean {
  return (!toleration.key || toleration.key === key) && (!toleration.effect || toleration.effect === 'NoExecute');
}
