// Keys of ServiceAccount tokens. The host implements them: signing must answer at once, which Web Crypto cannot.

/** A JSON Web Key's public half, as published at /openid/v1/jwks (RFC 7517). */
export interface PublicJwk {
  readonly kty: string;
  readonly use: 'sig';
  readonly kid: string;
  readonly alg: 'ES256' | 'RS256' | 'HS256';
  readonly [parameter: string]: string;
}

export interface TokenKey {
  readonly alg: 'ES256' | 'RS256' | 'HS256';
  /** Base64url of the SHA-256 of the public key in SPKI form. */
  readonly kid: string;
  readonly jwk: PublicJwk;
  verify(data: Uint8Array, signature: Uint8Array): boolean;
}

export interface TokenSigner extends TokenKey {
  sign(data: Uint8Array): Uint8Array;
}
