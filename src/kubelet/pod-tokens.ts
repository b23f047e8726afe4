// Service account tokens bound to one pod, renewed when 80% of their life is over or after a day.
// https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken

import type { TokenRequest } from '../api/generated/authentication-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import type { ObjectResult } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import type { ServiceAccountToken } from './volumes/plugin.ts';

/** Rejects with the API's StatusError. */
export type TokenSource = (pod: Pod, audience: string, expirationSeconds: number) => Promise<ServiceAccountToken>;

const LONGEST = 24 * 3600_000;

export class PodTokens {
  readonly #client: Client;
  readonly #env: Env;
  readonly #tokens = new Map<string, ServiceAccountToken>();

  constructor(client: Client, env: Env) {
    this.#client = client;
    this.#env = env;
  }

  /** Rejects with the API's StatusError. */
  async get(pod: Pod, audience: string, expirationSeconds: number): Promise<ServiceAccountToken> {
    const key = `${audience}\0${expirationSeconds}`;
    const known = this.#tokens.get(key);
    if (known && this.#env.clock.now() < known.refreshAt) return known;
    const fresh = await this.#request(pod, audience, expirationSeconds);
    this.#tokens.set(key, fresh);
    return fresh;
  }

  async #request(pod: Pod, audience: string, expirationSeconds: number): Promise<ServiceAccountToken> {
    const { name, namespace, uid } = pod.metadata;
    const result = await this.#client.do({
      verb: 'create',
      group: '',
      version: 'v1',
      resource: 'serviceaccounts',
      namespace,
      name: pod.spec.serviceAccountName || 'default',
      subresource: 'token',
      options: {},
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: {},
        spec: {
          audiences: audience ? [audience] : [],
          expirationSeconds,
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
        },
      },
    });
    const { token, expirationTimestamp } = (result as unknown as ObjectResult<TokenRequest>).object.status ?? {};
    if (!token || !expirationTimestamp) throw new Error('the API gave no service account token');
    const now = this.#env.clock.now();
    const life = Date.parse(expirationTimestamp) - now;
    return { token, refreshAt: now + Math.min(life * 0.8, LONGEST) };
  }
}
