// ReplicaSet: apps/v1.

import type { ReplicaSet as ReplicaSetObject } from '../../generated/apps-v1.ts';
import { defineKind } from '../../kind.ts';

export type ReplicaSet = ReplicaSetObject;

export const ReplicaSet = defineKind<ReplicaSetObject>({
  group: 'apps',
  version: 'v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  namespaced: true,
  shortNames: ['rs'],
  categories: ['all'],
});
