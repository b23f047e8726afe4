// Validation of PersistentVolumes.

import { field } from '../errors.ts';
import type {
  CSIPersistentVolumeSource,
  PersistentVolume,
  PersistentVolumeSource,
  PersistentVolumeSpec,
  SecretReference,
} from '../generated/core-v1.ts';
import { parseQuantity } from '../quantity.ts';
import { type Errors, missing, optionalName, optionalOneOf, required, requiredName } from './checks.ts';
import { validateAccessModes, VOLUME_MODES } from './claim.ts';
import { diffText } from './diff.ts';
import { dns1123Label, dns1123Subdomain } from './names.ts';
import { IMMUTABLE, validateImmutable } from './object-meta.ts';
import { noBacksteps } from './paths.ts';
import { validateNodeSelector } from './scheduling.ts';
import { sameValue } from './same-value.ts';
import { needs, validateCsiDriver, validateHostPath, validateNfs } from './volumes.ts';

type Sources = Required<PersistentVolumeSource>;
type Name = keyof Sources;
type Check<K extends Name> = (source: Sources[K], path: string, out: Errors) => void;

const CHECKS: { readonly [K in Name]: Check<K> } = {
  hostPath: validateHostPath,
  gcePersistentDisk: needs('pdName'),
  awsElasticBlockStore: needs('volumeID'),
  glusterfs: needs('endpoints', 'path'),
  flocker(source, path, out) {
    if (missing(source.datasetName) && missing(source.datasetUUID)) {
      out.push(field.required(path, 'one of datasetName and datasetUUID is required'));
    }
  },
  nfs: validateNfs,
  rbd: needs('monitors', 'image'),
  quobyte: needs('registry', 'volume'),
  cephfs: needs('monitors'),
  iscsi: needs('targetPortal', 'iqn'),
  cinder: needs('volumeID'),
  fc(source, path, out) {
    if (!source.targetWWNs?.length && !source.wwids?.length) {
      out.push(field.required(`${path}.targetWWNs`, 'must specify either targetWWNs or wwids, but not both'));
    }
  },
  flexVolume: needs('driver'),
  azureFile: needs('secretName', 'shareName'),
  vsphereVolume: needs('volumePath'),
  photonPersistentDisk: needs('pdID'),
  portworxVolume: needs('volumeID'),
  azureDisk: needs('diskName', 'diskURI'),
  scaleIO: needs('gateway', 'system', 'volumeName'),
  local(source, path, out) {
    if (missing(source.path)) out.push(field.required(`${path}.path`));
    else noBacksteps(source.path, `${path}.path`, out);
  },
  storageos: needs('volumeName'),
  csi: validateCsi,
};
const NAMES = Object.keys(CHECKS) as Name[];
const SECRETS = [
  'controllerPublishSecretRef',
  'controllerExpandSecretRef',
  'nodePublishSecretRef',
  'nodeExpandSecretRef',
] as const;

function validateCsi(source: CSIPersistentVolumeSource, path: string, out: Errors): void {
  validateCsiDriver(source.driver, `${path}.driver`, out);
  required(source.volumeHandle, `${path}.volumeHandle`, out);
  for (const key of SECRETS) if (source[key]) validateSecret(source[key], `${path}.${key}`, out);
}

function validateSecret(ref: SecretReference, path: string, out: Errors): void {
  requiredName(ref.name, dns1123Subdomain, `${path}.name`, out);
  requiredName(ref.namespace, dns1123Label, `${path}.namespace`, out);
}

