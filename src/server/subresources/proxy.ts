// pods/proxy, services/proxy and nodes/proxy: where an HTTP request through the API server goes.

import { badRequest, notFound, StatusError } from '../../api/errors.ts';
import type { Node as NodeObject, Pod as PodObject, Service as ServiceObject } from '../../api/generated/core-v1.ts';
import type { Endpoint, EndpointSlice as EndpointSliceObject } from '../../api/generated/discovery-v1.ts';
import { EndpointSlice } from '../../api/kinds/discovery/endpoint-slice.ts';
import type { ConnectResult } from '../../api/op.ts';
import { requiredName, requireVerb, subjectOf, type Call } from '../call.ts';

interface Address {
  readonly scheme: 'http' | 'https';
  readonly name: string;
  /** A number or a port's name; '' when none was given. */
  readonly port: string;
}

/** `[scheme:]name[:port]`. Throws BadRequest. */
function addressOf(call: Call, what: string): Address {
  const text = requiredName(call.op);
  const parts = text.split(':');
  const wrong = badRequest(`invalid ${what} request ${JSON.stringify(text)}`);
  if (parts.length > 3) throw wrong;
  if (parts.length === 1) return { scheme: 'http', name: text, port: '' };
  const [scheme, name, port] = parts.length === 3 ? parts : ['', ...parts];
  if (!name || (scheme && scheme !== 'http' && scheme !== 'https')) throw wrong;
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port: port ?? '' };
}

function to(call: Call, scheme: 'http' | 'https', host: string, port: number) {
  const path = call.op.connect?.path || '/';
  return { type: 'connect', stream: { kind: 'proxy', scheme, host, port, path } } as const;
}

const isPort = (text: string) => /^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;

/** The machine's own addresses are nobody's pod: a request must not reach the control plane's local services. */
function requireProxyable(ip: string): void {
  const refused = /^(127\.|169\.254\.|0\.0\.0\.0$|22[4-9]\.|23\d\.|::1?$|fe80:|ff)/i.test(ip);
  if (refused || !ip) throw badRequest('address not allowed');
}

export async function podProxy(call: Call): Promise<ConnectResult> {
  requireVerb(call, 'connect');
  const { scheme, name, port } = addressOf(call, 'pod');
  const { kind, op, server } = call;
  const pod = (await server.caches.current(kind)).get(op.namespace, name) as PodObject | undefined;
  if (!pod) throw notFound(subjectOf(kind), name);
  const ip = pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP ?? '';
  requireProxyable(ip);
  const first = pod.spec.containers.flatMap((container) => container.ports ?? [])[0];
  if (port && !isPort(port)) throw badRequest(`invalid pod request ${JSON.stringify(op.name)}`);
  return to(call, scheme, ip, port ? Number(port) : (first?.containerPort ?? (scheme === 'https' ? 443 : 80)));
}

export async function serviceProxy(call: Call): Promise<ConnectResult> {
  requireVerb(call, 'connect');
  const { scheme, name, port } = addressOf(call, 'service');
  const { kind, op, server } = call;
  const service = (await server.caches.current(kind)).get(op.namespace, name) as ServiceObject | undefined;
  if (!service) throw notFound(subjectOf(kind), name);
  const portName = servicePortName(service, port);
  const storage = await server.caches.current(EndpointSlice);
  const slices = storage.cache.list(storage.scope(op.namespace)) as unknown as EndpointSliceObject[];
  const choices: { host: string; port: number }[] = [];
  for (const slice of slices) {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== name) continue;
    const target = slice.ports?.find((p) => (p.name ?? '') === portName)?.port;
    if (target === undefined || target === null) continue;
    for (const endpoint of slice.endpoints ?? []) {
      if (isReady(endpoint) && endpoint.addresses[0]) choices.push({ host: endpoint.addresses[0], port: target });
    }
  }
  const chosen = choices[Math.floor(server.env.random.next() * choices.length)];
  if (!chosen) throw unavailable(`no endpoints available for service ${JSON.stringify(op.name)}`);
  requireProxyable(chosen.host);
  return to(call, scheme, chosen.host, chosen.port);
}

const isReady = (endpoint: Endpoint) => endpoint.conditions?.ready !== false;
const unavailable = (message: string) => new StatusError('ServiceUnavailable', message);

/** The name of the service's port that the request means. */
function servicePortName(service: ServiceObject, wanted: string): string {
  const ports = service.spec?.ports ?? [];
  if (!wanted) return ports.length === 1 ? (ports[0]!.name ?? '') : '';
  const found = isPort(wanted)
    ? ports.find((p) => p.port === Number(wanted))
    : ports.find((p) => (p.name ?? '') === wanted);
  if (found) return found.name ?? '';
  const text = `no service port ${JSON.stringify(wanted)} found for service ${JSON.stringify(service.metadata.name)}`;
  throw unavailable(text);
}

/** The kubelet's own endpoint. */
export async function nodeProxy(call: Call): Promise<ConnectResult> {
  requireVerb(call, 'connect');
  const { scheme, name, port } = addressOf(call, 'node');
  const { kind, server } = call;
  const node = (await server.caches.current(kind)).get(undefined, name) as NodeObject | undefined;
  if (!node) throw notFound(subjectOf(kind), name);
  const host = node.status?.addresses?.find((a) => a.type === 'InternalIP')?.address;
  const own = node.status?.daemonEndpoints?.kubeletEndpoint?.Port;
  if (!host) throw unavailable(`no preferred addresses found; known addresses: []`);
  if (port && !isPort(port)) throw badRequest(`invalid node request ${JSON.stringify(call.op.name)}`);
  const target = port ? Number(port) : (own ?? 10250);
  if (target !== own && port) return to(call, scheme, host, target);
  const { stream } = to(call, 'https', host, target);
  return { type: 'connect', stream: { ...stream, kubelet: true } };
}
