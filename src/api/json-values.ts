// Small helpers for functions that build new JSON values out of shared ones.

import { StatusError } from './errors.ts';

export type JsonObject = Record<string, unknown>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A plain assignment of `__proto__` would change the object's prototype instead. */
export function setKey(target: JsonObject, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

/** The object's own value of a key: not what every object inherits. */
export const getKey = (object: JsonObject, key: string): unknown =>
  Object.hasOwn(object, key) ? object[key] : undefined;

/** A fresh object without some keys. */
export function without(object: JsonObject, drop: (key: string, value: unknown) => boolean): JsonObject {
  const out: JsonObject = {};
  for (const key in object) if (!drop(key, object[key])) setKey(out, key, object[key]);
  return out;
}

/** How a value prints in Go's messages. */
export function goText(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (!isObject(value)) return String(value);
  const pairs = Object.keys(value).sort();
  return `map[${pairs.map((key) => `${key}:${goText(value[key])}`).join(' ')}]`;
}

/** An error of no kind of its own: code 500 and no reason, as upstream answers one. */
export const plainFailure = (message: string) => new StatusError('', message, undefined, 500);

/** What upstream answers to a patch it can read but not apply; the reason is not told to clients. */
export function patchRejected(why: string): StatusError {
  const error = new StatusError('Invalid', 'the server rejected our request due to an error in our request', {});
  error.cause = why;
  return error;
}
