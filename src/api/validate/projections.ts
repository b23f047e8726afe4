// Projected volumes and files of the downward API.

import { field } from '../errors.ts';
import type {
  ClusterTrustBundleProjection,
  DownwardAPIVolumeFile,
  PodCertificateProjection,
  ProjectedVolumeSource,
  ServiceAccountTokenProjection,
  VolumeProjection,
} from '../generated/core-v1.ts';
import { type Errors, inRange, missing, oneOf, required } from './checks.ts';
import { validateFieldRef, validateResourceFieldRef, VOLUME_FIELDS } from './env.ts';
import { validateLabelSelector } from './object-meta.ts';
import { localNonReservedPath, validateKeyToPath, validateMode } from './paths.ts';

export function validateDownwardFile(file: DownwardAPIVolumeFile, path: string, out: Errors): void {
  required(file.path, `${path}.path`, out);
  localNonReservedPath(file.path ?? '', `${path}.path`, out);
  if (file.fieldRef) {
    validateFieldRef(file.fieldRef, VOLUME_FIELDS, `${path}.fieldRef`, out);
    if (file.resourceFieldRef) {
      const text = 'fieldRef and resourceFieldRef can not be specified simultaneously';
      out.push(field.invalid(path, 'resource', text));
    }
  } else if (file.resourceFieldRef) {
    validateResourceFieldRef(file.resourceFieldRef, true, `${path}.resourceFieldRef`, out);
  } else {
    out.push(field.required(path, 'one of fieldRef and resourceFieldRef is required'));
  }
  validateMode(file.mode, `${path}.mode`, out);
}

const SOURCES = [
  'secret',
  'configMap',
  'downwardAPI',
  'serviceAccountToken',
  'clusterTrustBundle',
  'podCertificate',
] as const;

export function validateProjected(volume: ProjectedVolumeSource, path: string, out: Errors): void {
  const paths = new Set<string>();
  const claim = (file: string, value: unknown) => {
    if (missing(file)) return;
    if (paths.has(file)) out.push(field.invalid(path, value, 'conflicting duplicate paths'));
    paths.add(file);
  };
  volume.sources?.forEach((source, i) => {
    const at = `${path}.sources[${i}]`;
    validateSource(source, at, path, out, claim);
    if (SOURCES.filter((key) => source[key]).length > 1) {
      out.push(field.forbidden(at, 'may not specify more than 1 volume type per source'));
    }
  });
}

type Claim = (file: string, value: unknown) => void;

function validateSource(source: VolumeProjection, at: string, path: string, out: Errors, claim: Claim): void {
  for (const key of ['secret', 'configMap'] as const) {
    const from = source[key];
    if (!from) continue;
    required(from.name, `${at}.${key}.name`, out);
    validateKeyToPath(from.items, `${at}.${key}.items`, out);
    for (const item of from.items ?? []) claim(item.path, from.name ?? '');
  }
  for (const file of source.downwardAPI?.items ?? []) {
    validateDownwardFile(file, `${at}.downwardAPI`, out);
    claim(file.path, file.path);
  }
  if (source.serviceAccountToken) validateToken(source.serviceAccountToken, `${at}.serviceAccountToken`, path, out);
  if (source.clusterTrustBundle) {
    validateTrustBundle(source.clusterTrustBundle, `${at}.clusterTrustBundle`, out);
    claim(source.clusterTrustBundle.path, source.clusterTrustBundle.path);
  }
  if (source.podCertificate) validateCertificate(source.podCertificate, `${at}.podCertificate`, out, claim);
}

function validateToken(token: ServiceAccountTokenProjection, at: string, path: string, out: Errors): void {
  const seconds = token.expirationSeconds ?? 0;
  if (seconds < 600) {
    out.push(field.invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'));
  }
  if (seconds > 2 ** 32) {
    out.push(field.invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'));
  }
  // Upstream reports these at the volume, not at the source.
  if (missing(token.path)) out.push(field.required(`${path}.path`));
  else localNonReservedPath(token.path, `${path}.path`, out);
}

function validateTrustBundle(bundle: ClusterTrustBundleProjection, at: string, out: Errors): void {
  if (bundle.name !== undefined && bundle.signerName !== undefined) {
    out.push(field.invalid(at, bundle, 'only one of name and signerName may be used'));
  } else if (bundle.name !== undefined) {
    required(bundle.name, `${at}.name`, out, 'must be a valid object name');
    if (bundle.labelSelector) {
      const text = 'labelSelector must be unset if name is specified';
      out.push(field.invalid(`${at}.labelSelector`, bundle.labelSelector, text));
    }
  } else if (bundle.signerName !== undefined) {
    required(bundle.signerName, `${at}.signerName`, out, 'must be a valid signer name');
    validateLabelSelector(bundle.labelSelector, `${at}.labelSelector`, out);
  } else {
    out.push(field.required(at, 'either name or signerName must be specified'));
  }
  required(bundle.path, `${at}.path`, out);
  localNonReservedPath(bundle.path ?? '', `${at}.path`, out);
}

const KEY_TYPES = ['ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519', 'RSA3072', 'RSA4096'];

function validateCertificate(certificate: PodCertificateProjection, at: string, out: Errors, claim: Claim): void {
  required(certificate.signerName, `${at}.signerName`, out);
  oneOf(certificate.keyType, KEY_TYPES, `${at}.keyType`, out);
  const seconds = certificate.maxExpirationSeconds;
  if (seconds !== undefined) inRange(seconds, 3600, 91 * 86_400, `${at}.maxExpirationSeconds`, out);
  const files = ['credentialBundlePath', 'keyPath', 'certificateChainPath'] as const;
  if (files.every((key) => missing(certificate[key]))) {
    out.push(
      field.required(
        `${at}.credentialBundlePath`,
        'specify at least one of credentialBundlePath, keyPath, and certificateChainPath',
      ),
    );
  }
  for (const key of files) {
    const file = certificate[key];
    if (missing(file)) continue;
    localNonReservedPath(file, `${at}.${key}`, out);
    claim(file, file);
  }
}
