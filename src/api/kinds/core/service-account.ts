// ServiceAccount: core/v1.

import type { ServiceAccount as ServiceAccountObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import type { Errors } from '../../validate/checks.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { AGE, ageOf, integer, NAME } from '../columns.ts';

export type ServiceAccount = ServiceAccountObject;

const MOUNTABLE = 'kubernetes.io/enforce-mountable-secrets';

export const ServiceAccount = defineKind<ServiceAccountObject>({
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  namespaced: true,
  shortNames: ['sa'],

  prepareForCreate: keepSecretNames,
  prepareForUpdate: keepSecretNames,
  validate({ metadata }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    return out;
  },
  warnings({ metadata }, old) {
    const value = metadata.annotations?.[MOUNTABLE];
    if (value === undefined || value === old?.metadata.annotations?.[MOUNTABLE]) return [];
    const advice = 'prefer separate namespaces to isolate access to mounted secrets';
    return [`metadata.annotations[${MOUNTABLE}]: deprecated in v1.32+; ${advice}`];
  },

  subresources: {
    token: { verbs: ['create'], group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
  },
  columns: [NAME, integer('Secrets', 'How many secrets its pods may use.'), AGE],
  row: (account, now) => [account.metadata.name, account.secrets?.length ?? 0, ageOf(account, now)],
});

/** References to secrets are by name alone. */
function keepSecretNames(account: ServiceAccountObject): void {
  if (account.secrets) account.secrets = account.secrets.map(({ name }) => ({ name: name ?? '' }));
}
