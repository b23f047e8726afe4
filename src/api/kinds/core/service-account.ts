// ServiceAccount: core/v1.

import type { ServiceAccount as ServiceAccountObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type ServiceAccount = ServiceAccountObject;

export const ServiceAccount = defineKind<ServiceAccountObject>({
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  namespaced: true,
  shortNames: ['sa'],
});
