// EndpointSlice: discovery.k8s.io/v1.

import type { EndpointSlice as EndpointSliceObject } from '../../generated/discovery-v1.ts';
import { defineKind } from '../../kind.ts';

export type EndpointSlice = EndpointSliceObject;

export const EndpointSlice = defineKind<EndpointSliceObject>({
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  namespaced: true,
});
