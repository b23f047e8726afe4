// Deployment: apps/v1.

import type { Deployment as DeploymentObject } from '../../generated/apps-v1.ts';
import { defineKind } from '../../kind.ts';

export type Deployment = DeploymentObject;

export const Deployment = defineKind<DeploymentObject>({
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
  shortNames: ['deploy'],
  categories: ['all'],
});
