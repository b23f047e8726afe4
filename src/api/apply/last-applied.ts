// The annotation in which kubectl's client-side apply keeps the configuration it applied last.

import { isObject, type JsonObject } from '../json-values.ts';
import type { KubeObject } from '../object.ts';
import type { StructNode } from '../schema.ts';
import { fieldSet } from './field-set.ts';
import type { FieldTree } from './field-tree.ts';

export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
/** The limit on all annotations of an object, in bytes. */
const MAX_ANNOTATIONS = 256 * 1024;

/** The fields of the last configuration applied by the client; undefined when there is none of this version. */
export function lastAppliedSet(
  live: KubeObject,
  kind: { readonly apiVersion: string; readonly schema: StructNode },
): FieldTree | undefined {
  const text = live.metadata.annotations?.[LAST_APPLIED];
  if (!text) return undefined;
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    // A broken annotation allows nothing; the conflicts themselves are what to tell.
    return undefined;
  }
  if (!isObject(config) || config['apiVersion'] !== kind.apiVersion) return undefined;
  return fieldSet(kind.schema, config);
}

/** Keeps the annotation of an object that has one in step with what is applied on the server. */
export function withLastApplied(object: KubeObject, config: JsonObject): KubeObject {
  const { annotations } = object.metadata;
  if (annotations?.[LAST_APPLIED] === undefined) return object;
  const text = `${JSON.stringify(withoutAnnotation(config))}\n`;
  const { [LAST_APPLIED]: _, ...others } = annotations;
  const size = Object.entries(others).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  const fits = size + LAST_APPLIED.length + text.length <= MAX_ANNOTATIONS;
  return {
    ...object,
    metadata: { ...object.metadata, annotations: fits ? { ...others, [LAST_APPLIED]: text } : others },
  };
}

function withoutAnnotation(config: JsonObject): JsonObject {
  const metadata = config['metadata'];
  if (!isObject(metadata) || !isObject(metadata['annotations'])) return config;
  const { [LAST_APPLIED]: _, ...annotations } = metadata['annotations'];
  return { ...config, metadata: { ...metadata, annotations } };
}