export function validatePersistentVolume({ spec }: PersistentVolume): Errors {
  const out: Errors = [];
  if (!spec.accessModes?.length) out.push(field.required('spec.accessModes'));
  validateAccessModes(spec.accessModes, 'spec.accessModes', out);
  const capacity = spec.capacity ?? {};
  const names = Object.keys(capacity);
  if (!names.length) out.push(field.required('spec.capacity'));
  if (names.length !== 1 || names[0] !== 'storage') {
    out.push(field.notSupported('spec.capacity', capacity, ['storage']));
  }
  for (const name of names) {
    const quantity = parseQuantity(capacity[name]!);
    if (quantity.sign <= 0) {
      out.push(field.invalid(`spec.capacity[${name}]`, quantity.toString(), 'must be greater than zero'));
    }
  }
  const policies = ['Delete', 'Recycle', 'Retain'];
  optionalOneOf(spec.persistentVolumeReclaimPolicy, policies, 'spec.persistentVolumeReclaimPolicy', out);
  if (spec.nodeAffinity?.required) validateNodeSelector(spec.nodeAffinity.required, 'spec.nodeAffinity.required', out);
  else if (spec.nodeAffinity) {
    out.push(field.required('spec.nodeAffinity.required', 'must specify required node constraints'));
  }
  validateSource(spec, out);
  optionalName(spec.storageClassName, dns1123Subdomain, 'spec.storageClassName', out);
  optionalOneOf(spec.volumeMode, VOLUME_MODES, 'spec.volumeMode', out);
  validateAttributesClass(spec, out);
  return out;
}

function validateSource(spec: PersistentVolumeSpec, out: Errors): void {
  let first = true;
  for (const name of NAMES) {
    const source = spec[name];
    if (source === undefined) continue;
    if (!first) {
      out.push(field.forbidden(`spec.${name}`, 'may not specify more than 1 volume type'));
      continue;
    }
    first = false;
    (CHECKS[name] as Check<Name>)(source as never, `spec.${name}`, out);
  }
  if (first) out.push(field.required('spec', 'must specify a volume type'));
  if (spec.local && !spec.nodeAffinity) {
    out.push(field.required('spec.nodeAffinity', 'Local volume requires node affinity'));
  }
  if (spec.persistentVolumeReclaimPolicy === 'Recycle' && /^\/+$/.test(spec.hostPath?.path ?? '')) {
    const text = "may not be 'recycle' for a hostPath mount of '/'";
    out.push(field.forbidden('spec.persistentVolumeReclaimPolicy', text));
  }
}

function validateAttributesClass(spec: PersistentVolumeSpec, out: Errors): void {
  const name = spec.volumeAttributesClassName;
  if (name === undefined) return;
  const path = 'spec.volumeAttributesClassName';
  if (name === '') out.push(field.required(path, 'an empty string is disallowed'));
  else optionalName(name, dns1123Subdomain, path, out);
  if (!spec.csi) out.push(field.required('spec.csi', 'has to be specified when using volumeAttributesClassName'));
}

export function validatePersistentVolumeUpdate(volume: PersistentVolume, old: PersistentVolume): Errors {
  const out: Errors = [];
  const sourceOf = (spec: PersistentVolumeSpec): PersistentVolumeSource =>
    Object.fromEntries(NAMES.filter((name) => spec[name] !== undefined).map((name) => [name, spec[name]]));
  const before = sourceOf(old.spec);
  const now = sourceOf(volume.spec);
  if (before.csi && now.csi && !before.csi.controllerExpandSecretRef) {
    const { controllerExpandSecretRef: _, ...csi } = now.csi;
    now.csi = csi;
  }
  if (!sameValue(now, before)) {
    const diff = diffText(before, now, 'core.PersistentVolumeSource');
    const text = `spec.persistentvolumesource is immutable after creation\n${diff}`;
    out.push(field.forbidden('spec.persistentvolumesource', text));
  }
  validateImmutable(volume.spec.volumeMode, old.spec.volumeMode, 'volumeMode', out);
  if (old.spec.nodeAffinity && !sameValue(volume.spec.nodeAffinity, old.spec.nodeAffinity)) {
    const text = `${IMMUTABLE}, except for updating from beta label to GA`;
    out.push(field.invalid('nodeAffinity', volume.spec.nodeAffinity, text));
  }
  if (old.spec.volumeAttributesClassName !== undefined && volume.spec.volumeAttributesClassName === undefined) {
    out.push(field.forbidden('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden'));
  }
  return out;
}
