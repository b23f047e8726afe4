// Issues ServiceAccount tokens: the serviceaccounts/token subresource, and tokens kept in Secrets.
// https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/

import { badRequest, conflict, field, invalid, notFound, type FieldError } from '../../api/errors.ts';
import type { BoundObjectReference, TokenRequest } from '../../api/generated/authentication-v1.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';
import { rfc3339, uuid, type Env } from '../../base/env.ts';
import { requiredName, type Handler } from '../call.ts';
import { signJwt } from './jwt.ts';
import {
  LEGACY_ISSUER,
  serviceAccountUsername,
  type ClaimedRef,
  type KubernetesClaims,
} from './service-account-claims.ts';
import type { BoundObjects } from './token-authenticator.ts';
import type { TokenSigner } from './token-keys.ts';

export interface TokenIssuerOptions {
  readonly env: Env;
  readonly issuer: string;
  /** What tokens are for that do not say. */
  readonly audiences: readonly string[];
  readonly signer: TokenSigner;
  readonly objects: BoundObjects;
}

const LEAST_SECONDS = 600;
const MOST_SECONDS = 2 ** 32;
const DEFAULT_SECONDS = 3600;
/** Exactly what projected volumes ask for; such tokens live a year and warn instead, for clients that never reload. */
const WARN_ONLY_SECONDS = 3607;
const EXTENDED_SECONDS = 365 * 24 * 3600;

export class TokenIssuer {
  readonly #options: TokenIssuerOptions;

  constructor(options: TokenIssuerOptions) {
    this.#options = options;
  }

  /** Answers a TokenRequest. Rejects with NotFound, Invalid, BadRequest or Conflict. */
  async request(namespace: string, name: string, asked: Partial<TokenRequest>): Promise<TokenRequest> {
    const { env, audiences: apiAudiences, objects } = this.#options;
    const audiences = asked.spec?.audiences?.length ? asked.spec.audiences : [...apiAudiences];
    const seconds = asked.spec?.expirationSeconds ?? DEFAULT_SECONDS;
    const ref = asked.spec?.boundObjectRef;
    const faults = lifetimeFaults(seconds);
    if (faults.length > 0) throw invalid('authentication.k8s.io', 'TokenRequest', '', faults);
    const account = await objects('serviceaccounts', namespace, name);
    if (!account) throw notFound({ resource: 'serviceaccounts' }, name);
    const bound = ref ? await this.#bound(namespace, name, ref) : {};
    const now = env.clock.now();
    const extended = seconds === WARN_ONLY_SECONDS && bound.pod && audiences.every((a) => apiAudiences.includes(a));
    const issued = Math.floor(now / 1000);
    const claims: KubernetesClaims = {
      namespace,
      ...bound,
      serviceaccount: refOf(account),
      ...(extended ? { warnafter: issued + seconds } : {}),
    };
    const token = this.#sign(claims, audiences, issued, extended ? EXTENDED_SECONDS : seconds);
    return {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { name, namespace, creationTimestamp: rfc3339(now) } as TokenRequest['metadata'],
      spec: { audiences, expirationSeconds: seconds, ...(ref ? { boundObjectRef: ref } : {}) },
      status: { token, expirationTimestamp: rfc3339(now + seconds * 1000) },
    };
  }

  /** The token kept in a Secret of type kubernetes.io/service-account-token; it lives as long as the Secret. */
  legacyToken(account: KubeObject, secretName: string): string {
    const { namespace = '', name, uid } = account.metadata;
    const claim = (what: string) => `kubernetes.io/serviceaccount/${what}`;
    return signJwt(
      {
        iss: LEGACY_ISSUER,
        [claim('namespace')]: namespace,
        [claim('secret.name')]: secretName,
        [claim('service-account.name')]: name,
        [claim('service-account.uid')]: uid,
        sub: serviceAccountUsername(namespace, name),
      },
      this.#options.signer,
    );
  }

  #sign(claims: KubernetesClaims, audiences: readonly string[], issued: number, seconds: number): string {
    const { env, issuer, signer } = this.#options;
    return signJwt(
      {
        aud: audiences,
        exp: issued + seconds,
        iat: issued,
        iss: issuer,
        jti: uuid(env.random),
        'kubernetes.io': claims,
        nbf: issued,
        sub: serviceAccountUsername(claims.namespace, claims.serviceaccount.name),
      },
      signer,
    );
  }

  /** The claims about the object a token is to end with. */
  async #bound(
    namespace: string,
    account: string,
    ref: BoundObjectReference,
  ): Promise<Pick<KubernetesClaims, 'pod' | 'secret' | 'node'>> {
    const { objects } = this.#options;
    const type = ref.apiVersion === 'v1' ? ref.kind : undefined;
    const name = ref.name ?? '';
    switch (type) {
      case 'Pod': {
        const pod = checkRef(await objects('pods', namespace, name), ref, 'pods') as KubeObject & {
          spec?: { serviceAccountName?: string; nodeName?: string };
        };
        if ((pod.spec?.serviceAccountName ?? 'default') !== account)
          throw badRequest(
            `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`,
          );
        const nodeName = pod.spec?.nodeName;
        if (!nodeName) return { pod: refOf(pod) };
        const node = await objects('nodes', undefined, nodeName);
        return { node: node ? refOf(node) : { name: nodeName }, pod: refOf(pod) };
      }
      case 'Secret':
        return { secret: refOf(checkRef(await objects('secrets', namespace, name), ref, 'secrets')) };
      case 'Node':
        return { node: refOf(checkRef(await objects('nodes', undefined, name), ref, 'nodes')) };
      default:
        throw badRequest(`cannot bind token for serviceaccount ${JSON.stringify(account)} to type ${gvkText(ref)}`);
    }
  }
}

/** The handler of `serviceaccounts/token`. */
export function tokenRequestHandler(issuer: TokenIssuer): Handler {
  return async (call): Promise<ObjectResult> => {
    const { op } = call;
    const name = requiredName(op);
    const body = (op.body ?? {}) as Partial<TokenRequest>;
    const named = body.metadata?.name;
    if (named && named !== name)
      throw badRequest(`the name of the object (${named}) does not match the name on the URL (${name})`);
    const answer = await issuer.request(op.namespace ?? '', name, body);
    return { type: 'object', object: answer as KubeObject, code: 201 };
  };
}

function lifetimeFaults(seconds: unknown): FieldError[] {
  const path = 'spec.expirationSeconds';
  if (!Number.isInteger(seconds)) return [field.invalid(path, seconds, 'must be an integer')];
  if ((seconds as number) < LEAST_SECONDS)
    return [field.invalid(path, seconds, 'may not specify a duration less than 10 minutes')];
  if ((seconds as number) > MOST_SECONDS)
    return [field.invalid(path, seconds, 'may not specify a duration larger than 2^32 seconds')];
  return [];
}

function checkRef(object: KubeObject | undefined, ref: BoundObjectReference, resource: string): KubeObject {
  const name = ref.name ?? '';
  if (!object) throw notFound({ resource }, name);
  if (ref.uid && ref.uid !== object.metadata.uid)
    throw conflict(
      { resource: ref.kind ?? '' },
      name,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  return object;
}

const refOf = (object: KubeObject): ClaimedRef => ({ name: object.metadata.name, uid: object.metadata.uid });

function gvkText(ref: BoundObjectReference): string {
  const [group, version] = ref.apiVersion?.includes('/') ? ref.apiVersion.split('/') : ['', ref.apiVersion ?? ''];
  return `${group}/${version}, Kind=${ref.kind ?? ''}`;
}
