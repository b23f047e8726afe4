// Credentials of a controller that runs apart from the API server: a token of its own ServiceAccount, asked for with the
// controller manager's rights and renewed in time. https://kubernetes.io/docs/reference/access-authn-authz/rbac/#controller-roles

import { isReason } from '../api/errors.ts';
import { ServiceAccount } from '../api/kinds/core/service-account.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { requestToken } from '../client/request-token.ts';
import type { CredentialSource } from '../host/http-transport.ts';

const NAMESPACE = 'kube-system';
const SECONDS = 3600;
/** The part of its life after which a token is renewed. */
const RENEW_AT = 0.8;

interface Token {
  readonly token: string;
  readonly until: number;
}

export class AccountTokens implements CredentialSource {
  readonly #client: Client;
  readonly #env: Pick<Env, 'clock'>;
  readonly #name: string;
  #known: Token | undefined;
  #asking: Promise<Token> | undefined;

  /** `client` may make the ServiceAccount `name` in kube-system and its tokens. */
  constructor(client: Client, env: Pick<Env, 'clock'>, name: string) {
    this.#client = client;
    this.#env = env;
    this.#name = name;
  }

  /** Rejects with the API's StatusError. */
  async get(): Promise<{ readonly token: string }> {
    if (this.#known && this.#known.until > this.#env.clock.now()) return this.#known;
    this.#asking ??= this.#request().finally(() => (this.#asking = undefined));
    return (this.#known = await this.#asking);
  }

  forget(): void {
    this.#known = undefined;
  }

  async #request(): Promise<Token> {
    try {
      return await this.#ask();
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
    const metadata = { name: this.#name, namespace: NAMESPACE };
    await this.#client.create(ServiceAccount, { metadata }).catch((error: unknown) => {
      if (!isReason(error, 'AlreadyExists')) throw error;
    });
    return this.#ask();
  }

  async #ask(): Promise<Token> {
    const account = { namespace: NAMESPACE, name: this.#name };
    const { token, expires } = await requestToken(this.#client, account, { audiences: [], expirationSeconds: SECONDS });
    const now = this.#env.clock.now();
    return { token, until: now + (expires - now) * RENEW_AT };
  }
}
