// NodeAffinity: nodeSelector and required node affinity refuse, preferred node affinity scores.

import { matchesTerm, nodeAllowed } from '../../api/node-affinity.ts';
import { normalizeByMax, type Plugin } from '../framework.ts';

const MISFIT = { reasons: ["node(s) didn't match Pod's node affinity/selector"], unresolvable: true };

export const nodeAffinity: Plugin = {
  name: 'NodeAffinity',
  wakes: ['NodeAdd', 'NodeUpdate'],
  nodeAlone: true,
  weight: 2,
  filter(pod) {
    const { nodeSelector, affinity } = pod.spec;
    if (!nodeSelector && !affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution) return undefined;
    return (info) => (nodeAllowed(pod, info.node) ? undefined : MISFIT);
  },
  score(pod) {
    const preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
    if (!preferred?.length) return undefined;
    return {
      score: ({ node }) => preferred.reduce((sum, p) => (matchesTerm(p.preference, node) ? sum + p.weight : sum), 0),
      normalize: (scores) => normalizeByMax(scores, false),
    };
  },
};
