// CertificateSigningRequest: certificates.k8s.io/v1. What was asked never changes; approvers and signers write status.

import { rfc3339 } from '../../../base/env.ts';
import { decodeText } from '../../base64.ts';
import { field } from '../../errors.ts';
import type {
  CertificateSigningRequest as CertificateSigningRequestObject,
  CertificateSigningRequestCondition,
  CertificateSigningRequestSpec,
} from '../../generated/certificates-v1.ts';
import { humanDuration } from '../../human-duration.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, missing, unique } from '../../validate/checks.ts';
import { dns1123Subdomain } from '../../validate/names.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { sameValue } from '../../validate/same-value.ts';
import { AGE, ageOf, NAME, NONE, text } from '../columns.ts';

export type CertificateSigningRequest = CertificateSigningRequestObject;

const USAGES = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];
const DECISIONS = ['Approved', 'Denied'] as const;

export const CertificateSigningRequest = defineKind<CertificateSigningRequestObject>({
  group: 'certificates.k8s.io',
  version: 'v1',
  kind: 'CertificateSigningRequest',
  plural: 'certificatesigningrequests',
  namespaced: false,
  names: 'path',
  shortNames: ['csr'],

  prepareForCreate(csr, { user }) {
    const { username: _, uid: __, groups: ___, extra: ____, ...spec } = csr.spec;
    csr.spec = { ...spec, username: user.name };
    if (user.uid) csr.spec.uid = user.uid;
    if (user.groups.length) csr.spec.groups = [...user.groups];
    const extra = Object.entries(user.extra ?? {});
    if (extra.length) csr.spec.extra = Object.fromEntries(extra.map(([key, values]) => [key, [...values]]));
    csr.status = {};
  },
  prepareForUpdate(csr, old) {
    csr.spec = { ...old.spec };
  },

  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    validateRequest(spec.request, out);
    validateUsages(spec, out);
    validateSignerName(spec.signerName, 'spec.signerName', out);
    if (spec.signerName === 'kubernetes.io/legacy-unknown') {
      const text = 'the legacy signerName is not allowed via this API version';
      out.push(field.invalid('spec.signerName', spec.signerName, text));
    }
    const seconds = spec.expirationSeconds;
    if (seconds !== undefined && seconds < 600) {
      const text = 'may not specify a duration less than 600 seconds (10 minutes)';
      out.push(field.invalid('spec.expirationSeconds', seconds, text));
    }
    return out;
  },
  status: {
    prepareForUpdate(csr, _, { now }) {
      const time = rfc3339(now);
      for (const condition of csr.status?.conditions ?? []) {
        condition.lastUpdateTime ??= time;
        condition.lastTransitionTime ??= time;
      }
    },
    validateUpdate({ status }, old) {
      const out: Errors = [];
      const conditions = status?.conditions ?? [];
      for (const type of DECISIONS) validateDecision(type, conditions, old.status?.conditions ?? [], out);
      validateConditions(conditions, out);
      const issued = old.status?.certificate;
      if (!missing(issued) && status?.certificate !== issued) {
        out.push(field.forbidden('status.certificate', 'updates may not modify existing certificate content'));
      }
      return out;
    },
  },

  subresources: { approval: { verbs: ['get', 'patch', 'update'] } },
  selectableFields: { 'spec.signerName': ({ spec }) => spec.signerName },
  columns: [
    NAME,
    AGE,
    text('SignerName', 'Who is to sign.'),
    text('Requestor', 'Who asks.'),
    text('RequestedDuration', 'How long the certificate shall be valid.'),
    text('Condition', 'How far the request is.'),
  ],
  row(csr, now) {
    const { spec } = csr;
    return [
      csr.metadata.name,
      ageOf(csr, now),
      spec.signerName || NONE,
      spec.username ?? '',
      spec.expirationSeconds === undefined ? NONE : humanDuration(spec.expirationSeconds * 1000),
      conditionText(csr),
    ];
  },
});

function conditionText({ status }: CertificateSigningRequestObject): string {
  const has = (type: string) => status?.conditions?.some((c) => c.type === type) ?? false;
  const decision = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  return `${decision}${has('Failed') ? ',Failed' : ''}${status?.certificate ? ',Issued' : ''}`;
}

/** A PEM block of the right type; the signature is checked by whoever signs. */
function validateRequest(request: string | undefined, out: Errors): void {
  let pem = '';
  try {
    pem = decodeText(request ?? '');
  } catch {
    pem = '';
  }
  if (!/-----BEGIN CERTIFICATE REQUEST-----[\s\S]+-----END CERTIFICATE REQUEST-----/.test(pem)) {
    out.push(field.invalid('spec.request', request ?? '', 'PEM block type must be CERTIFICATE REQUEST'));
  }
}

function validateUsages({ usages = [] }: CertificateSigningRequestSpec, out: Errors): void {
  if (!usages.length) out.push(field.required('spec.usages'));
  usages.forEach((usage, i) => {
    if (!USAGES.includes(usage)) out.push(field.notSupported(`spec.usages[${i}]`, usage, USAGES));
  });
  unique(usages, (i) => `spec.usages[${i}]`, out);
}

/** `example.com/signer-name`. */
function validateSignerName(name: string, path: string, out: Errors): void {
  if (missing(name)) return void out.push(field.required(path));
  const slash = name.indexOf('/');
  const [domain, rest] = [name.slice(0, slash), name.slice(slash + 1)];
  if (slash < 1 || rest === '' || rest.includes('/')) {
    const text = 'must be a fully qualified domain and path of the form "example.com/signer-name"';
    return void out.push(field.invalid(path, name, text));
  }
  for (const fault of dns1123Subdomain(domain)) out.push(field.invalid(path, domain, fault));
  if (!domain.includes('.')) {
    out.push(field.invalid(path, domain, 'should be a domain with at least two segments separated by dots'));
  }
  for (const fault of dns1123Subdomain(rest)) out.push(field.invalid(path, rest, fault));
}

/** Decisions are made through the approval subresource alone. */
function validateDecision(
  type: string,
  now: readonly CertificateSigningRequestCondition[],
  old: readonly CertificateSigningRequestCondition[],
  out: Errors,
): void {
  const of = (list: readonly CertificateSigningRequestCondition[]) => list.filter((c) => c.type === type);
  const [after, before] = [of(now), of(old)];
  if (sameValue(after, before)) return;
  const what = after.length > before.length ? 'add' : after.length < before.length ? 'remove' : 'modify';
  out.push(field.forbidden('status.conditions', `updates may not ${what} a condition of type ${JSON.stringify(type)}`));
}

function validateConditions(conditions: readonly CertificateSigningRequestCondition[], out: Errors): void {
  conditions.forEach(({ type, status }, i) => {
    const at = `status.conditions[${i}]`;
    const final = type === 'Approved' || type === 'Denied' || type === 'Failed';
    const values = final ? ['True'] : ['True', 'False', 'Unknown'];
    if (missing(type)) out.push(field.required(`${at}.type`));
    if (missing(status)) out.push(field.required(`${at}.status`));
    else if (!values.includes(status)) out.push(field.notSupported(`${at}.status`, status, values));
    if (type === 'Denied' && conditions.some((c) => c.type === 'Approved')) {
      out.push(field.invalid(`${at}.type`, type, 'Approved and Denied conditions are mutually exclusive'));
    }
  });
  unique(
    conditions.map((c) => c.type ?? ''),
    (i) => `status.conditions[${i}].type`,
    out,
  );
}
