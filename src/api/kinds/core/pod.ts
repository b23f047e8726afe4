// Pod: core/v1.

import type { Pod as PodObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type Pod = PodObject;

export const Pod = defineKind<PodObject>({
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  namespaced: true,
  shortNames: ['po'],
  categories: ['all'],
});
