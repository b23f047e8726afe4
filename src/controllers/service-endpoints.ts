// What EndpointSlice and Endpoints controllers share: which Services a pod concerns, and the addresses and ports of a
// Service's pods. https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/

import type { Pod, Service, ServicePort } from '../api/generated/core-v1.ts';
import { Pod as PodKind } from '../api/kinds/core/pod.ts';
import { Service as ServiceKind } from '../api/kinds/core/service.ts';
import { keyOf } from '../api/object.ts';
import { watch, type View } from '../client/controller.ts';
import { isReady, isTerminal, sameLabels } from './pod-state.ts';

export const HEADLESS_LABEL = 'service.kubernetes.io/headless';
export const SERVICE_LABEL = 'kubernetes.io/service-name';
export const MANAGED_BY_LABEL = 'endpointslice.kubernetes.io/managed-by';

/** Pods by each of their labels: a Service's pods are found without a look at all of its namespace. */
const BY_LABEL = 'endpoints-label';
const labelKey = (namespace: string | undefined, key: string, value: string) => `${namespace}/${key}=${value}`;

/** The selector, unless the Service leaves its endpoints to somebody else. */
export function selectorOf({ spec }: Service): Readonly<Record<string, string>> | undefined {
  if (spec.type === 'ExternalName' || !spec.selector) return undefined;
  for (const _ in spec.selector) return spec.selector;
  return undefined;
}

function selects(service: Service, pod: Pod): boolean {
  const selector = selectorOf(service);
  if (!selector) return false;
  const { labels = {} } = pod.metadata;
  for (const key in selector) if (labels[key] !== selector[key]) return false;
  return true;
}

/** What of a pod shows up in endpoints; a change of anything else concerns no Service. */
function relevant(pod: Pod): string {
  const { nodeName, hostname, subdomain } = pod.spec;
  const { deletionTimestamp } = pod.metadata;
  return [isTerminal(pod), isReady(pod), deletionTimestamp, nodeName, hostname, subdomain, ...ipsOf(pod)].join(' ');
}

/** Services by one label that they ask for: a pod's Services are found without a look at all of its namespace. */
const BY_SELECTOR = 'endpoints-selector';

function selectorKey(service: Service): string[] {
  const selector = selectorOf(service);
  if (!selector) return [];
  // The longest value is likely the one that the fewest share: `app=shop-cart` beside `tier=web`.
  let chosen: string | undefined;
  for (const key in selector)
    if (chosen === undefined || selector[key]!.length > selector[chosen]!.length) chosen = key;
  return [labelKey(service.metadata.namespace, chosen!, selector[chosen!]!)];
}

/** The keys of the Services that select the pod. */
export function servicesOf(pod: Pod, view: View): string[] {
  const { labels = {}, namespace } = pod.metadata;
  const services = view.of(ServiceKind);
  const found: string[] = [];
  for (const key in labels)
    for (const service of services.byIndex(BY_SELECTOR, labelKey(namespace, key, labels[key]!)))
      if (selects(service, pod)) found.push(keyOf(service));
  return found;
}

/** Watches Services and their pods; keys are those of Services. */
export const serviceWatches = [
  watch({ kind: ServiceKind, keys: 'self', indexes: { [BY_SELECTOR]: selectorKey } }),
  watch({
    kind: PodKind,
    indexes: {
      [BY_LABEL]: ({ metadata: { labels = {}, namespace } }) =>
        Object.keys(labels).map((key) => labelKey(namespace, key, labels[key]!)),
    },
    keys(pod, old, view) {
      if (!pod || !old) return servicesOf((pod ?? old)!, view);
      if (sameLabels(pod, old)) return relevant(pod) === relevant(old) ? [] : servicesOf(pod, view);
      return [...new Set([...servicesOf(pod, view), ...servicesOf(old, view)])];
    },
  }),
];

export interface EndpointPod {
  readonly pod: Pod;
  readonly ips: readonly string[];
  readonly ready: boolean;
  readonly terminating: boolean;
}

const ipsOf = ({ status }: Pod) =>
  status?.podIPs?.flatMap(({ ip }) => ip ?? []) ?? (status?.podIP ? [status.podIP] : []);

/** The Service's pods that have an address and are not finished, in a stable order; undefined when it selects nothing. */
export function podsOf(service: Service, view: View): EndpointPod[] | undefined {
  const selector = selectorOf(service);
  if (!selector) return undefined;
  const { namespace } = service.metadata;
  let candidates: readonly Pod[] | undefined;
  for (const key in selector) {
    const having = view.of(PodKind).byIndex(BY_LABEL, labelKey(namespace, key, selector[key]!));
    if (!candidates || having.length < candidates.length) candidates = having;
  }
  return (candidates ?? [])
    .flatMap((pod): EndpointPod[] => {
      if (isTerminal(pod) || !selects(service, pod)) return [];
      const ips = ipsOf(pod);
      if (ips.length === 0) return [];
      return [{ pod, ips, ready: isReady(pod), terminating: pod.metadata.deletionTimestamp !== undefined }];
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

export const isHeadless = (service: Service) => service.spec.clusterIP === 'None';

/** The pod's hostname as DNS name below the Service, when it asked for that Service as its subdomain. */
export function hostnameIn(service: Service, pod: Pod): string | undefined {
  const { hostname, subdomain } = pod.spec;
  return hostname && subdomain === service.metadata.name ? hostname : undefined;
}

/** The Service's labels as its endpoints carry them, with the mark of a headless one. */
export function labelsFrom(service: Service, own: Readonly<Record<string, string>>): Record<string, string> {
  const { [HEADLESS_LABEL]: _, ...labels } = service.metadata.labels ?? {};
  return { ...labels, ...(isHeadless(service) ? { [HEADLESS_LABEL]: '' } : {}), ...own };
}

/** Plans over many pods rest in between (milliseconds), so that the changes of a rollout gather. */
export const restAfter = (pods: number) => (pods > 100 ? { rest: Math.ceil(pods / 10) } : {});
