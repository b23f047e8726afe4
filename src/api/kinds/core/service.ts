// Service: core/v1.

import type { Service as ServiceObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type Service = ServiceObject;

export const Service = defineKind<ServiceObject>({
  group: '',
  version: 'v1',
  kind: 'Service',
  plural: 'services',
  namespaced: true,
  shortNames: ['svc'],
  categories: ['all'],
});
