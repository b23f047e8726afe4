// Operations as HTTP requests and HTTP answers as results: the part of every HTTP transport that is free of a runtime.

import { StatusError, type Reason } from '../api/errors.ts';
import type { KubeObject, Status } from '../api/object.ts';
import type { ApiOp, ApiResult, ListResult, NoUser, OpOptions, PatchType, WatchEvent } from '../api/op.ts';

export interface HttpRequest {
  readonly method: string;
  /** With the query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

const METHODS: Readonly<Record<ApiOp['verb'], string>> = {
  get: 'GET',
  list: 'GET',
  watch: 'GET',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETE',
  connect: 'GET',
};

const PATCH_TYPES: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** The path of what an operation is about. */
function pathOf(op: NoUser<ApiOp>): string {
  const segment = encodeURIComponent;
  let path = op.group ? `/apis/${segment(op.group)}/${segment(op.version)}` : `/api/${segment(op.version)}`;
  if (op.namespace) path += `/namespaces/${segment(op.namespace)}`;
  path += `/${segment(op.resource)}`;
  if (op.name) path += `/${segment(op.name)}`;
  if (op.subresource) path += `/${segment(op.subresource)}`;
  return path + (op.connect?.path ?? '');
}

export function requestOf(op: NoUser<ApiOp>): HttpRequest {
  const query = queryOf(op);
  const path = pathOf(op);
  const headers: Record<string, string> = { accept: 'application/json' };
  if (op.userAgent) headers['user-agent'] = op.userAgent;
  const body = bodyOf(op);
  if (body !== undefined) headers['content-type'] = op.patchType ? PATCH_TYPES[op.patchType] : 'application/json';
  return {
    method: op.connect?.method ?? METHODS[op.verb],
    target: query ? `${path}?${query}` : path,
    headers,
    ...(body !== undefined ? { body } : {}),
  };
}

function bodyOf(op: NoUser<ApiOp>): string | undefined {
  if (op.verb === 'delete' || op.verb === 'deletecollection') return deleteBody(op.options);
  return op.body === undefined ? undefined : JSON.stringify(op.body);
}

function deleteBody(o: OpOptions): string | undefined {
  const { gracePeriodSeconds, propagationPolicy, preconditions } = o;
  if (gracePeriodSeconds === undefined && !propagationPolicy && !preconditions && !o.dryRun) return undefined;
  const dryRun = o.dryRun ? ['All'] : undefined;
  const kind = { kind: 'DeleteOptions', apiVersion: 'v1' };
  return JSON.stringify({ ...kind, gracePeriodSeconds, propagationPolicy, preconditions, dryRun });
}

const WRITES = new Set<ApiOp['verb']>(['create', 'update', 'patch']);
const READS = [
  'labelSelector',
  'fieldSelector',
  'limit',
  'continue',
  'resourceVersion',
  'resourceVersionMatch',
] as const;
const WATCHES = ['allowWatchBookmarks', 'sendInitialEvents', 'timeoutSeconds'] as const;
const CHANGES = ['fieldManager', 'fieldValidation', 'force'] as const;

function queryOf(op: NoUser<ApiOp>): string {
  const o = op.options;
  if (op.verb === 'connect') return o.query?.toString() ?? '';
  const query = new URLSearchParams();
  const add = (names: readonly (keyof OpOptions)[]) => {
    for (const name of names) if (o[name] !== undefined) query.set(name, String(o[name]));
  };
  if (op.verb === 'watch') query.set('watch', 'true');
  add(READS);
  add(WATCHES);
  if (WRITES.has(op.verb)) {
    add(CHANGES);
    if (o.dryRun) query.set('dryRun', 'All');
  }
  return query.toString();
}

/** A complete answer with a status below 300. Throws a StatusError for a body that is none of the API's. */
export function resultOf(code: number, text: string, warnings: readonly string[] = []): ApiResult {
  const object = parse(text, code) as KubeObject & { items?: unknown };
  if (object.kind?.endsWith('List') && Array.isArray(object.items)) return listOf(object as unknown as RawList);
  return { type: 'object', object, code, ...(warnings.length > 0 ? { warnings } : {}) };
}

interface RawList {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ListResult['metadata'];
  readonly items: readonly KubeObject[];
}

/** Items come without their type; here they get it, so that an object is the same however it was read. */
function listOf(list: RawList): ListResult {
  const { apiVersion, metadata } = list;
  const kind = list.kind.slice(0, -'List'.length);
  const items = list.items.map((item) => (item.kind ? item : { apiVersion, kind, ...item }));
  return { type: 'list', apiVersion, kind: list.kind, metadata, items };
}

function parse(text: string, code: number): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not from an API server; said below.
  }
  if (typeof value === 'object' && value !== null) return value;
  throw new StatusError('InternalError', `the server answered ${code} with a body that is no JSON object`);
}

const REASONS: Readonly<Record<number, Reason>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** The error an answer with a status of 300 or more stands for. */
export function errorOf(code: number, text: string, retryAfter?: string): StatusError {
  const status = statusIn(text);
  const reason = status?.reason ?? REASONS[code] ?? '';
  const message = status ? (status.message ?? 'unknown error') : text.trim() || `the server answered ${code}`;
  const seconds = Number(retryAfter);
  const details = seconds > 0 ? { ...status?.details, retryAfterSeconds: seconds } : status?.details;
  return new StatusError(reason, message, details, status?.code ?? code);
}

function statusIn(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Status | null;
    return value?.kind === 'Status' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Warning headers -> their texts. */
export function warningTexts(headers: readonly string[]): string[] {
  const out: string[] = [];
  for (const header of headers)
    for (const match of header.matchAll(/\b299 \S+ "((?:[^"\\]|\\.)*)"/g)) out.push(match[1]!.replace(/\\(.)/g, '$1'));
  return out;
}

const NEWLINE = 10;

/** Watch events out of a stream of bytes cut anywhere. */
export class WatchDecoder {
  readonly #decoder = new TextDecoder();
  #rest: Uint8Array[] = [];

  /** The events that are complete now. Throws SyntaxError for a line that is no JSON. */
  feed(chunk: Uint8Array): WatchEvent[] {
    const last = chunk.lastIndexOf(NEWLINE);
    if (last < 0) {
      this.#rest.push(chunk);
      return [];
    }
    let text = '';
    for (const part of this.#rest) text += this.#decoder.decode(part, { stream: true });
    text += this.#decoder.decode(chunk.subarray(0, last));
    this.#rest = last + 1 < chunk.length ? [chunk.subarray(last + 1)] : [];
    const events: WatchEvent[] = [];
    for (const line of text.split('\n')) if (line) events.push(JSON.parse(line) as WatchEvent);
    return events;
  }
}
