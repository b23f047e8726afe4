// Who may approve and sign certificates: permissions on the signer's name, or on all names of its domain.
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#authorization

import { forbidden } from '../api/errors.ts';
import type { CertificateSigningRequest } from '../api/generated/certificates-v1.ts';
import type { UserInfo } from '../api/op.ts';
import type { Authorizer } from './authorizer.ts';

/** Throws Forbidden unless the user may `approve` or `sign` for the request's signer. */
export function requireSigner(
  authorizer: Authorizer,
  user: UserInfo,
  verb: 'approve' | 'sign',
  request: CertificateSigningRequest,
): void {
  const { signerName } = request.spec;
  const domain = `${signerName.slice(0, signerName.indexOf('/'))}/*`;
  const base = { user, verb, group: 'certificates.k8s.io', version: '*', resource: 'signers', subresource: '' };
  for (const name of [signerName, domain]) {
    if (authorizer.authorize({ ...base, namespace: '', name }).allowed) return;
  }
  throw forbidden(
    { group: 'certificates.k8s.io', resource: 'certificatesigningrequests' },
    request.metadata.name,
    `user not permitted to ${verb} requests with signerName ${JSON.stringify(signerName)}`,
  );
}
