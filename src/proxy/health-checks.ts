// What load balancers ask a node: whether pods of a Service run on it (`healthCheckNodePort`, with externalTrafficPolicy Local).
// https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/#preserving-the-client-source-ip

import type { Service } from '../api/generated/core-v1.ts';
import type { EndpointSlice } from '../api/generated/discovery-v1.ts';

export interface HealthCheck {
  readonly port: number;
  readonly namespace: string;
  readonly name: string;
  /** Ready endpoints of the Service on this node. */
  readonly localEndpoints: number;
}

/** Answers the load balancers. */
export interface HealthSink {
  /** What the Service with this key has to tell from now on; undefined: nothing more. */
  set(key: string, check: HealthCheck | undefined): void;
  /** Answers nobody any more. */
  close(): Promise<void>;
}

export function planHealthCheck(
  { metadata, spec }: Service,
  slices: readonly EndpointSlice[],
  nodeName: string,
): HealthCheck | undefined {
  const { healthCheckNodePort: port } = spec;
  if (!port || spec.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local') return undefined;
  const local = new Set<string>();
  for (const { endpoints = [] } of slices)
    for (const { addresses, conditions, nodeName: where } of endpoints)
      if (where === nodeName && (conditions?.ready ?? true)) local.add(addresses[0]!);
  return { port, namespace: metadata.namespace!, name: metadata.name, localEndpoints: local.size };
}
