// The files of volumes that show API objects: which keys, at which paths, with which permissions.

import type { KeyToPath } from '../../api/generated/core-v1.ts';
import type { ConfigMap } from '../../api/kinds/core/config-map.ts';
import type { Secret } from '../../api/kinds/core/secret.ts';
import { decodeBase64, encodeText } from '../bytes.ts';
import type { PayloadFile } from '../host.ts';

export const DEFAULT_MODE = 0o644;

export interface PayloadOptions {
  readonly items: readonly KeyToPath[] | undefined;
  readonly defaultMode: number;
  readonly optional: boolean;
}

export function configMapPayload(
  configMap: ConfigMap | undefined,
  name: string,
  options: PayloadOptions,
): PayloadFile[] {
  if (!configMap) return absent(`configmap ${JSON.stringify(name)} not found`, options);
  const data = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(configMap.data ?? {})) data.set(key, encodeText(text));
  for (const [key, text] of Object.entries(configMap.binaryData ?? {})) data.set(key, decodeBase64(text));
  return project(data, options, 'configmap references non-existent config key');
}

export function secretPayload(secret: Secret | undefined, name: string, options: PayloadOptions): PayloadFile[] {
  if (!secret) return absent(`secret ${JSON.stringify(name)} not found`, options);
  const data = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(secret.data ?? {})) data.set(key, decodeBase64(text));
  return project(data, options, 'references non-existent secret key');
}

function absent(message: string, { optional }: PayloadOptions): PayloadFile[] {
  if (optional) return [];
  throw new Error(message);
}

function project(data: ReadonlyMap<string, Uint8Array>, options: PayloadOptions, missing: string): PayloadFile[] {
  const { items, defaultMode, optional } = options;
  if (!items?.length) return [...data].map(([path, bytes]) => ({ path, bytes, mode: defaultMode }));
  const files: PayloadFile[] = [];
  for (const { key, path, mode } of items) {
    const bytes = data.get(key);
    if (bytes) files.push({ path, bytes, mode: mode ?? defaultMode });
    else if (!optional) throw new Error(`${missing}: ${key}`);
  }
  return files;
}

/** Throws for a path that would leave the volume. */
export function checkPaths(files: readonly PayloadFile[]): void {
  for (const { path } of files) {
    if (path === '' || path.startsWith('/') || path.split('/').includes('..') || path.startsWith('..')) {
      throw new Error(`invalid path: must be relative and must not contain '..': ${path}`);
    }
  }
}
