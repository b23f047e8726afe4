// Certificate requests: those of kubelets are approved when they may ask, approved ones are signed, old ones go.
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/

import { SubjectAccessReview } from '../api/kinds/authorization/subject-access-review.ts';
import { CertificateSigningRequest as Csr } from '../api/kinds/certificates/certificate-signing-request.ts';
import type { CertificateSigningRequestCondition } from '../api/generated/certificates-v1.ts';
import { Node } from '../api/kinds/core/node.ts';
import { keyOf, type Draft } from '../api/object.ts';
import { sameJson } from '../api/same-json.ts';
import {
  defineController,
  NOTHING,
  watch,
  type ControllerContext,
  type ControllerDefinition,
  type Plan,
  type View,
} from '../client/controller.ts';

/** The cluster's authority, as far as this controller needs it. */
export interface CertificateSigner {
  /** The signers it signs for. */
  readonly names: readonly string[];
  /** Whose kubelet client certificate is asked for: a node's own, one for a node, or none (`undefined`). */
  kubeletClient(spec: Csr['spec']): 'own' | 'other' | undefined;
  /** The node and the names it wants, when a node asks for a certificate of its own endpoint. */
  kubeletServing?(spec: Csr['spec']): { readonly node: string; readonly names: readonly string[] } | undefined;
  /** PEM. Throws an Error that says why it does not sign. */
  sign(spec: Csr['spec']): string;
}

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DENIED_OR_APPROVED_LIVES = HOUR;
const PENDING_LIVES = 24 * HOUR;
/** Signers of ours that may approve without a person. */
const KUBELET_CLIENT = 'kubernetes.io/kube-apiserver-client-kubelet';
const KUBELET_SERVING = 'kubernetes.io/kubelet-serving';

const ROLES = {
  own: {
    subresource: 'selfnodeclient',
    message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
  },
  other: { subresource: 'nodeclient', message: 'Auto approving kubelet client certificate after SubjectAccessReview.' },
} as const;

export function certificateSigning(signer: CertificateSigner): ControllerDefinition {
  const group = 'certificates.k8s.io';
  return defineController({
    name: 'certificate-controller',
    primary: Csr,
    watches: [
      watch({ kind: Csr, keys: 'self' }),
      // A node may ask before it has told its addresses.
      watch({ kind: Node, keys: (node, old, view) => (node ? servingRequestsOf(node, old, view) : []) }),
    ],
    grants: [
      { groups: [group], resources: ['certificatesigningrequests'], verbs: ['delete'] },
      {
        groups: [group],
        resources: ['certificatesigningrequests/approval', 'certificatesigningrequests/status'],
        verbs: ['update'],
      },
      { groups: [group], resources: ['signers'], resourceNames: [KUBELET_CLIENT, KUBELET_SERVING], verbs: ['approve'] },
      { groups: [group], resources: ['signers'], resourceNames: signer.names, verbs: ['sign'] },
      { groups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
    ],
    async reconcile(key, context) {
      const csr = context.view.of(Csr).get(key);
      if (!csr) return NOTHING;
      const now = context.env.clock.now();
      const left = lifeLeft(csr, now);
      if (left <= 0) return { actions: [{ do: 'delete', kind: Csr, ref: { name: key }, ignore: ['NotFound'] }] };
      const { actions } = await next(csr, signer, context);
      return { actions, again: left };
    },
  });
}

async function next(csr: Csr, signer: CertificateSigner, context: ControllerContext): Promise<Plan> {
  if (has(csr, 'Denied') || has(csr, 'Failed') || csr.status?.certificate) return NOTHING;
  if (has(csr, 'Approved')) return signer.names.includes(csr.spec.signerName) ? issue(csr, signer) : NOTHING;
  const serving = signer.kubeletServing?.(csr.spec);
  return serving ? approveServing(csr, serving, context) : approve(csr, signer, context);
}

function issue(csr: Csr, signer: CertificateSigner): Plan {
  try {
    return status(csr, { ...csr.status, certificate: btoa(signer.sign(csr.spec)) });
  } catch (error) {
    const { message } = error as Error;
    const failed = { type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message };
    return status(csr, { ...csr.status, conditions: [...(csr.status?.conditions ?? []), failed] });
  }
}

/**
 * Upstream leaves these to a person. Here a node is given a certificate for the names and addresses that its Node tells,
 * and for no others.
 */
function approveServing(
  csr: Csr,
  asked: { readonly node: string; readonly names: readonly string[] },
  { view }: ControllerContext,
): Plan {
  const addresses = view.of(Node).get(asked.node)?.status?.addresses ?? [];
  if (!asked.names.every((name) => addresses.some(({ address }) => address === name))) return NOTHING;
  return approval(csr, 'Auto approving kubelet server certificate: its names are addresses of the node.');
}

function servingRequestsOf(node: Node, old: Node | undefined, view: View): string[] {
  if (old && sameJson(node.status?.addresses, old.status?.addresses)) return [];
  const asks = ({ spec, status: { conditions } = {} }: Csr) =>
    spec.signerName === KUBELET_SERVING && spec.username === `system:node:${node.metadata.name}` && !conditions?.length;
  return view.of(Csr).list().filter(asks).map(keyOf);
}

async function approve(csr: Csr, signer: CertificateSigner, { client }: ControllerContext): Promise<Plan> {
  const whose = signer.kubeletClient(csr.spec);
  if (!whose) return NOTHING;
  const { username: user, uid, groups, extra } = csr.spec;
  const { subresource, message } = ROLES[whose];
  const resource = {
    group: 'certificates.k8s.io',
    resource: 'certificatesigningrequests',
    verb: 'create',
    version: '*',
    subresource,
  };
  const review = await client.create(SubjectAccessReview, {
    metadata: {},
    spec: { user, uid, groups, extra, resourceAttributes: resource },
  } as Draft<SubjectAccessReview>);
  if (!review.status?.allowed) return NOTHING;
  return approval(csr, message);
}

function approval(csr: Csr, message: string): Plan {
  const approved = { type: 'Approved', status: 'True', reason: 'AutoApproved', message };
  return status(csr, { ...csr.status, conditions: [...(csr.status?.conditions ?? []), approved] }, 'approval');
}

function status(csr: Csr, status: Csr['status'], subresource = 'status'): Plan {
  return { actions: [{ do: 'update', kind: Csr, object: { ...csr, status } as Csr, subresource }] };
}

const conditionOf = (csr: Csr, type: string): CertificateSigningRequestCondition | undefined =>
  csr.status?.conditions?.find((c) => c.type === type && c.status !== 'False');
const has = (csr: Csr, type: string) => conditionOf(csr, type) !== undefined;

/** Milliseconds until the request has no further use. */
function lifeLeft(csr: Csr, now: number): number {
  const since = (time: string | undefined) => now - Date.parse(time ?? csr.metadata.creationTimestamp ?? '');
  for (const type of ['Denied', 'Failed', 'Approved']) {
    const condition = conditionOf(csr, type);
    // One that is approved for a signer that never comes stays as long as one nobody decided about.
    if (condition && (type !== 'Approved' || csr.status?.certificate))
      return DENIED_OR_APPROVED_LIVES - since(condition.lastUpdateTime);
  }
  return PENDING_LIVES - since(undefined);
}
