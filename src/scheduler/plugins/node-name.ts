// NodeName: a pod that names its node fits no other.

import type { Plugin } from '../framework.ts';

const MISFIT = { reasons: ["node(s) didn't match the requested node name"], unresolvable: true };

export const nodeName: Plugin = {
  name: 'NodeName',
  wakes: ['NodeAdd'],
  nodeAlone: true,
  filter(pod) {
    const wanted = pod.spec.nodeName;
    return wanted ? (info) => (info.node.metadata.name === wanted ? undefined : MISFIT) : undefined;
  },
};
