// The downward API: what a pod may read about itself, as text.
// https://kubernetes.io/docs/concepts/workloads/pods/downward-api/

import type { ResourceFieldSelector } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { parseQuantity, ZERO, type Quantity } from '../api/quantity.ts';
import { containersOf } from './pod-spec.ts';

export interface PodAddresses {
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
}

const SUBSCRIPT = /^metadata\.(labels|annotations)\['(.*)'\]$/;

/** The text of a field; throws for one that is no downward API field. Absent labels and annotations are empty. */
export function fieldValue(pod: Pod, path: string, addresses: PodAddresses): string {
  const { metadata, spec } = pod;
  const keyed = SUBSCRIPT.exec(path);
  if (keyed) return metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2]!] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return mapText(metadata.labels);
    case 'metadata.annotations':
      return mapText(metadata.annotations);
    case 'spec.nodeName':
      return spec!.nodeName ?? '';
    case 'spec.serviceAccountName':
      return spec!.serviceAccountName ?? '';
    case 'status.hostIP':
      return addresses.hostIPs[0] ?? '';
    case 'status.hostIPs':
      return addresses.hostIPs.join(',');
    case 'status.podIP':
      return addresses.podIPs[0] ?? '';
    case 'status.podIPs':
      return addresses.podIPs.join(',');
    default:
      throw new Error(`unsupported fieldPath: ${path}`);
  }
}

/** `key="escaped value"` per line, sorted by key. */
function mapText(map: Readonly<Record<string, string>> | undefined): string {
  const keys = Object.keys(map ?? {}).sort();
  return keys.map((key) => `${key}=${goQuote(map![key]!)}`).join('\n');
}

/** As Go's %q for the characters labels and annotations hold. */
function goQuote(text: string): string {
  return JSON.stringify(text)
    .replaceAll('\u2028', String.raw`\u2028`)
    .replaceAll('\u2029', String.raw`\u2029`);
}

/**
 * A container's request or limit divided by the divisor, rounded up. A missing limit of cpu, memory or
 * ephemeral-storage is what the node can give.
 */
export function resourceValue(
  pod: Pod,
  selector: ResourceFieldSelector,
  containerName: string,
  allocatable: Readonly<Record<string, string>>,
): string {
  const name = selector.containerName || containerName;
  const container = containersOf(pod).find((c) => c.container.name === name)?.container;
  if (!container) throw new Error(`container ${name} not found`);
  const [which, resource = ''] = selector.resource.split(/\.(.*)/s);
  if (which !== 'limits' && which !== 'requests')
    throw new Error(`unsupported container resource: ${selector.resource}`);
  const text = container.resources?.[which]?.[resource] ?? (which === 'limits' ? allocatable[resource] : undefined);
  const amount: Quantity = text === undefined ? ZERO : parseQuantity(text);
  const given = selector.divisor === undefined ? ZERO : parseQuantity(selector.divisor);
  if (resource === 'cpu') {
    const divisor = given.isZero ? 1000 : given.milliValue;
    return String(Math.ceil(amount.milliValue / divisor));
  }
  return String(Math.ceil(amount.value / (given.isZero ? 1 : given.value)));
}
