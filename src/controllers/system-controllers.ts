// The controllers that need to be told something about their cluster, made for it.

import type { AnyKind } from '../api/kind.ts';
import type { ControllerDefinition } from '../client/controller.ts';
import { clusterRoleAggregation } from './cluster-role-aggregation.ts';
import { endpointSliceMirroring } from './endpoint-slice-mirroring.ts';
import { endpointSlice } from './endpoint-slice.ts';
import { endpoints } from './endpoints.ts';
import { garbageCollector } from './garbage-collector.ts';
import { namespaceLifecycle } from './namespace.ts';
import { nodeIpam } from './node-ipam.ts';
import { nodeLifecycle } from './node-lifecycle.ts';
import { podGc } from './pod-gc.ts';
import { rootCa } from './root-ca.ts';
import { serviceAccount } from './service-account.ts';
import { taintEviction } from './taint-eviction.ts';

export interface SystemControllersConfig {
  /** The kinds served. */
  readonly kinds: readonly AnyKind[];
  /** CA bundle in PEM, for the ConfigMap in every namespace; absent in clusters without TLS. */
  readonly rootCa?: string;
  /** Pod address range; absent when nodes get theirs otherwise. */
  readonly clusterCidr?: string;
}

export function systemControllers(config: SystemControllersConfig): ControllerDefinition[] {
  return [
    clusterRoleAggregation,
    endpointSlice,
    endpointSliceMirroring,
    endpoints,
    garbageCollector(config.kinds),
    namespaceLifecycle(() => config.kinds),
    nodeLifecycle,
    podGc,
    serviceAccount,
    taintEviction,
    ...(config.clusterCidr ? [nodeIpam(config.clusterCidr)] : []),
    ...(config.rootCa ? [rootCa(config.rootCa)] : []),
  ];
}
