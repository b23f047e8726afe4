// What a ServiceAccount token says: the claims upstream writes, and who they make of the bearer.
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens

import type { UserInfo } from '../../api/op.ts';
import type { JwtClaims } from './jwt.ts';

export interface ClaimedRef {
  readonly name: string;
  readonly uid?: string;
}

/** The private claim `kubernetes.io`. */
export interface KubernetesClaims {
  readonly namespace: string;
  readonly serviceaccount: ClaimedRef;
  readonly pod?: ClaimedRef;
  readonly secret?: ClaimedRef;
  readonly node?: ClaimedRef;
  /** Seconds since the epoch after which use of the token is worth a warning. */
  readonly warnafter?: number;
}

/** The issuer of tokens kept in Secrets; they never end. */
export const LEGACY_ISSUER = 'kubernetes/serviceaccount';
const PREFIX = 'system:serviceaccount:';

export const serviceAccountUsername = (namespace: string, name: string) => `${PREFIX}${namespace}:${name}`;

export const serviceAccountGroups = (namespace: string): readonly string[] => [
  'system:serviceaccounts',
  `system:serviceaccounts:${namespace}`,
];

/** `system:serviceaccount:NAMESPACE:NAME` -> its parts; undefined for other names. */
export function splitServiceAccount(username: string): { namespace: string; name: string } | undefined {
  if (!username.startsWith(PREFIX)) return undefined;
  const [namespace, name, more] = username.slice(PREFIX.length).split(':');
  return namespace && name && more === undefined ? { namespace, name } : undefined;
}

/** The bound claims, or undefined when the token is of another form. */
export function kubernetesClaims(claims: JwtClaims): KubernetesClaims | undefined {
  const k = claims['kubernetes.io'];
  if (!isRecord(k) || typeof k['namespace'] !== 'string' || !isRef(k['serviceaccount'])) return undefined;
  for (const name of ['pod', 'secret', 'node']) if (k[name] !== undefined && !isRef(k[name])) return undefined;
  return k as unknown as KubernetesClaims;
}

/** The claims of a token kept in a Secret. */
export function legacyClaims(claims: JwtClaims): KubernetesClaims | undefined {
  const text = (name: string) => {
    const value = claims[`kubernetes.io/serviceaccount/${name}`];
    return typeof value === 'string' ? value : '';
  };
  const namespace = text('namespace');
  const name = text('service-account.name');
  const secret = text('secret.name');
  if (!namespace || !name || !secret) return undefined;
  return { namespace, serviceaccount: { name, uid: text('service-account.uid') }, secret: { name: secret } };
}

/** The user a valid token stands for, before `system:authenticated` is added. */
export function serviceAccountUser(claims: KubernetesClaims, jti: string | undefined): UserInfo {
  const { namespace, serviceaccount, pod, node } = claims;
  const extra: Record<string, readonly string[]> = {};
  const note = (name: string, value: string | undefined) => {
    if (value) extra[`authentication.kubernetes.io/${name}`] = [value];
  };
  note('credential-id', jti && `JTI=${jti}`);
  note('node-name', node?.name);
  note('node-uid', node?.uid);
  note('pod-name', pod?.name);
  note('pod-uid', pod?.uid);
  return {
    name: serviceAccountUsername(namespace, serviceaccount.name),
    groups: serviceAccountGroups(namespace),
    ...(serviceaccount.uid ? { uid: serviceaccount.uid } : {}),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isRef = (value: unknown): value is ClaimedRef =>
  isRecord(value) && typeof value['name'] === 'string' && ['string', 'undefined'].includes(typeof value['uid']);
