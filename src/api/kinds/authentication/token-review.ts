// TokenReview: authentication.k8s.io/v1.

import type { TokenReview as TokenReviewObject } from '../../generated/authentication-v1.ts';
import { defineKind } from '../../kind.ts';

export type TokenReview = TokenReviewObject;

export const TokenReview = defineKind<TokenReviewObject>({
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'TokenReview',
  plural: 'tokenreviews',
  namespaced: false,
  verbs: ['create'],
  virtual: true,
});
