// TaintToleration: refuses nodes with taints the pod does not tolerate, prefers those with fewer soft ones.

import { tolerated, untolerated } from '../../api/taints.ts';
import { normalizeByMax, type Plugin } from '../framework.ts';

const HARD = ['NoSchedule', 'NoExecute'];

export const taintToleration: Plugin = {
  name: 'TaintToleration',
  wakes: ['NodeAdd', 'NodeUpdate'],
  nodeAlone: true,
  weight: 3,
  filter(pod) {
    return ({ node }) => {
      if (!node.spec.taints) return undefined;
      const taint = untolerated(node.spec.taints, pod.spec.tolerations, HARD);
      if (!taint) return undefined;
      return { reasons: [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`], unresolvable: true };
    };
  },
  score(pod, snapshot) {
    const soft = (taint: { effect: string }) => taint.effect === 'PreferNoSchedule';
    if (!snapshot.nodes.some((info) => info.node.spec.taints?.some(soft))) return undefined;
    return {
      score: ({ node }) =>
        (node.spec.taints ?? []).filter((t) => soft(t) && !tolerated(pod.spec.tolerations, t)).length,
      normalize: (scores) => normalizeByMax(scores, true),
    };
  },
};
