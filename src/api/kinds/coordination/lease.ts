// Lease: coordination.k8s.io/v1.

import type { Lease as LeaseObject } from '../../generated/coordination-v1.ts';
import { defineKind } from '../../kind.ts';

export type Lease = LeaseObject;

export const Lease = defineKind<LeaseObject>({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
});
