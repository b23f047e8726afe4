// Cluster DNS where nodes answer for themselves: an EndpointSlice of the Service kube-dns for every node that says it does,
// meant for the pods of that node. Where its node is not ready, others stand in. It goes with its node.

import { Node } from '../api/kinds/core/node.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import { defineController, NOTHING, watch } from '../client/controller.ts';
import { sameValue } from './same-value.ts';
import { MANAGED_BY_LABEL, SERVICE_LABEL } from './service-endpoints.ts';

/** A node's word that it answers at the first address of its pods: the port, for UDP and TCP. */
export const DNS_PORT_ANNOTATION = 'node.coracle.dev/cluster-dns-port';
const NAMESPACE = 'kube-system';
const PREFIX = 'kube-dns-';
const CONTROLLER = 'node-dns-controller';

const isReady = (node: Node) =>
  node.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;

/** What of a node its slice depends on. */
const relevant = (node: Node | undefined) =>
  node && [node.metadata.annotations?.[DNS_PORT_ANNOTATION], node.spec.podCIDR, isReady(node)].join(' ');

/** The first address of a block: `10.244.1.1` of `10.244.1.0/24`. */
function firstOf(cidr: string): string {
  const bytes = cidr.split('/')[0]!.split('.');
  return [...bytes.slice(0, 3), Number(bytes[3]) + 1].join('.');
}

/** Undefined for a node that does not answer, or says so in a way that cannot be. */
function sliceOf(node: Node) {
  const { name, uid, annotations } = node.metadata;
  const { podCIDR } = node.spec;
  const port = Number(annotations?.[DNS_PORT_ANNOTATION]);
  if (!podCIDR || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  const ready = isReady(node);
  return {
    metadata: {
      namespace: NAMESPACE,
      name: `${PREFIX}${name}`,
      labels: { [SERVICE_LABEL]: 'kube-dns', [MANAGED_BY_LABEL]: CONTROLLER },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid }],
    },
    addressType: 'IPv4',
    endpoints: [
      {
        addresses: [firstOf(podCIDR)],
        conditions: { ready, serving: ready, terminating: false },
        nodeName: name,
        hints: { forNodes: [{ name }] },
      },
    ],
    ports: [
      { name: 'dns', port, protocol: 'UDP' },
      { name: 'dns-tcp', port, protocol: 'TCP' },
    ],
  };
}

export const nodeDns = defineController({
  name: CONTROLLER,
  watches: [
    watch({
      kind: Node,
      keys: (node, old) => (relevant(node) === relevant(old) ? [] : [(node ?? old)!.metadata.name]),
    }),
    watch({
      kind: EndpointSlice,
      keys: (slice, old) => {
        const { name, labels } = (slice ?? old)!.metadata;
        return labels?.[MANAGED_BY_LABEL] === CONTROLLER ? [name.slice(PREFIX.length)] : [];
      },
    }),
  ],
  grants: [{ groups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['create', 'update', 'delete'] }],
  plan(name, view) {
    const node = view.of(Node).get(name);
    const existing = view.of(EndpointSlice).get(`${NAMESPACE}/${PREFIX}${name}`);
    const wanted = node && !node.metadata.deletionTimestamp ? sliceOf(node) : undefined;
    if (!wanted) {
      // Without its node it has no owner, and goes by itself.
      if (!existing || !node || existing.metadata.labels?.[MANAGED_BY_LABEL] !== CONTROLLER) return NOTHING;
      return { actions: [{ do: 'delete', kind: EndpointSlice, ref: existing.metadata, ignore: ['NotFound'] }] };
    }
    if (!existing)
      return { actions: [{ do: 'create', kind: EndpointSlice, object: wanted, ignore: ['AlreadyExists'] }] };
    const { metadata, ...rest } = wanted;
    const { labels, ownerReferences } = metadata;
    const same =
      sameValue(existing.endpoints, rest.endpoints) &&
      sameValue(existing.ports, rest.ports) &&
      sameValue(existing.metadata.ownerReferences, ownerReferences) &&
      existing.metadata.labels?.[SERVICE_LABEL] === labels[SERVICE_LABEL];
    if (same) return NOTHING;
    const merged = { ...existing.metadata, labels: { ...existing.metadata.labels, ...labels }, ownerReferences };
    return { actions: [{ do: 'update', kind: EndpointSlice, object: { ...existing, ...rest, metadata: merged } }] };
  },
});
