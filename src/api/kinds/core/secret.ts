// Secret: core/v1.

import type { Secret as SecretObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type Secret = SecretObject;

export const Secret = defineKind<SecretObject>({
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  namespaced: true,
});
