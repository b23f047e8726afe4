// SelfSubjectAccessReview: authorization.k8s.io/v1.

import type { SelfSubjectAccessReview as SelfSubjectAccessReviewObject } from '../../generated/authorization-v1.ts';
import { defineKind } from '../../kind.ts';

export type SelfSubjectAccessReview = SelfSubjectAccessReviewObject;

export const SelfSubjectAccessReview = defineKind<SelfSubjectAccessReviewObject>({
  group: 'authorization.k8s.io',
  version: 'v1',
  kind: 'SelfSubjectAccessReview',
  plural: 'selfsubjectaccessreviews',
  namespaced: false,
  verbs: ['create'],
  virtual: true,
});
