// CertificateSigningRequest: certificates.k8s.io/v1.

import type { CertificateSigningRequest as CertificateSigningRequestObject } from '../../generated/certificates-v1.ts';
import { defineKind } from '../../kind.ts';

export type CertificateSigningRequest = CertificateSigningRequestObject;

export const CertificateSigningRequest = defineKind<CertificateSigningRequestObject>({
  group: 'certificates.k8s.io',
  version: 'v1',
  kind: 'CertificateSigningRequest',
  plural: 'certificatesigningrequests',
  namespaced: false,
  shortNames: ['csr'],
});
