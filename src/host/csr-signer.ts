// Signs CertificateSigningRequests with the cluster's authority, by the rules of Kubernetes' own signers.
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers

import type { CertificateSigningRequestSpec } from '../api/generated/certificates-v1.ts';
import type { Env } from '../base/env.ts';
import { BACKDATE } from './pki.ts';
import { issue, parseRequest, type Authority, type ParsedRequest, type Usage } from './x509.ts';

const KUBE_APISERVER_CLIENT = 'kubernetes.io/kube-apiserver-client';
export const KUBELET_CLIENT = 'kubernetes.io/kube-apiserver-client-kubelet';
export const KUBELET_SERVING = 'kubernetes.io/kubelet-serving';
const SIGNERS: readonly string[] = [KUBE_APISERVER_CLIENT, KUBELET_CLIENT, KUBELET_SERVING];

const DEFAULT_SECONDS = 365 * 24 * 3600;
const LEAST_SECONDS = 600;
const NODE_GROUP = 'system:nodes';
const NODE_PREFIX = 'system:node:';
const CLIENT_USAGES = [
  ['client auth', 'digital signature'],
  ['client auth', 'digital signature', 'key encipherment'],
];
const SERVING_USAGES = [
  ['digital signature', 'server auth'],
  ['digital signature', 'key encipherment', 'server auth'],
];

/** What a request asks for. Throws an Error for one that cannot be read. `spec.request` is base64 of PEM. */
export function readRequest(spec: CertificateSigningRequestSpec): ParsedRequest {
  return parseRequest(Buffer.from(spec.request, 'base64').toString());
}

/** Why a signer would not sign this, in upstream's words; undefined when it would. */
export function refusal(spec: CertificateSigningRequestSpec, request: ParsedRequest): string | undefined {
  const usages = [...(spec.usages ?? [])].sort();
  switch (spec.signerName) {
    case KUBE_APISERVER_CLIENT:
      return apiServerClientRefusal(usages);
    case KUBELET_CLIENT:
      return (
        nodeRefusal(request) ??
        (request.dnsNames.length > 0 ? 'DNS subjectAltNames are not allowed' : undefined) ??
        (request.emails.length > 0 ? 'email subjectAltNames are not allowed' : undefined) ??
        (request.addresses.length > 0 ? 'IP subjectAltNames are not allowed' : undefined) ??
        (request.uris.length > 0 ? 'URI subjectAltNames are not allowed' : undefined) ??
        usageRefusal(usages, CLIENT_USAGES)
      );
    case KUBELET_SERVING:
      return (
        nodeRefusal(request) ??
        (request.dnsNames.length + request.addresses.length === 0
          ? 'DNS or IP subjectAltName is required'
          : undefined) ??
        (request.emails.length > 0 ? 'email subjectAltNames are not allowed' : undefined) ??
        (request.uris.length > 0 ? 'URI subjectAltNames are not allowed' : undefined) ??
        usageRefusal(usages, SERVING_USAGES)
      );
    default:
      return `signer ${spec.signerName} is not one of ours`;
  }
}

function nodeRefusal({ commonName, organizations }: ParsedRequest): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== NODE_GROUP) return 'subject organization is not system:nodes';
  if (!commonName.startsWith(NODE_PREFIX)) return 'subject common name does not begin with system:node: ';
  return undefined;
}

function usageRefusal(usages: readonly string[], allowed: readonly string[][]): string | undefined {
  if (allowed.some((set) => set.join() === usages.join())) return undefined;
  return `usages did not match [${allowed[0]!.join(' ')}]`;
}

function apiServerClientRefusal(usages: readonly string[]): string | undefined {
  const [, allowed] = CLIENT_USAGES;
  if (!usages.every((u) => allowed!.includes(u))) return `invalid usage for client certificate: ${usages.join(', ')}`;
  return usages.includes('client auth') ? undefined : 'missing required usage for client certificate: client auth';
}

/** Whether a kubelet client certificate is asked for, and by the node itself: what may be approved without a person. */
export function kubeletClient(spec: CertificateSigningRequestSpec): 'own' | 'other' | undefined {
  if (spec.signerName !== KUBELET_CLIENT) return undefined;
  let request: ParsedRequest;
  try {
    request = readRequest(spec);
  } catch {
    // Nothing to approve in what cannot be read; signing would say why.
    return undefined;
  }
  if (refusal(spec, request) !== undefined) return undefined;
  return spec.username === request.commonName ? 'own' : 'other';
}

/** The node and its names, when a node asks for a certificate of its own endpoint. */
export function kubeletServing(spec: CertificateSigningRequestSpec): { node: string; names: string[] } | undefined {
  if (spec.signerName !== KUBELET_SERVING) return undefined;
  try {
    const request = readRequest(spec);
    if (refusal(spec, request) !== undefined || spec.username !== request.commonName) return undefined;
    return { node: request.commonName.slice(NODE_PREFIX.length), names: [...request.dnsNames, ...request.addresses] };
  } catch {
    return undefined;
  }
}

export interface SigningAuthority {
  readonly authority: Authority;
  /** When its own certificate ends, milliseconds since the epoch. */
  readonly notAfter: number;
  /** The longest life of what it signs, and the usual one; a year unless told. */
  readonly signingSeconds?: number;
}

/** The signer for the certificate controller. */
export function certificateSigner(pki: SigningAuthority, env: Env) {
  return {
    names: SIGNERS,
    kubeletClient,
    kubeletServing,
    sign: (spec: CertificateSigningRequestSpec) => signRequest(spec, pki, env),
  };
}

/** The signed certificate, PEM. Throws an Error when the request is one to refuse (see `refusal`) or cannot be read. */
export function signRequest(spec: CertificateSigningRequestSpec, authority: SigningAuthority, env: Env): string {
  const request = readRequest(spec);
  const why = refusal(spec, request);
  if (why) throw new Error(why);
  const now = env.clock.now();
  const longest = authority.signingSeconds ?? DEFAULT_SECONDS;
  const seconds = Math.min(longest, Math.max(LEAST_SECONDS, spec.expirationSeconds ?? longest));
  // Not so long before that the certificate would look as if the greater part of its life were over.
  const backdate = Math.min(BACKDATE, seconds * 100);
  const usages = spec.usages ?? [];
  return issue(
    {
      subject: request,
      publicKey: request.publicKey,
      notBefore: now - backdate,
      notAfter: Math.min(now + seconds * 1000, authority.notAfter),
      usages: usages.filter((u): u is Usage => u === 'client auth' || u === 'server auth'),
      keyEncipherment: usages.includes('key encipherment'),
      names: [...request.dnsNames, ...request.addresses],
      emails: request.emails,
      uris: request.uris,
    },
    authority.authority,
    env.random,
  );
}
