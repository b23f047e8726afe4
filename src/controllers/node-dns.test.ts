import { expect, test } from 'vitest';
import { Node } from '../api/kinds/core/node.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import { startControllers } from '../cluster/test-controllers.ts';
import { DNS_PORT_ANNOTATION, nodeDns } from './node-dns.ts';

const node = (name: string, podCIDR: string, port?: string) => ({
  metadata: { name, ...(port === undefined ? {} : { annotations: { [DNS_PORT_ANNOTATION]: port } }) },
  spec: { podCIDR, podCIDRs: [podCIDR] },
});
const status = (ready: 'True' | 'Unknown') => ({ status: { conditions: [{ type: 'Ready', status: ready }] } });

test('a node that answers is an endpoint for its own pods, ready as it is', async () => {
  const { client, settle, stop } = await startControllers([nodeDns]);
  const slices = async () => (await client.list(EndpointSlice, { namespace: 'kube-system' })).items;
  await client.create(Node, node('a', '10.244.1.0/24', '4053'));
  await client.create(Node, node('b', '10.244.2.0/24'));
  await client.create(Node, node('c', '10.244.3.0/24', '70000'));
  await settle();
  const [slice, ...others] = await slices();
  expect(others).toEqual([]);
  expect(slice).toMatchObject({
    metadata: {
      name: 'kube-dns-a',
      labels: { 'kubernetes.io/service-name': 'kube-dns' },
      ownerReferences: [{ kind: 'Node', name: 'a' }],
    },
    endpoints: [
      {
        addresses: ['10.244.1.1'],
        conditions: { ready: false, serving: false },
        nodeName: 'a',
        hints: { forNodes: [{ name: 'a' }] },
      },
    ],
    ports: [
      { name: 'dns', port: 4053, protocol: 'UDP' },
      { name: 'dns-tcp', port: 4053, protocol: 'TCP' },
    ],
  });
  await client.patch(Node, { name: 'a' }, 'merge', status('True'), { subresource: 'status' });
  await client.patch(Node, { name: 'b' }, 'merge', { metadata: { annotations: { [DNS_PORT_ANNOTATION]: '5053' } } });
  await settle();
  const states = (await slices()).map((s) => [
    s.metadata.name,
    s.ports?.[0]?.port,
    s.endpoints?.[0]?.conditions?.ready,
  ]);
  expect(states).toEqual([
    ['kube-dns-a', 4053, true],
    ['kube-dns-b', 5053, false],
  ]);
  await client.patch(Node, { name: 'a' }, 'merge', status('Unknown'), { subresource: 'status' });
  await client.delete(EndpointSlice, { namespace: 'kube-system', name: 'kube-dns-b' });
  await settle();
  expect((await slices()).map((s) => s.endpoints?.[0]?.conditions?.ready)).toEqual([false, false]);
  await client.patch(Node, { name: 'a' }, 'merge', { metadata: { annotations: { [DNS_PORT_ANNOTATION]: null } } });
  await settle();
  expect((await slices()).map((s) => s.metadata.name)).toEqual(['kube-dns-b']);
  await stop();
});
