// Bearer tokens -> users: ServiceAccount tokens, checked against the objects they are bound to each time they are used,
// and fixed tokens from a list.

import type { KubeObject } from '../../api/object.ts';
import type { UserInfo } from '../../api/op.ts';
import type { Clock } from '../../base/env.ts';
import { peekClaims, verifySignature, type JwtClaims } from './jwt.ts';
import {
  kubernetesClaims,
  LEGACY_ISSUER,
  legacyClaims,
  serviceAccountUser,
  serviceAccountUsername,
  type ClaimedRef,
} from './service-account-claims.ts';
import type { TokenKey } from './token-keys.ts';

/** The objects tokens are bound to, as they are now. */
export type BoundObjects = (
  resource: 'serviceaccounts' | 'pods' | 'secrets' | 'nodes',
  namespace: string | undefined,
  name: string,
) => Promise<KubeObject | undefined>;

export interface TokenIdentity {
  readonly user: UserInfo;
  /** The audiences both the token and the asker name; undefined for tokens without audiences. */
  readonly audiences?: readonly string[];
}

/** Resolves to undefined when the token is none of its own; rejects with an Error that says why a token is refused. */
export type TokenAuthenticator = (token: string, audiences: readonly string[]) => Promise<TokenIdentity | undefined>;

/** Fixed tokens, e.g. of a token file. */
export function fixedTokens(users: ReadonlyMap<string, UserInfo>): TokenAuthenticator {
  return (token) => {
    const user = users.get(token);
    return Promise.resolve(user && { user });
  };
}

/** How long after its deletion an object still backs tokens, and how far clocks may differ. */
const LEEWAY_MS = 60_000;
/** Tokens are good from when they are made: one from the future tells of a clock that was put back since. */
const PUT_BACK_MS = 24 * 3_600_000;
const MAX_VERIFIED = 4096;

export interface ServiceAccountTokenOptions {
  readonly clock: Clock;
  /** The first one issues; the others are still accepted. */
  readonly issuers: readonly string[];
  readonly keys: readonly TokenKey[];
  readonly objects: BoundObjects;
}

export function serviceAccountTokens(options: ServiceAccountTokenOptions): TokenAuthenticator {
  // A signature once found good stays good: what may change is checked every time.
  let verified = new Map<string, JwtClaims>();
  return async (token, audiences) => {
    let claims = verified.get(token);
    if (!claims) {
      claims = peekClaims(token);
      const issuer = claims?.iss;
      if (!claims || !issuer || (issuer !== LEGACY_ISSUER && !options.issuers.includes(issuer))) return undefined;
      if (!verifySignature(token, options.keys)) throw new Error('invalid signature, no keys found');
      if (verified.size >= MAX_VERIFIED) verified = new Map();
      verified.set(token, claims);
    }
    return claims.iss === LEGACY_ISSUER ? legacyIdentity(token, claims, options) : identity(claims, audiences, options);
  };
}

async function identity(
  claims: JwtClaims,
  audiences: readonly string[],
  options: ServiceAccountTokenOptions,
): Promise<TokenIdentity> {
  const own = claims.aud === undefined ? [] : typeof claims.aud === 'string' ? [claims.aud] : claims.aud;
  const common = audiences.filter((a) => own.includes(a));
  if (common.length === 0)
    throw new Error(
      `token audiences ${JSON.stringify(own)} is invalid for the target audiences ${JSON.stringify(audiences)}`,
    );
  const now = options.clock.now();
  if (claims.exp === undefined || now - LEEWAY_MS > claims.exp * 1000)
    throw new Error('service account token has expired');
  if (claims.nbf !== undefined && now + PUT_BACK_MS < claims.nbf * 1000)
    throw new Error('service account token is not valid yet');
  const bound = kubernetesClaims(claims);
  if (!bound) throw new Error('service account token claims could not be validated due to unexpected private claim');
  const { namespace, serviceaccount, pod, secret, node } = bound;
  if (claims.sub !== serviceAccountUsername(namespace, serviceaccount.name))
    throw new Error('subject does not match the service account claim');
  await checkServiceAccount(options, namespace, serviceaccount);
  if (secret) await checkBound(options, 'secrets', 'Secret', namespace, secret);
  if (pod) await checkBound(options, 'pods', 'Pod', namespace, pod);
  // A node beside a pod only informs; alone it is what the token is bound to.
  else if (node) await checkBound(options, 'nodes', 'Node', undefined, node);
  return { user: serviceAccountUser(bound, claims.jti), audiences: common };
}

async function legacyIdentity(
  token: string,
  claims: JwtClaims,
  options: ServiceAccountTokenOptions,
): Promise<TokenIdentity> {
  const bound = legacyClaims(claims);
  if (!bound) throw new Error('namespace, serviceAccountName and secretName claims are required');
  const { namespace, serviceaccount, secret } = bound;
  await checkServiceAccount(options, namespace, serviceaccount);
  const stored = (await options.objects('secrets', namespace, secret!.name)) as
    | (KubeObject & { data?: Record<string, string> })
    | undefined;
  if (!stored || isDeleted(stored, options)) throw new Error('service account token has been invalidated');
  const text = stored.data?.['token'];
  if (!text || atob(text) !== token) throw new Error("service account token does not match server's copy");
  return { user: serviceAccountUser(bound, undefined) };
}

async function checkServiceAccount(
  options: ServiceAccountTokenOptions,
  namespace: string,
  claimed: ClaimedRef,
): Promise<void> {
  const account = await options.objects('serviceaccounts', namespace, claimed.name);
  if (!account) throw new Error(`serviceaccounts "${claimed.name}" not found`);
  if (isDeleted(account, options)) throw new Error(`service account ${namespace}/${claimed.name} has been deleted`);
  if (account.metadata.uid !== claimed.uid)
    throw new Error(`service account UID (${account.metadata.uid}) does not match claim (${claimed.uid})`);
}

async function checkBound(
  options: ServiceAccountTokenOptions,
  resource: 'pods' | 'secrets' | 'nodes',
  kind: string,
  namespace: string | undefined,
  claimed: ClaimedRef,
): Promise<void> {
  const object = await options.objects(resource, namespace, claimed.name);
  if (!object || isDeleted(object, options)) throw new Error('service account token has been invalidated');
  if (object.metadata.uid !== claimed.uid)
    throw new Error(
      `${kind} UID (${object.metadata.uid}) does not match service account ${kind.toLowerCase()} ref claim (${claimed.uid})`,
    );
}

function isDeleted(object: KubeObject, options: ServiceAccountTokenOptions): boolean {
  const { deletionTimestamp } = object.metadata;
  return deletionTimestamp !== undefined && Date.parse(deletionTimestamp) < options.clock.now() - LEEWAY_MS;
}
