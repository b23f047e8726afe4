// The Accept header -> the form of the answer: the media type, and whether the client wants Tables or bare metadata.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources

import { StatusError } from '../api/errors.ts';

export type MediaType = 'application/json' | 'application/yaml' | 'application/vnd.kubernetes.protobuf';

export interface Form {
  readonly mediaType: MediaType;
  readonly as: 'object' | 'Table' | 'PartialObjectMetadata';
  /** The version of the meta.k8s.io types asked for: `meta.k8s.io/v1` or `meta.k8s.io/v1beta1`. */
  readonly metaVersion: string;
}

interface Clause {
  readonly type: string;
  readonly quality: number;
  readonly parameters: ReadonlyMap<string, string>;
}

export const JSON_FORM: Form = { mediaType: 'application/json', as: 'object', metaVersion: 'meta.k8s.io/v1' };
const SUPPORTED: readonly MediaType[] = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const TRANSFORMS = new Set(['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList']);
const MAX_REMEMBERED = 256;

let remembered = new Map<string, Form | undefined>();

/**
 * Throws NotAcceptable when nothing the client takes can be had. `protobuf` and `tables` say whether this object has
 * these forms.
 */
export function negotiate(accept: string | undefined, protobuf = false, tables = true): Form {
  if (!accept) return JSON_FORM;
  const key = protobuf || !tables ? `${protobuf ? 'p' : ''}${tables ? '' : 'o'} ${accept}` : accept;
  let form = remembered.get(key);
  if (!form && !remembered.has(key)) {
    if (remembered.size >= MAX_REMEMBERED) remembered = new Map();
    form = choose(parseAccept(accept), protobuf, tables);
    remembered.set(key, form);
  }
  if (form) return form;
  throw new StatusError(
    'NotAcceptable',
    `only the following media types are accepted: ${SUPPORTED.slice(0, protobuf ? 3 : 2).join(', ')}`,
  );
}

function choose(clauses: readonly Clause[], protobuf: boolean, tables: boolean): Form | undefined {
  for (const { type, parameters } of clauses) {
    const mediaType = mediaTypeOf(type, protobuf);
    if (!mediaType) continue;
    const stream = parameters.get('stream');
    if (stream && stream !== 'watch') continue;
    const as = parameters.get('as');
    if (as === undefined) {
      // A lone group or version asks for a conversion that does not exist.
      if (parameters.has('g') || parameters.has('v')) continue;
      return { ...JSON_FORM, mediaType };
    }
    const version = parameters.get('v');
    if (!TRANSFORMS.has(as) || parameters.get('g') !== 'meta.k8s.io') continue;
    if (version !== 'v1' && version !== 'v1beta1') continue;
    if (as === 'Table' && !tables) continue;
    // Tables and bare metadata are made as text.
    if (mediaType === 'application/vnd.kubernetes.protobuf') continue;
    return { mediaType, as: as === 'Table' ? as : 'PartialObjectMetadata', metaVersion: `meta.k8s.io/${version}` };
  }
  return undefined;
}

function mediaTypeOf(type: string, protobuf: boolean): MediaType | undefined {
  if (type === '*/*' || type === 'application/*') return 'application/json';
  const found = SUPPORTED.find((s) => s === type);
  return found === 'application/vnd.kubernetes.protobuf' && !protobuf ? undefined : found;
}

/** The clauses, the most wanted first. */
function parseAccept(header: string): Clause[] {
  const clauses = header.split(',').map((text): Clause => {
    const { type, parameters } = parseMediaType(text);
    const quality = Number(parameters.get('q') ?? 1);
    return { type, quality: Number.isNaN(quality) ? 1 : quality, parameters };
  });
  return clauses.sort((a, b) => b.quality - a.quality);
}

/** `Application/JSON; charset=utf-8` -> its type in lower case and its parameters. */
export function parseMediaType(text: string): { type: string; parameters: Map<string, string> } {
  const [type = '', ...rest] = text.split(';');
  const parameters = new Map<string, string>();
  for (const part of rest) {
    const equals = part.indexOf('=');
    if (equals < 0) continue;
    const value = part.slice(equals + 1).trim();
    parameters.set(part.slice(0, equals).trim().toLowerCase(), value.replace(/^"(.*)"$/, '$1'));
  }
  return { type: type.trim().toLowerCase(), parameters };
}

/** Whether a person is likely to read the answer. */
export function wantsPretty(query: URLSearchParams | undefined, userAgent: string | undefined): boolean {
  const asked = query?.get('pretty');
  if (asked) return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(asked);
  return userAgent !== undefined && /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent);
}
