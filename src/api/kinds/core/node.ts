// Node: core/v1.

import type { Node as NodeObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type Node = NodeObject;

export const Node = defineKind<NodeObject>({
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  namespaced: false,
  shortNames: ['no'],
});
