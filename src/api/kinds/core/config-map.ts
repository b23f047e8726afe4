// ConfigMap: core/v1.

import type { ConfigMap as ConfigMapObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type ConfigMap = ConfigMapObject;

export const ConfigMap = defineKind<ConfigMapObject>({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
  shortNames: ['cm'],
});
