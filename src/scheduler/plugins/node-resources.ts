// NodeResourcesFit refuses nodes without room and prefers the least allocated; NodeResourcesBalancedAllocation prefers
// nodes whose cpu and memory would be used alike.

import { podRequests } from '../../api/pod-requests.ts';
import { MAX_SCORE, type NodeInfo, type Plugin } from '../framework.ts';
import { weighedRequests } from '../node-state.ts';

export const nodeResourcesFit: Plugin = {
  name: 'NodeResourcesFit',
  wakes: ['NodeAdd', 'NodeUpdate', 'PodDelete', 'PodUpdate'],
  weight: 1,
  filter(pod) {
    const { milliCpu, memory, ephemeralStorage, others } = podRequests(pod);
    return ({ allocatable, requested, pods }) => {
      let reasons: string[] | undefined;
      if (pods.size + 1 > allocatable.pods) (reasons ??= []).push('Too many pods');
      if (milliCpu && milliCpu > allocatable.milliCpu - requested.milliCpu) (reasons ??= []).push('Insufficient cpu');
      if (memory && memory > allocatable.memory - requested.memory) (reasons ??= []).push('Insufficient memory');
      if (ephemeralStorage && ephemeralStorage > allocatable.ephemeralStorage - requested.ephemeralStorage) {
        (reasons ??= []).push('Insufficient ephemeral-storage');
      }
      for (const [name, value] of others) {
        const free = (allocatable.others.get(name) ?? 0) - (requested.others.get(name) ?? 0);
        if (value > free) (reasons ??= []).push(`Insufficient ${name}`);
      }
      if (!reasons) return undefined;
      const impossible =
        milliCpu > allocatable.milliCpu ||
        memory > allocatable.memory ||
        ephemeralStorage > allocatable.ephemeralStorage ||
        [...others].some(([name, value]) => value > (allocatable.others.get(name) ?? 0));
      return { reasons, unresolvable: impossible };
    };
  },
  score(pod) {
    const { milliCpu, memory } = weighedRequests(pod);
    const free = (capacity: number, used: number) =>
      capacity === 0 || used > capacity ? 0 : ((capacity - used) * MAX_SCORE) / capacity;
    return {
      score: ({ allocatable, weighed }: NodeInfo) =>
        Math.floor(
          (Math.floor(free(allocatable.milliCpu, weighed.milliCpu + milliCpu)) +
            Math.floor(free(allocatable.memory, weighed.memory + memory))) /
            2,
        ),
    };
  },
};

export const nodeResourcesBalanced: Plugin = {
  name: 'NodeResourcesBalancedAllocation',
  wakes: [],
  weight: 1,
  score(pod) {
    const { milliCpu, memory } = podRequests(pod);
    if (!milliCpu && !memory) return undefined;
    const share = (capacity: number, used: number) => (capacity === 0 ? 1 : Math.min(1, used / capacity));
    return {
      score({ allocatable, requested }) {
        const cpu = share(allocatable.milliCpu, requested.milliCpu + milliCpu);
        const mem = share(allocatable.memory, requested.memory + memory);
        return Math.floor((1 - Math.abs(cpu - mem) / 2) * MAX_SCORE);
      },
    };
  },
};
