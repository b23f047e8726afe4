// Namespace: core/v1.

import type { Namespace as NamespaceObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type Namespace = NamespaceObject;

export const Namespace = defineKind<NamespaceObject>({
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
  shortNames: ['ns'],
});
