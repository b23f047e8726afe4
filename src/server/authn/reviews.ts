// TokenReview and SelfSubjectReview: whose token is this, and who am I.

import { badRequest } from '../../api/errors.ts';
import type { SelfSubjectReview, TokenReview } from '../../api/generated/authentication-v1.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult, UserInfo } from '../../api/op.ts';
import { rfc3339 } from '../../base/env.ts';
import type { Call, Handler } from '../call.ts';
import { known, type Authenticator } from './authenticator.ts';

/** Handlers by the key of their virtual kind. */
export function authenticationHandlers(authenticator: Authenticator): ReadonlyMap<string, Handler> {
  return new Map<string, Handler>([
    ['tokenreviews.authentication.k8s.io', (call) => tokenReview(call, authenticator)],
    ['selfsubjectreviews.authentication.k8s.io', (call) => Promise.resolve(selfSubjectReview(call))],
  ]);
}

async function tokenReview(call: Call, authenticator: Authenticator): Promise<ObjectResult> {
  const review = (call.op.body ?? {}) as Partial<TokenReview>;
  const token = review.spec?.token;
  if (typeof token !== 'string' || token === '')
    throw badRequest('token is required for TokenReview in authentication');
  const asked = review.spec?.audiences ?? [];
  return answer(call, { ...review, status: await statusOf(token, asked, authenticator) });
}

async function statusOf(
  token: string,
  asked: readonly string[],
  authenticator: Authenticator,
): Promise<NonNullable<TokenReview['status']>> {
  // Nobody but us is meant by a reviewer that does not say.
  const audiences = asked.length > 0 ? asked : authenticator.audiences;
  try {
    const identity = await authenticator.token(token, audiences);
    const common =
      identity.audiences ?? (asked.length > 0 ? authenticator.audiences.filter((a) => asked.includes(a)) : undefined);
    if (asked.length > 0 && common?.length === 0)
      return { authenticated: false, user: {}, error: 'token is not meant for the audiences asked about' };
    return { authenticated: true, user: userOf(known(identity.user)), ...(common ? { audiences: [...common] } : {}) };
  } catch (error) {
    return { authenticated: false, user: {}, error: (error as Error).message };
  }
}

function selfSubjectReview(call: Call): ObjectResult {
  const status: SelfSubjectReview['status'] = { userInfo: userOf(call.op.user) };
  const metadata = { creationTimestamp: rfc3339(call.server.env.clock.now()) };
  return answer(call, { metadata, status });
}

function userOf(user: UserInfo) {
  const extra = user.extra && Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]]));
  return {
    username: user.name,
    ...(user.uid ? { uid: user.uid } : {}),
    groups: [...user.groups],
    ...(extra ? { extra } : {}),
  };
}

function answer(call: Call, object: object): ObjectResult {
  const { apiVersion, kind } = call.kind;
  return { type: 'object', object: { metadata: {}, ...object, apiVersion, kind } as unknown as KubeObject, code: 201 };
}
