// NodeUnschedulable: cordoned nodes take only pods that tolerate it.

import { tolerated } from '../../api/taints.ts';
import type { Plugin } from '../framework.ts';

const MISFIT = { reasons: ['node(s) were unschedulable'], unresolvable: true };
const TAINT = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

export const nodeUnschedulable: Plugin = {
  name: 'NodeUnschedulable',
  wakes: ['NodeAdd', 'NodeUpdate'],
  nodeAlone: true,
  filter(pod) {
    const accepts = tolerated(pod.spec.tolerations, TAINT);
    return accepts ? undefined : (info) => (info.node.spec.unschedulable ? MISFIT : undefined);
  },
};
