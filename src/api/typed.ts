// From an untyped JSON value to a fresh, normalised object of a built-in or custom type, as Go's decoder and encoder
// would leave it after a round trip: unknown fields are reported, types checked, nulls and empty optional values
// dropped, zero values of required fields filled in, quantities and times in canonical form.
// Struct decoders are compiled once per type; this runs on every write.

import { badRequest } from './errors.ts';
import type { AnyKind } from './kind.ts';
import type { KubeObject } from './object.ts';
import type { StructNode } from './schema.ts';
import { DecodeContext, DecodeError } from './typed-context.ts';
import { structDecoder } from './typed-decoder.ts';

export { DecodeError };

export interface Typed<T> {
  /** Fresh at every level but arbitrary JSON (scalar `any`), which is shared with the input. */
  readonly object: T;
  /** One text for each field the type does not have: `unknown field "spec.foo"`. */
  readonly unknown: readonly string[];
}

/**
 * Decodes `value` as `struct`. Throws DecodeError with the text of Go's encoding/json. In structs without a name (of
 * custom resources) nulls and values of the wrong type are kept, for the schema's validation to judge.
 */
export function decodeTyped<T = Record<string, unknown>>(struct: StructNode, value: unknown): Typed<T> {
  const context = new DecodeContext();
  const object = structDecoder(struct).decode(value, context) as T;
  return { object, unknown: context.unknown };
}

export interface DecodeOptions {
  /** What happens to unknown and duplicate fields; `Ignore` unless told. */
  readonly validation?: 'Ignore' | 'Warn' | 'Strict';
  /** What the JSON decoder found: texts like `duplicate field "spec.replicas"`. */
  readonly duplicates?: readonly string[];
  /**
   * Parts of an object of this kind that was decoded before, by identity, with the name of their field (of the object or
   * of its metadata): taken over as they are, so the result is not fresh there.
   */
  readonly known?: ReadonlyMap<unknown, string> | undefined;
}

export interface Decoded<T> {
  readonly object: T;
  /** Texts for Warning headers. */
  readonly warnings: readonly string[];
}

/**
 * Decodes a request's body as an object of a kind, whose apiVersion and kind it gets; they come first, then metadata.
 * Throws BadRequest in upstream's words for a value that does not fit and, with `Strict`, for unknown fields.
 */
export function decodeKind<T extends KubeObject>(
  kind: Pick<AnyKind, 'apiVersion' | 'kind' | 'version' | 'schema'>,
  body: unknown,
  options: DecodeOptions = {},
): Decoded<T> {
  const context = new DecodeContext({ apiVersion: kind.apiVersion, kind: kind.kind }, options.known);
  let object: T;
  try {
    object = structDecoder(kind.schema).decode(body, context) as unknown as T;
  } catch (error) {
    if (error instanceof DecodeError) throw cannotBeHandled(kind, error.message);
    throw error;
  }
  const { validation = 'Ignore', duplicates = [] } = options;
  if (validation === 'Ignore' || context.unknown.length + duplicates.length === 0) return { object, warnings: [] };
  // A field that is unknown and there twice is only unknown.
  const unknown = new Set(context.unknown.map((text) => text.replace('unknown', 'duplicate')));
  const texts = [...context.unknown, ...duplicates.filter((text) => !unknown.has(text))];
  if (validation === 'Strict') throw cannotBeHandled(kind, `strict decoding error: ${texts.join(', ')}`);
  return { object, warnings: texts };
}

/** The BadRequest for a body that does not decode. */
export function cannotBeHandled(kind: Pick<AnyKind, 'kind' | 'version'>, why: string) {
  return badRequest(
    `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: ${why}`,
  );
}
