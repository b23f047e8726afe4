// Binding: core/v1. Never stored: creating one assigns a pod to a node.

import type { Binding as BindingObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type Binding = BindingObject;

export const Binding = defineKind<BindingObject>({
  group: '',
  version: 'v1',
  kind: 'Binding',
  plural: 'bindings',
  namespaced: true,
  verbs: ['create'],
  virtual: true,
});
