// A new node takes no pods until its readiness has been seen.

import type { Node } from '../../api/generated/core-v1.ts';
import type { AdmissionPlugin } from '../admission.ts';

const KEY = 'node.kubernetes.io/not-ready';

export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  handles: (operation) => operation === 'CREATE',
  admit({ kind, op, object }) {
    if (kind.resource !== 'nodes' || op.subresource || !object) return;
    const node = object as Node;
    const taints = node.spec?.taints ?? [];
    if (taints.some((taint) => taint.key === KEY && taint.effect === 'NoSchedule')) return;
    node.spec = { ...node.spec, taints: [...taints, { key: KEY, effect: 'NoSchedule' }] };
  },
};
