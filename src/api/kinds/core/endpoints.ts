// Endpoints: core/v1.

import type { Endpoints as EndpointsObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type Endpoints = EndpointsObject;

export const Endpoints = defineKind<EndpointsObject>({
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  plural: 'endpoints',
  namespaced: true,
  shortNames: ['ep'],
});
