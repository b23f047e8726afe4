// Results and errors -> HTTP answers in the form the client asked for. Encoded objects are sent as they are.

import { listTexts, textOf } from '../api/codec.ts';
import { internalError, StatusError } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { ListResult, ObjectResult } from '../api/op.ts';
import type { Body, Chunk, HttpExchange, ResponseHeaders } from './http-exchange.ts';
import { type Form, JSON_FORM } from './negotiate.ts';
import { partialObject, toTable, type TableRequest } from './transform.ts';

/** Everything an answer depends on besides what it says. */
export interface Reply {
  readonly exchange: HttpExchange;
  readonly auditId: string;
  readonly form: Form;
  readonly pretty: boolean;
}

/** Below this many bytes compressing costs more than it saves. */
const GZIP_FROM = 128 * 1024;
const encoder = new TextEncoder();

export async function sendObject(
  reply: Reply,
  result: ObjectResult,
  kind: AnyKind,
  table: TableRequest,
): Promise<void> {
  const { object } = result;
  const { form } = reply;
  const headers = result.warnings ? warningHeaders(result.warnings) : {};
  const status = result.code ?? 200;
  // A Status is what it is, in every form.
  if (form.as === 'object' || object.kind === 'Status') return sendValue(reply, status, headers, object, true);
  const value =
    form.as === 'Table'
      ? toTable(kind, [object], { resourceVersion: object.metadata.resourceVersion ?? '' }, form.metaVersion, table)
      : partialObject(object, form.metaVersion);
  return sendValue(reply, status, headers, value, false);
}

export async function sendList(reply: Reply, list: ListResult, kind: AnyKind, table: TableRequest): Promise<void> {
  const { form } = reply;
  // Custom resources name their type in every item.
  const typed = kind.schema.name === '';
  if (form.as === 'Table') {
    return sendValue(reply, 200, {}, toTable(kind, list.items, list.metadata, form.metaVersion, table), false);
  }
  if (form.as === 'PartialObjectMetadata') {
    const items = list.items.map((item) => partialObject(item, form.metaVersion));
    const partial = { kind: 'PartialObjectMetadataList', apiVersion: form.metaVersion, metadata: list.metadata, items };
    return sendValue(reply, 200, {}, partial, false);
  }
  if (form.mediaType === 'application/json' && !reply.pretty) {
    return sendBytes(reply, 200, {}, 'application/json', [...listTexts(list, typed), '\n']);
  }
  const { apiVersion, kind: listKind, metadata } = list;
  const items = typed ? list.items : list.items.map(({ apiVersion: _1, kind: _2, ...rest }) => rest);
  return sendValue(reply, 200, {}, { apiVersion, kind: listKind, metadata, items }, false);
}

/** `encoded`: the value is an immutable object whose encoding is kept. */
async function sendValue(
  reply: Reply,
  status: number,
  headers: ResponseHeaders,
  value: object,
  encoded: boolean,
): Promise<void> {
  if (reply.form.mediaType === 'application/yaml') {
    const { formatYaml } = await import('../api/yaml.ts');
    return sendBytes(reply, status, headers, 'application/yaml', formatYaml(value));
  }
  if (reply.pretty) {
    const text = JSON.stringify(value, null, 2) + '\n';
    return sendBytes(reply, status, headers, 'application/json', text);
  }
  const body = `${encoded ? textOf(value) : JSON.stringify(value)}\n`;
  return sendBytes(reply, status, headers, 'application/json', body);
}

async function sendBytes(
  reply: Reply,
  status: number,
  headers: ResponseHeaders,
  contentType: string,
  body: Body,
): Promise<void> {
  const { exchange } = reply;
  const head: ResponseHeaders = { ...commonHeaders(reply.auditId), 'content-type': contentType, ...headers };
  if (exchange.gzip && exchange.headers['accept-encoding']?.includes('gzip') && lengthOf(body) > GZIP_FROM) {
    head['content-encoding'] = 'gzip';
    head['vary'] = 'Accept-Encoding';
    exchange.respond(status, head, await exchange.gzip(body));
    return;
  }
  exchange.respond(status, head, body);
}

/** About: characters of text count as bytes. */
function lengthOf(body: Body): number {
  return Array.isArray(body) ? body.reduce((sum: number, chunk: Chunk) => sum + chunk.length, 0) : body.length;
}

/** Answers with the Status of an error. Anything but a StatusError is an internal error. */
export async function sendError(reply: Reply, error: unknown): Promise<void> {
  const known =
    error instanceof StatusError ? error : internalError(error instanceof Error ? error.message : String(error));
  const headers: ResponseHeaders = {};
  const retry = known.details?.retryAfterSeconds;
  if (retry) headers['retry-after'] = String(retry);
  // Errors are never Tables, and that a form cannot be had is not said in it.
  const form = known.reason === 'NotAcceptable' ? JSON_FORM : { ...JSON_FORM, mediaType: reply.form.mediaType };
  return sendValue({ ...reply, form }, known.code, headers, known.toStatus(), false);
}

export const commonHeaders = (auditId: string): ResponseHeaders => ({
  'audit-id': auditId,
  'cache-control': 'no-cache, private',
});

/** A text answer outside the API, as net/http gives it. */
export function sendText(exchange: HttpExchange, auditId: string, status: number, text: string): void {
  exchange.respond(
    status,
    {
      ...commonHeaders(auditId),
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
    },
    text,
  );
}

/** Characters of all warnings together; beyond that each is cut, for a head that is too long ends the answer. */
const WARNINGS_LENGTH = 4096;
const WARNING_CUT = 256;

function cutWarnings(warnings: readonly string[]): readonly string[] {
  if (warnings.reduce((sum, text) => sum + text.length, 0) <= WARNINGS_LENGTH) return warnings;
  const out: string[] = [];
  let length = 0;
  for (const text of warnings) {
    if (length >= WARNINGS_LENGTH) break;
    // By code points, so that no pair of surrogates is cut apart.
    const cut = Array.from(text.slice(0, 2 * WARNING_CUT))
      .slice(0, WARNING_CUT)
      .join('');
    out.push(cut);
    length += cut.length;
  }
  return out;
}

/** RFC 7234 warnings with code 299. Header values are bytes: text beyond ASCII goes as UTF-8. */
function warningHeaders(warnings: readonly string[]): ResponseHeaders {
  if (warnings.length === 0) return {};
  return {
    warning: cutWarnings(warnings).map((text) => {
      const quoted = text.replace(/\p{Cc}+/gu, ' ').replace(/["\\]/g, String.raw`\$&`);
      return `299 - "${String.fromCharCode(...encoder.encode(quoted))}"`;
    }),
  };
}
