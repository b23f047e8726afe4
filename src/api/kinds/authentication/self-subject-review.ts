// SelfSubjectReview: authentication.k8s.io/v1.

import type { SelfSubjectReview as SelfSubjectReviewObject } from '../../generated/authentication-v1.ts';
import { defineKind } from '../../kind.ts';

export type SelfSubjectReview = SelfSubjectReviewObject;

export const SelfSubjectReview = defineKind<SelfSubjectReviewObject>({
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'SelfSubjectReview',
  plural: 'selfsubjectreviews',
  namespaced: false,
  verbs: ['create'],
  virtual: true,
});
