// JSON Merge Patch: https://www.rfc-editor.org/rfc/rfc7386

import { badRequest } from './errors.ts';
import { isObject, setKey, type JsonObject } from './json-values.ts';
import { describe } from './typed-context.ts';

/** The patched value; what the patch leaves alone is shared with `target`. Neither argument changes. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const from = isObject(target) ? target : {};
  const out: JsonObject = {};
  for (const key in from) if (!Object.hasOwn(patch, key)) setKey(out, key, from[key]);
  for (const key in patch) {
    const value = patch[key];
    if (value === null || value === undefined) continue;
    setKey(out, key, isObject(value) ? mergePatch(Object.hasOwn(from, key) ? from[key] : undefined, value) : value);
  }
  return out;
}

/** As `mergePatch`, for a patch from a request. Throws BadRequest when it is no object. */
export function applyMergePatch(target: JsonObject, patch: unknown): JsonObject {
  if (isObject(patch)) return mergePatch(target, patch) as JsonObject;
  const what = patch === null ? 'null' : describe(patch);
  throw badRequest(
    `error decoding patch: json: cannot unmarshal ${what} into Go value of type map[string]interface {}`,
  );
}
