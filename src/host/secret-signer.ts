// ServiceAccount tokens signed with a shared secret (HS256): quick, and nobody else can check them. For clusters inside one
// process, whose tokens no other party sees. Most of those never sign one, so node:crypto is loaded by the first.

import type { TokenSigner } from '../server/authn/token-keys.ts';

export function secretSigner(secret: Uint8Array): TokenSigner {
  const crypto = () => process.getBuiltinModule('node:crypto');
  const mac = (data: Uint8Array) => crypto().createHmac('sha256', secret).update(data).digest();
  return {
    alg: 'HS256',
    kid: 'secret',
    jwk: { use: 'sig', kty: 'oct', kid: 'secret', alg: 'HS256' },
    verify: (data, signature) => {
      const own = mac(data);
      return own.length === signature.length && crypto().timingSafeEqual(own, signature);
    },
    sign: mac,
  };
}
