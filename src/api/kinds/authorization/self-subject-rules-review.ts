// SelfSubjectRulesReview: authorization.k8s.io/v1.

import type { SelfSubjectRulesReview as SelfSubjectRulesReviewObject } from '../../generated/authorization-v1.ts';
import { defineKind } from '../../kind.ts';

export type SelfSubjectRulesReview = SelfSubjectRulesReviewObject;

export const SelfSubjectRulesReview = defineKind<SelfSubjectRulesReviewObject>({
  group: 'authorization.k8s.io',
  version: 'v1',
  kind: 'SelfSubjectRulesReview',
  plural: 'selfsubjectrulesreviews',
  namespaced: false,
  verbs: ['create'],
  virtual: true,
});
