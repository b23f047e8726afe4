// serviceaccounts/token: a token for the account, bound to a pod, secret or node when the request says so.

import { badRequest, conflict, field, invalid, notFound, type FieldError } from '../../api/errors.ts';
import type {
  BoundObjectReference,
  TokenRequest as TokenRequestObject,
} from '../../api/generated/authentication-v1.ts';
import type { Pod as PodObject } from '../../api/generated/core-v1.ts';
import { defineKind, type AnyKind } from '../../api/kind.ts';
import { Node } from '../../api/kinds/core/node.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import { Secret } from '../../api/kinds/core/secret.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';
import { admissionOf } from '../admit.ts';
import { decodeBody, matchNamespace } from '../body.ts';
import { requiredName, requireVerb, subjectOf, type Call, type Handler } from '../call.ts';

/** An object a token speaks of. */
export interface TokenRef {
  readonly name: string;
  readonly uid: string;
}

export interface TokenClaims {
  readonly namespace: string;
  readonly serviceAccount: TokenRef;
  /** The API server's own audiences when empty. */
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  readonly pod?: TokenRef;
  readonly secret?: TokenRef;
  /** The node the token is bound to, or the one its pod runs on. The uid is '' when that node is not known. */
  readonly node?: TokenRef;
}

/** Makes service account tokens; the authenticator of the same server accepts them. */
export interface TokenIssuer {
  issue(claims: TokenClaims): Promise<{
    readonly token: string;
    /** What the token is good for. */
    readonly audiences: readonly string[];
    /** RFC 3339. */
    readonly expirationTimestamp: string;
  }>;
}

const TokenRequest = defineKind<TokenRequestObject>({
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'TokenRequest',
  plural: 'tokenrequests',
  namespaced: true,
  default(draft) {
    draft.spec ??= {};
    draft.spec.expirationSeconds ??= 3600;
  },
}) as unknown as AnyKind;

const SHORTEST = 600;
const LONGEST = 2 ** 32;

export function serviceAccountToken(issuer: TokenIssuer): Handler {
  return async (call): Promise<ObjectResult> => {
    requireVerb(call, 'create');
    const { op, kind, server } = call;
    const name = requiredName(op);
    const request = decodeBody(call, TokenRequest, op.body) as TokenRequestObject;
    matchNamespace(TokenRequest, op, request);
    if (request.metadata.name && request.metadata.name !== name) {
      throw badRequest(
        `service account name in the token request (${request.metadata.name}) does not match the name on the URL (${name})`,
      );
    }
    const account = (await server.caches.current(kind)).get(op.namespace, name);
    if (!account) throw notFound(subjectOf(kind), name);
    const causes = validateTokenRequest(request);
    if (causes.length) throw invalid('authentication.k8s.io', 'TokenRequest', '', causes);
    const admission = admissionOf(call, 'CREATE', kind);
    await admission.mutate(request as KubeObject, undefined);
    await admission.validate(request as KubeObject, undefined);
    const { expirationSeconds = 3600, boundObjectRef } = request.spec;
    // A list that was not sent reads as null: Go has no other empty form for a field without omitempty.
    const audiences = request.spec.audiences ?? [];
    const issued = await issuer.issue({
      namespace: account.metadata.namespace ?? '',
      serviceAccount: { name, uid: account.metadata.uid },
      audiences,
      expirationSeconds,
      ...(boundObjectRef ? await boundTo(call, boundObjectRef, name) : {}),
    });
    const { token, expirationTimestamp } = issued;
    const object: TokenRequestObject = {
      ...request,
      metadata: { ...request.metadata, name, creationTimestamp: request.metadata.creationTimestamp },
      spec: { ...request.spec, audiences: [...issued.audiences] },
      status: { token, expirationTimestamp },
    };
    return { type: 'object', object, code: 201 };
  };
}

function validateTokenRequest({ spec }: TokenRequestObject): FieldError[] {
  const seconds = spec.expirationSeconds ?? 3600;
  const path = 'spec.expirationSeconds';
  if (seconds < SHORTEST) return [field.invalid(path, seconds, 'may not specify a duration less than 10 minutes')];
  if (seconds > LONGEST) return [field.invalid(path, seconds, 'may not specify a duration larger than 2^32 seconds')];
  return [];
}

/** The object the token shall die with. Rejects with NotFound, Conflict, BadRequest. */
async function boundTo(
  call: Call,
  ref: BoundObjectReference,
  account: string,
): Promise<Pick<TokenClaims, 'pod' | 'secret' | 'node'>> {
  const { caches } = call.server;
  const { namespace } = call.op;
  const find = async (kind: AnyKind, within: string | undefined): Promise<KubeObject> => {
    const name = ref.name ?? '';
    const found = (await caches.current(kind)).get(within, name);
    if (!found) throw notFound(subjectOf(kind), name);
    const { uid } = found.metadata;
    if (ref.uid && ref.uid !== uid) {
      const why = `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
      throw conflict({ group: kind.group, resource: kind.kind }, name, why);
    }
    return found;
  };
  const refOf = ({ metadata }: KubeObject): TokenRef => ({ name: metadata.name, uid: metadata.uid });
  const type = `${ref.apiVersion ?? ''}/${ref.kind ?? ''}`;
  if (type === 'v1/Pod') {
    const pod = (await find(Pod, namespace)) as PodObject;
    if (pod.spec.serviceAccountName !== account) {
      throw badRequest(
        `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`,
      );
    }
    const { nodeName } = pod.spec;
    if (!nodeName) return { pod: refOf(pod) };
    const uid = (await caches.current(Node)).get(undefined, nodeName)?.metadata.uid ?? '';
    return { pod: refOf(pod), node: { name: nodeName, uid } };
  }
  if (type === 'v1/Secret') return { secret: refOf(await find(Secret, namespace)) };
  if (type === 'v1/Node') return { node: refOf(await find(Node, undefined)) };
  const [group, version] = ref.apiVersion?.includes('/') ? ref.apiVersion.split('/') : ['', ref.apiVersion ?? ''];
  throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${ref.kind ?? ''}`);
}
