// ServiceAccount token keys on node:crypto: ES256 for EC P-256 keys, RS256 for RSA keys.

import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import type { PublicJwk, TokenKey, TokenSigner } from '../server/authn/token-keys.ts';

/** `pem` is a public key. Throws for keys that are neither RSA nor EC P-256. */
function tokenKey(pem: string | KeyObject): TokenKey {
  const key = typeof pem === 'string' ? createPublicKey(pem) : pem;
  const { alg, encoding } = algorithmOf(key);
  const kid = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
  const { kty, ...parameters } = key.export({ format: 'jwk' }) as Record<string, string>;
  return {
    alg,
    kid,
    jwk: { use: 'sig', kty: kty!, kid, alg, ...parameters } as PublicJwk,
    verify: (data, signature) => verify('sha256', data, { key, ...encoding }, signature),
  };
}

/** `pem` is a private key. */
export function tokenSigner(pem: string | KeyObject): TokenSigner {
  const key = typeof pem === 'string' ? createPrivateKey(pem) : pem;
  const { encoding } = algorithmOf(key);
  return {
    ...tokenKey(createPublicKey(key)),
    sign: (data) => sign('sha256', data, { key, ...encoding }),
  };
}

function algorithmOf(key: KeyObject) {
  if (key.asymmetricKeyType === 'rsa') return { alg: 'RS256', encoding: {} } as const;
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
    return { alg: 'ES256', encoding: { dsaEncoding: 'ieee-p1363' } } as const;
  throw new Error('ServiceAccount tokens need an RSA or an EC P-256 key');
}
