// SubjectAccessReview: authorization.k8s.io/v1.

import type { SubjectAccessReview as SubjectAccessReviewObject } from '../../generated/authorization-v1.ts';
import { defineKind } from '../../kind.ts';

export type SubjectAccessReview = SubjectAccessReviewObject;

export const SubjectAccessReview = defineKind<SubjectAccessReviewObject>({
  group: 'authorization.k8s.io',
  version: 'v1',
  kind: 'SubjectAccessReview',
  plural: 'subjectaccessreviews',
  namespaced: false,
  verbs: ['create'],
  virtual: true,
});
