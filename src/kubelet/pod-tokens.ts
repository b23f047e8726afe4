// Service account tokens bound to one pod, renewed when 80% of their life is over or after a day.
// https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken

import type { Pod } from '../api/kinds/core/pod.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { requestToken } from '../client/request-token.ts';
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
    const account = { namespace: namespace!, name: pod.spec.serviceAccountName || 'default' };
    const { token, expires } = await requestToken(this.#client, account, {
      audiences: audience ? [audience] : [],
      expirationSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
    });
    const now = this.#env.clock.now();
    const life = expires - now;
    return { token, refreshAt: now + Math.min(life * 0.8, LONGEST) };
  }
}
