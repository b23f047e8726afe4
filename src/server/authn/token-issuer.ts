// Signs ServiceAccount tokens with upstream's claims: bound ones for the token subresource, and those kept in Secrets.
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens

import type { KubeObject } from '../../api/object.ts';
import { rfc3339, uuid, type Env } from '../../base/env.ts';
import type { TokenClaims, TokenIssuer } from '../subresources/service-account-token.ts';
import { signJwt } from './jwt.ts';
import { LEGACY_ISSUER, serviceAccountUsername, type KubernetesClaims } from './service-account-claims.ts';
import type { TokenSigner } from './token-keys.ts';

export interface TokenIssuerOptions {
  readonly env: Env;
  readonly issuer: string;
  /** What tokens are for that do not say. */
  readonly audiences: readonly string[];
  readonly signer: TokenSigner;
}

/** Exactly what projected volumes ask for: such tokens live a year and warn instead, for clients that never reload. */
const WARN_ONLY_SECONDS = 3607;
const EXTENDED_SECONDS = 365 * 24 * 3600;

export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const { env } = options;
  return {
    issue(asked) {
      const audiences = asked.audiences.length > 0 ? asked.audiences : options.audiences;
      const seconds = asked.expirationSeconds;
      const own = audiences.every((a) => options.audiences.includes(a));
      const extended = seconds === WARN_ONLY_SECONDS && asked.pod !== undefined && own;
      const now = env.clock.now();
      const issued = Math.floor(now / 1000);
      const token = signJwt(
        {
          aud: audiences,
          exp: issued + (extended ? EXTENDED_SECONDS : seconds),
          iat: issued,
          iss: options.issuer,
          jti: uuid(env.random),
          'kubernetes.io': privateClaims(asked, extended ? issued + seconds : undefined),
          nbf: issued,
          sub: serviceAccountUsername(asked.namespace, asked.serviceAccount.name),
        },
        options.signer,
      );
      return Promise.resolve({ token, audiences, expirationTimestamp: rfc3339(now + seconds * 1000) });
    },
  };
}

function privateClaims(asked: TokenClaims, warnafter: number | undefined): KubernetesClaims {
  const { namespace, node, pod, secret, serviceAccount } = asked;
  return {
    namespace,
    ...(node ? { node: node.uid ? node : { name: node.name } } : {}),
    ...(pod ? { pod } : {}),
    ...(secret ? { secret } : {}),
    serviceaccount: serviceAccount,
    ...(warnafter === undefined ? {} : { warnafter }),
  };
}

/** The token kept in a Secret of type kubernetes.io/service-account-token; it is good as long as the Secret exists. */
export function legacyToken(account: KubeObject, secretName: string, signer: TokenSigner): string {
  const { namespace = '', name, uid } = account.metadata;
  const claim = (what: string) => `kubernetes.io/serviceaccount/${what}`;
  return signJwt(
    {
      iss: LEGACY_ISSUER,
      [claim('namespace')]: namespace,
      [claim('secret.name')]: secretName,
      [claim('service-account.name')]: name,
      [claim('service-account.uid')]: uid,
      sub: serviceAccountUsername(namespace, name),
    },
    signer,
  );
}
