// Cluster DNS as this process answers it: at the node's address among its pods, from the moment that the pod network is
// there. The Service kube-dns has it as an endpoint that serves while it terminates, which proxies use when no endpoint is
// ready: pods of Deployment coredns answer once they run, and go on when this process is gone.
// https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#conditions
// A node that joined from elsewhere has no such pods: it answers for its own.

import packet from 'dns-packet';
import { Node } from '../api/kinds/core/node.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import { sleep, type Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { DNS_PORT_ANNOTATION } from '../controllers/node-dns.ts';
import { clusterNames } from '../dns/dns.ts';
import { DnsForwarder, nameservers } from '../host/dns-forward.ts';
import { startDnsServer, type DnsServer } from '../host/dns-server.ts';

export const DNS_TTL = 30;
const SERVICE = { namespace: 'kube-system', name: 'kube-dns' };
const MANAGER = 'coracle-addons';
/** How long one question to cluster DNS may take at the start, and all of them. */
const PATIENCE = 100;
const ALL_PATIENCE = 10_000;

export interface NodeDnsOptions {
  readonly env: Env;
  readonly client: Client;
  readonly nodeName: string;
  /** An IPv4 address of the node that pods reach and nobody else. */
  readonly address: string;
  readonly domain: string;
}

/** Stands in for the pods of cluster DNS. Resolves once it answers and the Service knows; ends with the signal. */
export async function startNodeDns(options: NodeDnsOptions, context: { signal: AbortSignal }): Promise<DnsServer> {
  const server = await serveNames(options, context);
  await options.client.apply(EndpointSlice, sliceOf(options, server.port), { fieldManager: MANAGER, force: true });
  return server;
}

/** Answers for its own node, with its rights, and says so on its Node: a controller makes it an endpoint of the Service. */
export async function startOwnDns(options: NodeDnsOptions, context: { signal: AbortSignal }): Promise<DnsServer> {
  const server = await serveNames(options, context, { namespaces: false });
  const patch = { metadata: { annotations: { [DNS_PORT_ANNOTATION]: String(server.port) } } };
  await options.client.patch(Node, { name: options.nodeName }, 'merge', patch);
  return server;
}

async function serveNames(
  { env, client, address, domain }: NodeDnsOptions,
  { signal }: { signal: AbortSignal },
  reads?: { readonly namespaces: boolean },
): Promise<DnsServer> {
  const names = clusterNames(createInformerFactory({ client, env }, { signal }), domain, reads);
  await names.synced;
  const server = await startDnsServer({
    address,
    // Any: the Service's port is another one, and 53 may be somebody's who listens on all addresses.
    port: 0,
    ttl: DNS_TTL,
    domain,
    log: env.log.child('dns'),
    upstreams: nameservers('/etc/resolv.conf'),
    ask: (question) => names.ask(question),
  });
  const close = () =>
    void server.close().catch((error: unknown) => env.log.warn('cannot close cluster DNS', { error }));
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, { once: true });
  return server;
}

function sliceOf({ address, nodeName }: NodeDnsOptions, port: number) {
  return {
    metadata: {
      namespace: SERVICE.namespace,
      name: `${SERVICE.name}-node`,
      labels: {
        'kubernetes.io/service-name': SERVICE.name,
        'endpointslice.kubernetes.io/managed-by': MANAGER,
      },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: false, serving: true, terminating: true }, nodeName }],
    ports: [
      { name: 'dns', port, protocol: 'UDP' },
      { name: 'dns-tcp', port, protocol: 'TCP' },
    ],
  };
}

/** Resolves once the Service's address answers a question about the API server, as pods ask. */
export async function dnsAnswers(
  env: Env,
  serviceIp: string,
  domain: string,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const asker = new DnsForwarder([serviceIp], PATIENCE);
  const questions = [{ type: 'A' as const, name: `kubernetes.default.svc.${domain}` }];
  const query = packet.encode({ type: 'query', id: 1, flags: packet.RECURSION_DESIRED, questions });
  for (const began = env.clock.monotonic(); ;) {
    signal.throwIfAborted();
    const refused = await asker.ask(query, 'udp').then(
      (answer) => ((answer[3]! & 0x0f) === 0 ? undefined : `it answers with code ${answer[3]! & 0x0f}`),
      (error: Error) => error.message,
    );
    if (refused === undefined) return;
    if (env.clock.monotonic() - began > ALL_PATIENCE)
      throw new Error(`cluster DNS does not answer at ${serviceIp}: ${refused}`);
    await sleep(env, 5, { signal });
  }
}
