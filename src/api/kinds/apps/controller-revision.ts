// ControllerRevision: apps/v1.

import type { ControllerRevision as ControllerRevisionObject } from '../../generated/apps-v1.ts';
import { defineKind } from '../../kind.ts';

export type ControllerRevision = ControllerRevisionObject;

export const ControllerRevision = defineKind<ControllerRevisionObject>({
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  namespaced: true,
});
