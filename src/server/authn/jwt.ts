// JSON Web Tokens in compact form (RFC 7515, RFC 7519), just as ServiceAccount tokens need them.

import { fromBase64url, toBase64url } from './base64url.ts';
import type { TokenKey, TokenSigner } from './token-keys.ts';

export interface JwtClaims {
  readonly iss?: string;
  readonly sub?: string;
  readonly aud?: string | readonly string[];
  /** Seconds since the epoch, as are `nbf` and `iat`. */
  readonly exp?: number;
  readonly nbf?: number;
  readonly iat?: number;
  readonly jti?: string;
  readonly [claim: string]: unknown;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function signJwt(claims: JwtClaims, signer: TokenSigner): string {
  const part = (value: unknown) => toBase64url(encoder.encode(JSON.stringify(value)));
  const signed = `${part({ alg: signer.alg, kid: signer.kid })}.${part(claims)}`;
  return `${signed}.${toBase64url(signer.sign(encoder.encode(signed)))}`;
}

/** The claims without looking at the signature; undefined when the text is no JWT. */
export function peekClaims(token: string): JwtClaims | undefined {
  const parts = token.split('.');
  return parts.length === 3 ? (json(parts[1]!) as JwtClaims | undefined) : undefined;
}

/** True when one of the keys made the signature. */
export function verifySignature(token: string, keys: readonly TokenKey[]): boolean {
  const last = token.lastIndexOf('.');
  const header = json(token.slice(0, token.indexOf('.'))) as { alg?: unknown; kid?: unknown } | undefined;
  const signature = fromBase64url(token.slice(last + 1));
  if (!header || !signature) return false;
  const data = encoder.encode(token.slice(0, last));
  return keys.some(
    (key) => key.alg === header.alg && (!header.kid || key.kid === header.kid) && key.verify(data, signature),
  );
}

function json(part: string): object | undefined {
  const bytes = fromBase64url(part);
  if (!bytes) return undefined;
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    // Not a JWT: somebody else's token, or none at all.
    return undefined;
  }
}
