// Tokens of ServiceAccounts, as everybody asks the API for them.
// https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/

import type { TokenRequest, TokenRequestSpec } from '../api/generated/authentication-v1.ts';
import type { ObjectResult } from '../api/op.ts';
import type { Client } from './client.ts';

export interface RequestedToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

/** Rejects with the API's StatusError. */
export async function requestToken(
  client: Client,
  account: { readonly namespace: string; readonly name: string },
  spec: TokenRequestSpec,
): Promise<RequestedToken> {
  const result = await client.do({
    verb: 'create',
    group: '',
    version: 'v1',
    resource: 'serviceaccounts',
    ...account,
    subresource: 'token',
    options: {},
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: {}, spec },
  });
  const { token, expirationTimestamp } = (result as unknown as ObjectResult<TokenRequest>).object.status ?? {};
  if (!token || !expirationTimestamp) throw new Error(`the API gave no token for ${account.namespace}/${account.name}`);
  return { token, expires: Date.parse(expirationTimestamp) };
}
