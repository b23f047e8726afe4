// LocalSubjectAccessReview: authorization.k8s.io/v1.

import type { LocalSubjectAccessReview as LocalSubjectAccessReviewObject } from '../../generated/authorization-v1.ts';
import { defineKind } from '../../kind.ts';

export type LocalSubjectAccessReview = LocalSubjectAccessReviewObject;

export const LocalSubjectAccessReview = defineKind<LocalSubjectAccessReviewObject>({
  group: 'authorization.k8s.io',
  version: 'v1',
  kind: 'LocalSubjectAccessReview',
  plural: 'localsubjectaccessreviews',
  namespaced: true,
  verbs: ['create'],
  virtual: true,
});
