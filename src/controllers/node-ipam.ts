// Gives each node a part of the cluster's pod address range.

import type { Node as NodeObject } from '../api/generated/core-v1.ts';
import { Node } from '../api/kinds/core/node.ts';
import { defineController, NOTHING, watch, type ControllerDefinition } from '../client/controller.ts';

function parse(cidr: string): { base: number; bits: number } {
  const [ip = '', bits = ''] = cidr.split('/');
  const base = ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return { base, bits: Number(bits) };
}
const format = (base: number, bits: number) =>
  `${[24, 16, 8, 0].map((shift) => (base / 2 ** shift) & 255).join('.')}/${bits}`;

/** `clusterCidr` e.g. `10.244.0.0/16`, cut into parts of `nodeMaskSize` bits. */
export function nodeIpam(clusterCidr: string, nodeMaskSize = 24): ControllerDefinition {
  const { base, bits } = parse(clusterCidr);
  const size = 2 ** (32 - nodeMaskSize);
  const count = 2 ** Math.max(0, nodeMaskSize - bits);
  const firstFree = (nodes: readonly NodeObject[]) => {
    const taken = new Set(nodes.flatMap((n) => n.spec.podCIDRs ?? (n.spec.podCIDR ? [n.spec.podCIDR] : [])));
    for (let i = 0; i < count; i++) {
      const cidr = format(base + i * size, nodeMaskSize);
      if (!taken.has(cidr)) return cidr;
    }
    return undefined;
  };
  return defineController({
    name: 'node-controller',
    component: 'cidrAllocator',
    // One at a time: two nodes must not be given the same part.
    workers: 1,
    // One key for all nodes: the barrier then holds it until the cache shows the last part given away.
    watches: [watch({ kind: Node, keys: (node) => (node && !node.spec.podCIDR ? ['nodes'] : []) })],
    grants: [{ groups: [''], resources: ['nodes'], verbs: ['patch', 'update'] }],
    plan(_, view) {
      const nodes = view.of(Node).list();
      const waiting = nodes.filter((n) => !n.spec.podCIDR && !n.metadata.deletionTimestamp);
      const node = waiting[0];
      if (!node) return NOTHING;
      const cidr = firstFree(nodes);
      if (!cidr) {
        const event = {
          about: node,
          type: 'Normal',
          reason: 'CIDRNotAvailable',
          message: `Node ${node.metadata.name} status is now: CIDRNotAvailable`,
        } as const;
        return { actions: [{ do: 'event', event }], again: 60_000, idle: true };
      }
      const patch = { metadata: { uid: node.metadata.uid }, spec: { podCIDR: cidr, podCIDRs: [cidr] } };
      return {
        actions: [
          {
            do: 'patch',
            kind: Node,
            ref: { name: node.metadata.name },
            type: 'strategic',
            patch,
            ignore: ['NotFound'],
          },
        ],
        ...(waiting.length > 1 ? { again: 0 } : {}),
      };
    },
  });
}
