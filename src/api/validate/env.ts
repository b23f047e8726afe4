// Environment variables and where their values come from, and the downward API.

import { field } from '../errors.ts';
import type { EnvFromSource, EnvVar, ObjectFieldSelector, ResourceFieldSelector } from '../generated/core-v1.ts';
import { parseQuantity } from '../quantity.ts';
import { type Errors, missing, required } from './checks.ts';
import { addFaults, configKey, dns1123Subdomain, envVarName, objectName, qualifiedName } from './names.ts';
import { localNonReservedPath } from './paths.ts';

/** Fields of a pod that the downward API knows; which of them is allowed depends on the place. */
const DOWNWARD_FIELDS = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.serviceAccountName',
  'spec.schedulerName',
  'status.phase',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const ENV_FIELDS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
export const VOLUME_FIELDS = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];
const RESOURCE_FIELDS = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];

/** `metadata.labels['app']` -> [`metadata.labels`, `app`]; without subscript the second is undefined. */
export function splitSubscript(path: string): [path: string, key: string | undefined] {
  const open = path.indexOf("['");
  if (open < 1 || !path.endsWith("']")) return [path, undefined];
  return [path.slice(0, open), path.slice(open + 2, -2)];
}

export function validateFieldRef(
  ref: ObjectFieldSelector,
  allowed: readonly string[],
  path: string,
  out: Errors,
): void {
  if (missing(ref.apiVersion)) return void out.push(field.required(`${path}.apiVersion`));
  if (missing(ref.fieldPath)) return void out.push(field.required(`${path}.fieldPath`));
  const at = `${path}.fieldPath`;
  const fail = (why: string) => void out.push(field.invalid(at, ref.fieldPath, `error converting fieldPath: ${why}`));
  if (ref.apiVersion !== 'v1') return fail(`unsupported pod version: ${ref.apiVersion}`);
  const label = ref.fieldPath === 'spec.host' ? 'spec.nodeName' : ref.fieldPath;
  const [name, key] = splitSubscript(label);
  if (key === undefined) {
    if (!DOWNWARD_FIELDS.includes(label)) return fail(`field label not supported: ${label}`);
    if (!allowed.includes(label)) out.push(field.notSupported(at, label, allowed));
  } else if (name === 'metadata.annotations') {
    addFaults(qualifiedName(key.toLowerCase()), path, key.toLowerCase(), out);
  } else if (name === 'metadata.labels') {
    addFaults(qualifiedName(key), path, key, out);
  } else if (DOWNWARD_FIELDS.includes(name)) {
    out.push(field.invalid(path, name, 'does not support subscript'));
  } else {
    fail(`field label does not support subscript: ${label}`);
  }
}

const SIZES = ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'];

export function validateResourceFieldRef(
  ref: ResourceFieldSelector,
  inVolume: boolean,
  path: string,
  out: Errors,
): void {
  const huge = /^(requests|limits)\.hugepages-/.test(ref.resource ?? '');
  if (inVolume && missing(ref.containerName)) out.push(field.required(`${path}.containerName`));
  else if (missing(ref.resource)) out.push(field.required(`${path}.resource`));
  else if (!RESOURCE_FIELDS.includes(ref.resource) && !huge) {
    out.push(field.notSupported(`${path}.resource`, ref.resource, RESOURCE_FIELDS));
  }
  const divisor = ref.divisor === undefined ? undefined : parseQuantity(ref.divisor);
  if (!divisor || divisor.isZero || missing(ref.resource)) return;
  const cpu = ref.resource.endsWith('.cpu');
  if ((cpu ? ['1m', '1'] : SIZES).includes(divisor.toString())) return;
  const what = cpu
    ? 'cpu'
    : ref.resource.endsWith('.memory')
      ? 'memory'
      : ref.resource.endsWith('.ephemeral-storage')
        ? 'local ephemeral storage'
        : 'hugepages';
  if (what === 'hugepages' && !huge) return;
  const values = cpu ? '1m and 1' : SIZES.join(', ');
  const text = `only divisor's values ${values} are supported with the ${what} resource`;
  out.push(field.invalid(`${path}.divisor`, ref.resource, text));
}

const SOURCES = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef'] as const;

export function validateEnv(vars: readonly EnvVar[] | undefined, path: string, out: Errors): void {
  vars?.forEach((v, i) => {
    if (missing(v.name)) out.push(field.required(`${path}[${i}].name`));
    else addFaults(envVarName(v.name), `${path}[${i}].name`, v.name, out);
    if (v.valueFrom) validateValueFrom(v, `${path}[${i}].valueFrom`, out);
  });
}

function validateValueFrom(v: EnvVar, path: string, out: Errors): void {
  const from = v.valueFrom!;
  if (from.fieldRef) validateFieldRef(from.fieldRef, ENV_FIELDS, `${path}.fieldRef`, out);
  if (from.resourceFieldRef) validateResourceFieldRef(from.resourceFieldRef, false, `${path}.resourceFieldRef`, out);
  for (const key of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const ref = from[key];
    if (!ref) continue;
    addFaults(dns1123Subdomain(ref.name ?? ''), `${path}.${key}.name`, ref.name ?? '', out);
    if (missing(ref.key)) out.push(field.required(`${path}.${key}.key`));
    else addFaults(configKey(ref.key), `${path}.${key}.key`, ref.key, out);
  }
  if (from.fileKeyRef) {
    const at = `${path}.fileKeyRef`;
    required(from.fileKeyRef.key, `${at}.key`, out);
    required(from.fileKeyRef.volumeName, `${at}.volumeName`, out);
    required(from.fileKeyRef.path, `${at}.path`, out);
    localNonReservedPath(from.fileKeyRef.path ?? '', `${at}.path`, out);
  }
  const count = SOURCES.filter((key) => from[key]).length;
  if (count === 0) {
    const text =
      'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`';
    out.push(field.invalid(path, '', text));
  } else if (!missing(v.value)) {
    out.push(field.invalid(path, '', 'may not be specified when `value` is not empty'));
  } else if (count > 1) {
    out.push(field.invalid(path, '', 'may not have more than one field specified at a time'));
  }
}

export function validateEnvFrom(sources: readonly EnvFromSource[] | undefined, path: string, out: Errors): void {
  sources?.forEach((source, i) => {
    const at = `${path}[${i}]`;
    if (!missing(source.prefix)) addFaults(envVarName(source.prefix), `${at}.prefix`, source.prefix, out);
    let count = 0;
    for (const key of ['configMapRef', 'secretRef'] as const) {
      const ref = source[key];
      if (!ref) continue;
      count++;
      if (missing(ref.name)) out.push(field.required(`${at}.${key}.name`));
      else addFaults(objectName('subdomain', ref.name, true), `${at}.${key}.name`, ref.name, out);
    }
    if (count === 0) out.push(field.invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (count > 1) out.push(field.invalid(path, '', 'may not have more than one field specified at a time'));
  });
}
