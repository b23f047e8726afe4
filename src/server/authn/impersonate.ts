// Impersonation: acting as somebody else, as far as the `impersonate` permissions of the one who asks go.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation

import { forbidden, internalError } from '../../api/errors.ts';
import type { UserInfo } from '../../api/op.ts';
import { forbiddenMessage } from '../authorize.ts';
import type { Attributes, Authorizer } from '../authorizer.ts';
import type { HttpExchange } from '../http-exchange.ts';
import { ANONYMOUS, known } from './authenticator.ts';
import { serviceAccountGroups, splitServiceAccount } from './service-account-claims.ts';

const EXTRA = 'impersonate-extra-';
const GROUP = 'authentication.k8s.io';

/** The user the request is to count as: the one who asks, or the one asked for. Throws Forbidden. */
export function impersonate(exchange: HttpExchange, user: UserInfo, authorizer: Authorizer): UserInfo {
  const name = exchange.headers['impersonate-user'];
  const extra = extraHeaders(exchange);
  const others = ['impersonate-group', 'impersonate-uid'].some((h) => exchange.headers[h] !== undefined);
  if (!name) {
    if (others || extra.length > 0) throw internalError('requested impersonation without impersonating a user');
    return user;
  }
  const require = (about: Partial<Attributes> & { readonly resource: string; readonly name: string }) => {
    const base = { user, verb: 'impersonate', group: '', version: 'v1', subresource: '', namespace: '' };
    const attributes: Attributes = { ...base, ...about };
    const decision = authorizer.authorize(attributes);
    if (decision.allowed) return;
    const why = forbiddenMessage(attributes);
    throw forbidden(attributes, attributes.name, decision.reason ? `${why}: ${decision.reason}` : why);
  };
  const account = splitServiceAccount(name);
  if (account) require({ resource: 'serviceaccounts', ...account });
  else require({ resource: 'users', name });
  const groups = exchange.headerValues('impersonate-group');
  for (const group of groups) require({ resource: 'groups', name: group });
  for (const [key, value] of extra) require({ group: GROUP, resource: 'userextras', subresource: key, name: value });
  const uid = exchange.headers['impersonate-uid'];
  if (uid) require({ group: GROUP, resource: 'uids', name: uid });
  return impersonated(name, groups, uid, extra);
}

function impersonated(
  name: string,
  groups: readonly string[],
  uid: string | undefined,
  extra: readonly (readonly [string, string])[],
): UserInfo {
  const account = splitServiceAccount(name);
  const own = groups.length === 0 && account ? serviceAccountGroups(account.namespace) : groups;
  const all: Record<string, string[]> = {};
  for (const [key, value] of extra) (all[key] ??= []).push(value);
  const user: UserInfo = {
    name,
    groups: own,
    ...(uid ? { uid } : {}),
    ...(extra.length > 0 ? { extra: all } : {}),
  };
  if (name !== ANONYMOUS.name) return known(user);
  const unauthenticated = ANONYMOUS.groups[0]!;
  return own.includes(unauthenticated) ? user : { ...user, groups: [...own, unauthenticated] };
}

function extraHeaders(exchange: HttpExchange): (readonly [string, string])[] {
  const out: (readonly [string, string])[] = [];
  for (const header of Object.keys(exchange.headers)) {
    if (!header.startsWith(EXTRA)) continue;
    const key = unescapeKey(header.slice(EXTRA.length));
    for (const value of exchange.headerValues(header)) out.push([key, value]);
  }
  return out;
}

/** Keys that are no header names come percent-encoded; others may hold a bare percent sign. */
function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key).toLowerCase();
  } catch {
    return key;
  }
}
