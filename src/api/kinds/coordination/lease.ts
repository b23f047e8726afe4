// Lease: coordination.k8s.io/v1. Who holds something, and until when: leader election and node heartbeats.

import { field } from '../../errors.ts';
import type { Lease as LeaseObject } from '../../generated/coordination-v1.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, missing, notNegative } from '../../validate/checks.ts';
import { addFaults, qualifiedName } from '../../validate/names.ts';
import { AGE, ageOf, NAME, text } from '../columns.ts';

export type Lease = LeaseObject;

export const Lease = defineKind<LeaseObject>({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
  createOnUpdate: true,
  requireVersionOnUpdate: true,

  validate({ spec }) {
    const out: Errors = [];
    const seconds = spec.leaseDurationSeconds;
    if (seconds !== undefined && seconds <= 0) {
      out.push(field.invalid('spec.leaseDurationSeconds', seconds, 'must be greater than 0'));
    }
    notNegative(spec.leaseTransitions, 'spec.leaseTransitions', out);
    const { strategy, preferredHolder } = spec;
    const at = 'spec.strategy.strategy'; // Upstream says it twice.
    if (strategy?.includes('/')) addFaults(qualifiedName(strategy), at, strategy, out);
    else if (strategy !== undefined && strategy !== 'OldestEmulationVersion') {
      out.push(field.notSupported(at, strategy, ['OldestEmulationVersion']));
    }
    if (!missing(preferredHolder) && missing(strategy)) {
      out.push(field.forbidden('spec.preferredHolder', 'may only be specified if `strategy` is defined'));
    }
    return out;
  },

  columns: [NAME, text('Holder', 'Who holds the lease.'), AGE],
  row: (lease, now) => [lease.metadata.name, lease.spec.holderIdentity ?? '', ageOf(lease, now)],
});
