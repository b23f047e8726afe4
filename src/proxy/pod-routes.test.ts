import { expect, test } from 'vitest';
import type { Node } from '../api/kinds/core/node.ts';
import { planRoutes } from './pod-routes.ts';

const node = (name: string, podCIDR: string | undefined, ...addresses: string[]) =>
  ({
    metadata: { name },
    spec: podCIDR ? { podCIDR } : {},
    status: {
      addresses: [
        { type: 'Hostname', address: name },
        ...addresses.map((address) => ({ type: 'InternalIP', address })),
      ],
    },
  }) as unknown as Node;

test('a route to the pods of every other node that has addresses, by its first IPv4 address', () => {
  const nodes = [
    node('c', '10.244.2.0/24', 'fd00::3', '10.0.0.3', '192.168.0.3'),
    node('a', '10.244.0.0/24', '10.0.0.1'),
    node('b', '10.244.1.0/24', '10.0.0.2'),
    node('without-range', undefined, '10.0.0.4'),
    node('without-address', '10.244.5.0/24'),
  ];
  expect(planRoutes(nodes, 'a')).toEqual([
    { cidr: '10.244.1.0/24', via: '10.0.0.2' },
    { cidr: '10.244.2.0/24', via: '10.0.0.3' },
  ]);
  expect(planRoutes([], 'a')).toEqual([]);
});
