// A container's environment: envFrom, env with its references, and the Services' variables.

import type { Container, EnvFromSource, EnvVar, EphemeralContainer } from '../api/generated/core-v1.ts';
import type { ConfigMap } from '../api/kinds/core/config-map.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import type { Secret } from '../api/kinds/core/secret.ts';
import { decodeBase64, decodeText } from './bytes.ts';
import { fieldValue, resourceValue, type PodAddresses } from './downward.ts';
import { expand } from './expansion.ts';

/** Where ConfigMaps and Secrets of pods on this node come from. Both reject when the API cannot be asked. */
export interface ObjectSource {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
}

export interface EnvironmentInput {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly objects: ObjectSource;
  readonly addresses: PodAddresses;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly services: ReadonlyMap<string, string>;
  /** Keys of an envFrom source that cannot be variable names. */
  readonly skipped: (source: string, keys: readonly string[]) => void;
}

export interface EnvEntry {
  readonly key: string;
  readonly value: string;
}

/** In order, later entries win. Throws an Error with upstream's text when something it refers to is missing. */
export async function makeEnvironment(input: EnvironmentInput): Promise<EnvEntry[]> {
  const out: EnvEntry[] = [];
  const known = new Map<string, string>();
  const add = (key: string, value: string) => {
    known.set(key, value);
    out.push({ key, value });
  };
  for (const source of input.container.envFrom ?? []) {
    for (const [key, value] of await fromSource(input, source)) add(key, value);
  }
  const lookup = (name: string) => known.get(name) ?? input.services.get(name);
  for (const variable of input.container.env ?? []) {
    const value = await valueOf(input, variable, lookup);
    if (value !== undefined) add(variable.name, value);
  }
  for (const [key, value] of input.services) if (!known.has(key)) out.push({ key, value });
  return out;
}

async function fromSource(input: EnvironmentInput, source: EnvFromSource): Promise<[string, string][]> {
  const { configMapRef, secretRef, prefix = '' } = source;
  const namespace = input.pod.metadata.namespace!;
  const name = configMapRef?.name ?? secretRef?.name ?? '';
  const found = configMapRef
    ? await configMapOf(input.objects, namespace, name, configMapRef.optional)
    : await secretOf(input.objects, namespace, name, secretRef?.optional);
  const entries: [string, string][] = [];
  const invalid: string[] = [];
  for (const key of Object.keys(found ?? {}).sort()) {
    if (VARIABLE.test(prefix + key)) entries.push([prefix + key, found![key]!]);
    else invalid.push(key);
  }
  if (invalid.length) input.skipped(`${configMapRef ? 'configMap' : 'secret'} ${namespace}/${name}`, invalid);
  return entries;
}

/** Printable ASCII but `=`, not empty. */
const VARIABLE = /^[\x20-\x3c\x3e-\x7e]+$/;

async function valueOf(
  input: EnvironmentInput,
  variable: EnvVar,
  lookup: (name: string) => string | undefined,
): Promise<string | undefined> {
  const { valueFrom } = variable;
  if (!valueFrom) return expand(variable.value ?? '', lookup);
  const { pod, container, objects } = input;
  const namespace = pod.metadata.namespace!;
  if (valueFrom.fieldRef) return fieldValue(pod, valueFrom.fieldRef.fieldPath, input.addresses);
  if (valueFrom.resourceFieldRef) {
    return resourceValue(pod, valueFrom.resourceFieldRef, container.name, input.allocatable);
  }
  if (valueFrom.configMapKeyRef) {
    const { name = '', key, optional } = valueFrom.configMapKeyRef;
    const data = await configMapOf(objects, namespace, name, optional);
    return keyed(data, key, optional, `couldn't find key ${key} in ConfigMap ${namespace}/${name}`);
  }
  if (valueFrom.secretKeyRef) {
    const { name = '', key, optional } = valueFrom.secretKeyRef;
    const data = await secretOf(objects, namespace, name, optional);
    return keyed(data, key, optional, `couldn't find key ${key} in Secret ${namespace}/${name}`);
  }
  throw new Error(`environment variable ${variable.name}: unsupported value source`);
}

function keyed(
  data: Readonly<Record<string, string>> | undefined,
  key: string,
  optional: boolean | undefined,
  missing: string,
): string | undefined {
  const value = data && Object.hasOwn(data, key) ? data[key] : undefined;
  if (value === undefined && !optional) throw new Error(missing);
  return value;
}

async function configMapOf(objects: ObjectSource, namespace: string, name: string, optional?: boolean) {
  const found = await objects.configMap(namespace, name);
  if (!found && !optional) throw new Error(`configmap ${JSON.stringify(name)} not found`);
  return found && (found.data ?? {});
}

async function secretOf(objects: ObjectSource, namespace: string, name: string, optional?: boolean) {
  const found = await objects.secret(namespace, name);
  if (!found && !optional) throw new Error(`secret ${JSON.stringify(name)} not found`);
  if (!found) return undefined;
  const entries = Object.entries(found.data ?? {}).map(([key, value]) => [key, decodeText(decodeBase64(value))]);
  return Object.fromEntries(entries) as Record<string, string>;
}
