// Request bodies -> values, by content type, with upstream's texts for what cannot be read.

import { badRequest, StatusError } from '../api/errors.ts';
import { JsonError, parseJson } from '../api/json.ts';
import type { PatchType } from '../api/op.ts';
import { decodeProtobuf, PROTOBUF_TYPE } from '../api/protobuf.ts';
import { parseMediaType } from './negotiate.ts';

export interface DecodedBody {
  readonly value: unknown;
  /** Repeated keys, for field validation. */
  readonly warnings: readonly string[];
}

const YAMLS = new Set(['application/yaml', 'application/x-yaml', 'text/yaml']);
const PATCH_TYPES: Readonly<Record<string, PatchType>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
};
const NOTHING: readonly string[] = [];

function unsupported(types: readonly string[]): StatusError {
  return new StatusError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${types.join(', ')}`,
  );
}

/** Throws UnsupportedMediaType. */
export function patchTypeOf(contentType: string | undefined): PatchType {
  const type = PATCH_TYPES[parseMediaType(contentType ?? '').type];
  if (!type) throw unsupported(Object.keys(PATCH_TYPES));
  return type;
}

export interface DecodeOptions {
  /** The kind that is expected, for messages. */
  readonly kind: string;
  /** Look for repeated keys. */
  readonly duplicates: boolean;
}

/** The object of a create, update or delete. A body without content type counts as JSON. */
export async function decodeObject(
  bytes: Uint8Array,
  contentType: string | undefined,
  options: DecodeOptions,
): Promise<DecodedBody> {
  const { type } = contentType ? parseMediaType(contentType) : { type: 'application/json' };
  try {
    if (type === 'application/json') return json(bytes, options.duplicates);
    if (YAMLS.has(type)) return await yaml(bytes);
    if (type === PROTOBUF_TYPE) return { value: decodeProtobuf(bytes), warnings: NOTHING };
  } catch (error) {
    const why =
      error instanceof JsonError ? `couldn't get version/kind; json parse error: ${error.message}` : message(error);
    throw badRequest(
      `the object provided is unrecognized (must be of type ${options.kind}): ${why} (${summary(bytes)})`,
    );
  }
  throw unsupported(['application/json', 'application/yaml', PROTOBUF_TYPE]);
}

/** A patch document. */
export async function decodePatch(bytes: Uint8Array, type: PatchType, duplicates: boolean): Promise<DecodedBody> {
  try {
    return type === 'apply' ? await applied(bytes, duplicates) : json(bytes, duplicates && type !== 'json');
  } catch (error) {
    const text = message(error);
    if (type === 'apply') throw badRequest(`error decoding YAML: ${text}`);
    throw badRequest(type === 'json' ? `error decoding patch: ${text}` : text);
  }
}

/** Most clients send JSON under YAML's name; JSON is quicker to read. */
async function applied(bytes: Uint8Array, duplicates: boolean): Promise<DecodedBody> {
  if (bytes[0] !== 0x7b) return yaml(bytes);
  try {
    return json(bytes, duplicates);
  } catch {
    // A flow mapping that is no JSON: YAML has the last word, and the better message.
    return yaml(bytes);
  }
}

function json(bytes: Uint8Array, duplicates: boolean): DecodedBody {
  const parsed = parseJson(bytes, { duplicates });
  return { value: parsed.value, warnings: parsed.duplicates };
}

/** Loaded when first needed: few clients send YAML, and the parser is not small. */
async function yaml(bytes: Uint8Array): Promise<DecodedBody> {
  const { parseYaml } = await import('../api/yaml.ts');
  const parsed = parseYaml(new TextDecoder().decode(bytes));
  return { value: parsed.value ?? null, warnings: parsed.duplicates };
}

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** The first 30 bytes, as text when they look like JSON, else in hex. */
function summary(bytes: Uint8Array): string {
  if (bytes.length === 0) return '<empty>';
  const head = bytes.subarray(0, 30);
  const more = bytes.length > 30 ? ' ...' : '';
  if (bytes[0] === 0x7b) return new TextDecoder().decode(head) + more;
  let hex = '';
  for (const byte of head) hex += byte.toString(16).padStart(2, '0');
  return hex + more;
}
