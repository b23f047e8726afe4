// Who sends a request: client certificate or bearer token, otherwise anonymous. Bad credentials are refused, they do
// not make anonymous.

import { unauthorized } from '../../api/errors.ts';
import type { UserInfo } from '../../api/op.ts';
import { rfc3339, type Clock } from '../../base/env.ts';
import type { Logger } from '../../base/log.ts';
import type { ClientCertificate, HttpExchange } from '../http-exchange.ts';
import { fromBase64url } from './base64url.ts';
import type { TokenAuthenticator, TokenIdentity } from './token-authenticator.ts';

export const ANONYMOUS: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
const AUTHENTICATED = 'system:authenticated';
const CREDENTIAL_ID = 'authentication.kubernetes.io/credential-id';
const WEBSOCKET_TOKEN = 'base64url.bearer.authorization.k8s.io.';

export interface AuthenticatorOptions {
  readonly log: Logger;
  /** What certificates are measured by while their connection lasts; TLS alone has judged them when absent. */
  readonly clock?: Clock;
  /** Asked in order; the first that knows the token decides. */
  readonly tokens: readonly TokenAuthenticator[];
  /** What a token must be meant for to be good here. */
  readonly audiences: readonly string[];
  /** Let requests without credentials in as system:anonymous; true unless told. */
  readonly anonymous?: boolean;
}

export class Authenticator {
  readonly audiences: readonly string[];
  readonly #options: AuthenticatorOptions;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.audiences = options.audiences;
  }

  /** The user of a request. Rejects with Unauthorized. */
  async authenticate(exchange: HttpExchange): Promise<UserInfo> {
    const faults: string[] = [];
    const { certificate } = exchange.peer;
    const outdated = certificate && this.#outdated(certificate);
    if (certificate === 'unverified') faults.push('x509: certificate signed by unknown authority');
    else if (outdated) faults.push(`x509: ${outdated}`);
    else if (typeof certificate === 'object' && certificate.commonName) return known(certificateUser(certificate));
    const token = bearerToken(exchange);
    if (token !== undefined) {
      try {
        return known((await this.token(token, this.audiences)).user);
      } catch (error) {
        faults.push((error as Error).message);
      }
    }
    if (faults.length === 0 && this.#options.anonymous !== false) return ANONYMOUS;
    if (faults.length > 0) {
      const { address } = exchange.peer;
      this.#options.log.warn('Unable to authenticate the request', { error: faults.join(', '), address });
    }
    // Its owner alone can mend that, and reads nothing here that is not in the certificate.
    throw outdated ? unauthorized(`Unauthorized: ${outdated}; get a new kubeconfig`) : unauthorized();
  }

  /** What is wrong with the time of a certificate, if anything. */
  #outdated(certificate: ClientCertificate | 'unverified' | 'outdated'): string | undefined {
    if (certificate === 'unverified') return undefined;
    if (certificate === 'outdated') return 'the client certificate has expired or is not yet valid';
    const now = this.#options.clock?.now();
    if (now === undefined || now <= certificate.notAfter) return undefined;
    return `the client certificate expired on ${rfc3339(certificate.notAfter)}`;
  }

  /** The bearer of a token, without system:authenticated. Rejects with an Error that says what is wrong. */
  async token(token: string, audiences: readonly string[]): Promise<TokenIdentity> {
    const faults = ['invalid bearer token'];
    for (const authenticate of this.#options.tokens) {
      try {
        const identity = await authenticate(token, audiences);
        if (identity) return identity;
      } catch (error) {
        faults.push((error as Error).message);
      }
    }
    throw new Error(faults.length > 1 ? `[${faults.join(', ')}]` : faults[0]);
  }
}

/** Adds the group everybody with credentials is in. */
export function known(user: UserInfo): UserInfo {
  if (user.groups.includes(AUTHENTICATED) || user.groups.includes('system:unauthenticated')) return user;
  return { ...user, groups: [...user.groups, AUTHENTICATED] };
}

const users = new WeakMap<ClientCertificate, UserInfo>();

function certificateUser(certificate: ClientCertificate): UserInfo {
  let user = users.get(certificate);
  if (!user) {
    user = known({
      name: certificate.commonName,
      groups: certificate.organizations,
      extra: { [CREDENTIAL_ID]: [`X509SHA256=${certificate.fingerprint}`] },
      ...(certificate.uid ? { uid: certificate.uid } : {}),
    });
    users.set(certificate, user);
  }
  return user;
}

/** From the Authorization header, or from the WebSocket subprotocol that browsers have to use instead. */
function bearerToken(exchange: HttpExchange): string | undefined {
  const { authorization } = exchange.headers;
  if (authorization !== undefined) {
    const match = /^bearer +(\S.*)$/i.exec(authorization.trim());
    return match?.[1]!.trim();
  }
  const protocols = exchange.headers['sec-websocket-protocol'];
  if (!protocols?.includes(WEBSOCKET_TOKEN)) return undefined;
  const encoded = protocols
    .split(',')
    .map((p) => p.trim())
    .find((p) => p.startsWith(WEBSOCKET_TOKEN));
  const bytes = encoded && fromBase64url(encoded.slice(WEBSOCKET_TOKEN.length));
  return bytes ? new TextDecoder().decode(bytes) : '';
}
