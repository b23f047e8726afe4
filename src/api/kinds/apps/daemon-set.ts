// DaemonSet: apps/v1.

import type { DaemonSet as DaemonSetObject } from '../../generated/apps-v1.ts';
import { defineKind } from '../../kind.ts';

export type DaemonSet = DaemonSetObject;

export const DaemonSet = defineKind<DaemonSetObject>({
  group: 'apps',
  version: 'v1',
  kind: 'DaemonSet',
  plural: 'daemonsets',
  namespaced: true,
  shortNames: ['ds'],
  categories: ['all'],
});
