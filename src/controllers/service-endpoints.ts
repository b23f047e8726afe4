// What EndpointSlice and Endpoints controllers share: which Services a pod concerns, and the addresses and ports of a
// Service's pods. https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/

import type { Pod, Service, ServicePort } from '../api/generated/core-v1.ts';
import { Pod as PodKind } from '../api/kinds/core/pod.ts';
import { Service as ServiceKind } from '../api/kinds/core/service.ts';
import { keyOf } from '../api/object.ts';
import { watch, type View } from '../client/controller.ts';

export const HEADLESS_LABEL = 'service.kubernetes.io/headless';

const selects = (service: Service, pod: Pod): boolean => {
  const { selector } = service.spec;
  if (!selector || Object.keys(selector).length === 0) return false;
  const labels = pod.metadata.labels ?? {};
  for (const key in selector) if (labels[key] !== selector[key]) return false;
  return true;
};

const isReady = (pod: Pod) => pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;

/** What of a pod shows up in endpoints; a change of anything else concerns no Service. */
function relevant(pod: Pod): string {
  const { status, metadata, spec } = pod;
  return [
    status?.podIP,
    status?.podIPs?.length,
    status?.phase,
    isReady(pod),
    metadata.deletionTimestamp,
    spec.nodeName,
    spec.hostname,
    spec.subdomain,
  ].join();
}

/** Watches Services and their pods; keys are those of Services. */
export const serviceWatches = [
  watch({ kind: ServiceKind, keys: 'self' }),
  watch({
    kind: PodKind,
    keys(pod, old, view) {
      const sameLabels =
        pod &&
        old &&
        (pod.metadata.labels === old.metadata.labels || sameMap(pod.metadata.labels, old.metadata.labels));
      if (pod && old && sameLabels && relevant(pod) === relevant(old)) return [];
      const { namespace } = (pod ?? old)!.metadata;
      return view
        .of(ServiceKind)
        .list(namespace)
        .filter((service) => (pod && selects(service, pod)) || (old && selects(service, old)))
        .map(keyOf);
    },
  }),
];

function sameMap(a: Record<string, string> = {}, b: Record<string, string> = {}): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

export interface EndpointPod {
  readonly pod: Pod;
  readonly ips: readonly string[];
  readonly ready: boolean;
  readonly terminating: boolean;
}

/** The Service's pods that have an address and are not finished, in a stable order; undefined when it selects nothing. */
export function podsOf(service: Service, view: View): EndpointPod[] | undefined {
  const { selector, type } = service.spec;
  if (type === 'ExternalName' || !selector || Object.keys(selector).length === 0) return undefined;
  return view
    .of(PodKind)
    .list(service.metadata.namespace)
    .filter((pod) => selects(service, pod))
    .flatMap((pod) => {
      const { status, metadata } = pod;
      const finished = status?.phase === 'Succeeded' || status?.phase === 'Failed';
      const ips = status?.podIPs?.flatMap((i) => i.ip ?? []) ?? (status?.podIP ? [status.podIP] : []);
      if (finished || ips.length === 0) return [];
      return [{ pod, ips, ready: isReady(pod), terminating: metadata.deletionTimestamp !== undefined }];
    })
    .sort((a, b) => (a.pod.metadata.uid < b.pod.metadata.uid ? -1 : 1));
}

/** The port number in one pod that a Service port leads to; undefined when the pod has no port of that name. */
function targetPort(port: ServicePort, pod: Pod): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target || port.port;
  for (const container of [
    ...pod.spec.containers,
    ...(pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always'),
  ]) {
    const found = container.ports?.find((p) => p.name === target && (p.protocol ?? 'TCP') === (port.protocol ?? 'TCP'));
    if (found) return found.containerPort;
  }
  return undefined;
}

export interface ResolvedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

/** The Service's ports as they are in one pod; ports by a name the pod does not have are left out. */
export function portsIn(service: Service, pod: Pod): ResolvedPort[] {
  return (service.spec.ports ?? []).flatMap((port) => {
    const number = targetPort(port, pod);
    if (number === undefined) return [];
    const { name = '', protocol = 'TCP', appProtocol } = port;
    return [{ name, port: number, protocol, ...(appProtocol ? { appProtocol } : {}) }];
  });
}

/** A headless Service without ports still gives names to its pods. */
export const isHeadless = (service: Service) => service.spec.clusterIP === 'None';

/** The pod's hostname as DNS name below the Service, when it asked for that Service as its subdomain. */
export function hostnameIn(service: Service, pod: Pod): string | undefined {
  const { hostname, subdomain } = pod.spec;
  return hostname && subdomain === service.metadata.name ? hostname : undefined;
}
