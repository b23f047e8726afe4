// Authentication of requests and the handlers that belong to it, for clusters with and without a port.

import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import { Authenticator } from '../server/authn/authenticator.ts';
import { boundObjects } from '../server/authn/bound-objects.ts';
import { authenticationHandlers } from '../server/authn/reviews.ts';
import { fixedTokens, serviceAccountTokens } from '../server/authn/token-authenticator.ts';
import { createTokenIssuer } from '../server/authn/token-issuer.ts';
import type { TokenSigner } from '../server/authn/token-keys.ts';
import type { Caches } from '../server/caches.ts';
import type { Handler } from '../server/call.ts';
import { serviceAccountToken } from '../server/subresources/service-account-token.ts';

export const ISSUER = 'https://kubernetes.default.svc.cluster.local';

export interface AuthenticationOptions {
  readonly env: Env;
  readonly signer: TokenSigner;
  readonly tokens?: ReadonlyMap<string, UserInfo>;
  readonly anonymous?: boolean;
}

export interface Authentication {
  readonly authenticator: Authenticator;
  /** `serviceaccounts/token`, TokenReview and SelfSubjectReview. */
  readonly handlers: readonly (readonly [string, Handler])[];
}

export function authentication(caches: Caches, options: AuthenticationOptions): Authentication {
  const { env, signer, tokens, anonymous } = options;
  const accounts = serviceAccountTokens({
    clock: env.clock,
    issuers: [ISSUER],
    keys: [signer],
    objects: boundObjects(caches),
  });
  const authenticator = new Authenticator({
    log: env.log.child('apiserver'),
    clock: env.clock,
    tokens: [...(tokens ? [fixedTokens(tokens)] : []), accounts],
    audiences: [ISSUER],
    ...(anonymous === undefined ? {} : { anonymous }),
  });
  const issuer = createTokenIssuer({ env, issuer: ISSUER, audiences: [ISSUER], signer });
  return {
    authenticator,
    handlers: [...authenticationHandlers(authenticator), ['serviceaccounts/token', serviceAccountToken(issuer)]],
  };
}
