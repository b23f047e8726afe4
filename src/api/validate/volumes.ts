// Volumes of a pod: exactly one source each, with what it requires. Plugins that exist only in name any more are checked
// for their required fields by a table.

import { field } from '../errors.ts';
import type { HostPathVolumeSource, NFSVolumeSource, PodSpec, Volume, VolumeSource } from '../generated/core-v1.ts';
import type { ObjectMeta } from '../object.ts';
import { parseQuantity } from '../quantity.ts';
import { type Errors, missing, oneOf, optionalOneOf, required } from './checks.ts';
import { validateClaimTemplate } from './claim.ts';
import { PULL_POLICIES } from './container.ts';
import type { VolumeMap } from './mounts.ts';
import { addFaults, dns1123Label, dns1123Subdomain } from './names.ts';
import { localDescendingPath, noBacksteps, validateKeyToPath, validateMode } from './paths.ts';
import { validateDownwardFile, validateProjected } from './projections.ts';

const HOST_PATH_TYPES = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

type Sources = Required<VolumeSource>;
type Name = keyof Sources;
type Check<K extends Name> = (source: Sources[K], path: string, out: Errors, isPod: boolean) => void;

/** The texts a source must have. */
export const needs =
  (...keys: string[]) =>
  (source: object, path: string, out: Errors): void => {
    const values = source as Record<string, unknown>;
    for (const key of keys) {
      const value = values[key];
      if (Array.isArray(value) ? value.length === 0 : missing(value as string | undefined)) {
        out.push(field.required(`${path}.${key}`));
      }
    }
  };

