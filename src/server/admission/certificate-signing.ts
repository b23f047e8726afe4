// Certificates are issued, and requests failed, only by those who may sign for the signer.

import type { CertificateSigningRequest } from '../../api/generated/certificates-v1.ts';
import { sameJson } from '../../api/same-json.ts';
import type { AdmissionPlugin } from '../admission.ts';
import type { Authorizer } from '../authorizer.ts';
import { requireSigner } from '../signers.ts';

export function certificateSigning(authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    handles: (operation) => operation === 'UPDATE',
    validate({ kind, op, object, old }) {
      if (kind.resource !== 'certificatesigningrequests.certificates.k8s.io' || op.subresource !== 'status') return;
      const next = object as CertificateSigningRequest;
      const before = old as CertificateSigningRequest;
      const failed = ({ status }: CertificateSigningRequest) =>
        status?.conditions?.filter((c) => c.type === 'Failed') ?? [];
      const same = next.status?.certificate === before.status?.certificate && sameJson(failed(next), failed(before));
      if (!same) requireSigner(authorizer, op.user, 'sign', before);
    },
  };
}
