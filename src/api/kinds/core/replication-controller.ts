// ReplicationController: core/v1.

import type { ReplicationController as ReplicationControllerObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type ReplicationController = ReplicationControllerObject;

export const ReplicationController = defineKind<ReplicationControllerObject>({
  group: '',
  version: 'v1',
  kind: 'ReplicationController',
  plural: 'replicationcontrollers',
  namespaced: true,
  shortNames: ['rc'],
  categories: ['all'],
});