/** In upstream's order of evaluation: the first set source counts, further ones are errors. */
const CHECKS: { readonly [K in Name]: Check<K> } = {
  emptyDir(source, path, out) {
    if (source.sizeLimit !== undefined && parseQuantity(source.sizeLimit).sign < 0) {
      out.push(field.forbidden(`${path}.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
    }
  },
  hostPath: validateHostPath,
  gitRepo(source, path, out) {
    required(source.repository, `${path}.repository`, out);
    localDescendingPath(source.directory ?? '', `${path}.directory`, out);
  },
  gcePersistentDisk: needs('pdName'),
  awsElasticBlockStore: needs('volumeID'),
  secret(source, path, out) {
    required(source.secretName, `${path}.secretName`, out);
    validateMode(source.defaultMode, `${path}.defaultMode`, out);
    validateKeyToPath(source.items, `${path}.items`, out);
  },
  nfs: validateNfs,
  iscsi: needs('targetPortal', 'iqn'),
  glusterfs: needs('endpoints', 'path'),
  flocker(source, path, out) {
    if (missing(source.datasetName) && missing(source.datasetUUID)) {
      out.push(field.required(path, 'one of datasetName and datasetUUID is required'));
    }
  },
  persistentVolumeClaim: needs('claimName'),
  rbd: needs('monitors', 'image'),
  cinder: needs('volumeID'),
  cephfs: needs('monitors'),
  quobyte: needs('registry', 'volume'),
  downwardAPI(source, path, out) {
    validateMode(source.defaultMode, `${path}.defaultMode`, out);
    for (const file of source.items ?? []) validateDownwardFile(file, path, out);
  },
  fc(source, path, out) {
    if (!source.targetWWNs?.length && !source.wwids?.length) {
      out.push(field.required(`${path}.targetWWNs`, 'must specify either targetWWNs or wwids, but not both'));
    }
  },
  flexVolume: needs('driver'),
  configMap(source, path, out) {
    required(source.name, `${path}.name`, out);
    validateMode(source.defaultMode, `${path}.defaultMode`, out);
    validateKeyToPath(source.items, `${path}.items`, out);
  },
  azureFile: needs('secretName', 'shareName'),
  vsphereVolume: needs('volumePath'),
  photonPersistentDisk: needs('pdID'),
  portworxVolume: needs('volumeID'),
  azureDisk: needs('diskName', 'diskURI'),
  storageos: needs('volumeName'),
  projected(source, path, out) {
    validateMode(source.defaultMode, `${path}.defaultMode`, out);
    validateProjected(source, path, out);
  },
  scaleIO: needs('gateway', 'system', 'volumeName'),
  csi(source, path, out) {
    validateCsiDriver(source.driver, `${path}.driver`, out);
    const secret = source.nodePublishSecretRef;
    if (!secret) return;
    if (missing(secret.name)) out.push(field.required(`${path}.nodePublishSecretRef.name`));
    else addFaults(dns1123Subdomain(secret.name), `${path}.name`, secret.name, out);
  },
  ephemeral(source, path, out) {
    const at = `${path}.volumeClaimTemplate`;
    if (!source.volumeClaimTemplate) out.push(field.required(at));
    else validateClaimTemplate(source.volumeClaimTemplate, at, out);
  },
  image(source, path, out, isPod) {
    if (isPod) required(source.reference, `${path}.reference`, out);
    oneOf(source.pullPolicy, PULL_POLICIES, `${path}.pullPolicy`, out);
  },
};
const NAMES = Object.keys(CHECKS) as Name[];

export function validateHostPath(source: HostPathVolumeSource, path: string, out: Errors): void {
  if (missing(source.path)) return void out.push(field.required(`${path}.path`));
  noBacksteps(source.path, `${path}.path`, out);
  optionalOneOf(source.type, HOST_PATH_TYPES, `${path}.type`, out);
}

export function validateNfs(source: NFSVolumeSource, path: string, out: Errors): void {
  required(source.server, `${path}.server`, out);
  required(source.path, `${path}.path`, out);
  if (!source.path?.startsWith('/')) {
    out.push(field.invalid(`${path}.path`, source.path ?? '', 'must be an absolute path'));
  }
}

export function validateCsiDriver(name: string | undefined, path: string, out: Errors): void {
  required(name, path, out);
  if ((name?.length ?? 0) > 63) out.push(field.tooLong(path, 63));
  addFaults(dns1123Subdomain((name ?? '').toLowerCase()), path, name ?? '', out);
}

/** Answers the valid volumes by name; `meta` is the pod's, if the spec is a pod's. */
export function validateVolumes(spec: PodSpec, meta: ObjectMeta | undefined, specPath: string, out: Errors): VolumeMap {
  const path = `${specPath}.volumes`;
  const valid = new Map<string, Volume>();
  const created = meta ? spec.volumes?.filter((v) => v.ephemeral).map((v) => `${meta.name}-${v.name}`) : undefined;
  spec.volumes?.forEach((v, i) => {
    const at = `${path}[${i}]`;
    const errors: Errors = [];
    validateSource(v, meta, at, errors);
    if (missing(v.name)) errors.push(field.required(`${at}.name`));
    else addFaults(dns1123Label(v.name), `${at}.name`, v.name, errors);
    if (valid.has(v.name)) errors.push(field.duplicate(`${at}.name`, v.name));
    if (errors.length) out.push(...errors);
    else valid.set(v.name, v);
    const claim = v.persistentVolumeClaim?.claimName;
    if (claim !== undefined && created?.includes(claim)) {
      const text = 'must not reference a PVC that gets created for an ephemeral volume';
      out.push(field.invalid(`${at}.persistentVolumeClaim.claimName`, claim, text));
    }
  });
  return valid;
}

function validateSource(v: Volume, meta: ObjectMeta | undefined, path: string, out: Errors): void {
  let first = true;
  for (const name of NAMES) {
    const source = v[name];
    if (source === undefined) continue;
    if (!first) {
      out.push(field.forbidden(`${path}.${name}`, 'may not specify more than 1 volume type'));
      continue;
    }
    first = false;
    (CHECKS[name] as Check<Name>)(source as never, `${path}.${name}`, out, meta !== undefined);
  }
  if (first) out.push(field.required(path, 'must specify a volume type'));
  if (v.ephemeral && meta?.name && !missing(v.name)) {
    const claim = `${meta.name}-${v.name}`;
    for (const fault of dns1123Subdomain(claim)) {
      out.push(field.invalid(`${path}.name`, v.name, `PVC name ${JSON.stringify(claim)}: ${fault}`));
    }
  }
}
