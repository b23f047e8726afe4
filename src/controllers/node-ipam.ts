// Gives each node a part of the cluster's pod address range.

import type { Node as NodeObject } from '../api/generated/core-v1.ts';
import { Node } from '../api/kinds/core/node.ts';
import { defineController, NOTHING, watch, type Action, type ControllerDefinition } from '../client/controller.ts';

/** Nodes served by one plan. */
const AT_ONCE = 100;

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
  function* free(nodes: readonly NodeObject[]): Generator<string, undefined> {
    const taken = new Set(nodes.flatMap((n) => n.spec?.podCIDRs ?? (n.spec?.podCIDR ? [n.spec.podCIDR] : [])));
    for (let i = 0; i < count; i++) {
      const cidr = format(base + i * size, nodeMaskSize);
      if (!taken.has(cidr)) yield cidr;
    }
    return undefined;
  }
  return defineController({
    name: 'node-controller',
    component: 'cidrAllocator',
    // One at a time: two nodes must not be given the same part.
    workers: 1,
    // One key for all nodes: the barrier then holds it until the cache shows the last part given away.
    watches: [watch({ kind: Node, keys: (node) => (node?.spec?.podCIDR ? [] : ['nodes']) })],
    grants: [{ groups: [''], resources: ['nodes'], verbs: ['patch', 'update'] }],
    plan(_, view) {
      const nodes = view.of(Node).list();
      const waiting = nodes.filter((n) => !n.spec?.podCIDR && !n.metadata.deletionTimestamp).slice(0, AT_ONCE);
      if (waiting.length === 0) return NOTHING;
      const parts = free(nodes);
      const actions = waiting.map((node) => {
        const cidr = parts.next().value;
        return cidr === undefined ? exhausted(node) : assign(node, cidr);
      });
      if (actions.some((a) => a.do === 'event')) return { actions: [actions], again: 60_000, idle: true };
      return { actions: [actions], again: 0 };
    },
  });
}

function assign({ metadata: { name, uid } }: NodeObject, cidr: string): Action {
  const patch = { metadata: { uid }, spec: { podCIDR: cidr, podCIDRs: [cidr] } };
  return { do: 'patch', kind: Node, ref: { name }, type: 'strategic', patch, ignore: ['NotFound'] };
}

function exhausted(about: NodeObject): Action {
  const message = `Node ${about.metadata.name} status is now: CIDRNotAvailable`;
  return { do: 'event', event: { about, type: 'Normal', reason: 'CIDRNotAvailable', message } };
}
