// An exchange about a resource -> the operation it asks for.

import { StatusError } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { ApiOp, OpOptions, PatchType, UserInfo } from '../api/op.ts';
import type { Random } from '../base/env.ts';
import { parseTraceparent } from '../base/trace.ts';
import type { BodyBudget } from './body-budget.ts';
import { decodeObject, decodePatch, patchTypeOf, type DecodedBody } from './http-body.ts';
import type { HttpExchange } from './http-exchange.ts';
import { deleteOptionsOf, queryOptions } from './query-options.ts';
import type { ResourceRoute } from './route.ts';

export interface RequestReader {
  readonly random: Random;
  /** Bytes a body may have. */
  readonly maxBody: number;
  readonly bodies: BodyBudget;
}

/** Half an hour to an hour: watches of clients that do not say end spread out, as upstream's do. */
const LEAST_WATCH_SECONDS = 1800;

/** Reads the whole request. Rejects with a StatusError for what cannot be understood. */
export async function readOp(
  exchange: HttpExchange,
  route: ResourceRoute,
  query: URLSearchParams | undefined,
  context: { readonly user: UserInfo; readonly kind: AnyKind; readonly reader: RequestReader },
): Promise<ApiOp> {
  const { reader, user } = context;
  const { verb } = route;
  const contentType = exchange.headers['content-type'];
  const patchType = verb === 'patch' ? patchTypeOf(contentType) : undefined;
  let options = queryOptions(verb, query, patchType);
  if (verb === 'watch' && !options.timeoutSeconds) {
    const timeoutSeconds = Math.floor(LEAST_WATCH_SECONDS * (1 + reader.random.next()));
    options = { ...options, timeoutSeconds };
  }
  let decoded: DecodedBody | undefined;
  if (verb === 'create' || verb === 'update' || verb === 'patch') {
    decoded = await readBody(exchange, expectedKind(context.kind, route), options, patchType, reader);
  } else if (verb === 'delete' || verb === 'deletecollection') {
    const bytes = await boundedBody(exchange, reader);
    if (bytes.length > 0) {
      const { value } = await decodeObject(bytes, contentType, {
        kind: 'DeleteOptions',
        duplicates: false,
      });
      options = { ...withoutDelete(options), ...deleteOptionsOf(value) };
    }
  }
  const { group, version, resource, namespace, name, subresource } = route;
  const userAgent = exchange.headers['user-agent'];
  const trace = exchange.headers['traceparent'] ? parseTraceparent(exchange.headers['traceparent']) : undefined;
  return {
    verb,
    group,
    version,
    resource,
    namespace,
    name,
    subresource,
    options,
    user,
    ...(decoded ? { body: decoded.value } : {}),
    ...(decoded && decoded.warnings.length > 0 ? { decodeWarnings: decoded.warnings } : {}),
    ...(patchType ? { patchType } : {}),
    ...(userAgent ? { userAgent } : {}),
    ...(trace ? { trace } : {}),
    ...(verb === 'connect' ? { connect: connectOf(exchange, route) } : {}),
  };
}

function expectedKind(kind: AnyKind, { subresource }: ResourceRoute): string {
  return (subresource && kind.subresources?.[subresource]?.kind) || kind.kind;
}

async function readBody(
  exchange: HttpExchange,
  kind: string,
  options: OpOptions,
  patchType: PatchType | undefined,
  reader: RequestReader,
): Promise<DecodedBody> {
  const bytes = await boundedBody(exchange, reader);
  const duplicates = options.fieldValidation !== 'Ignore';
  if (patchType) return decodePatch(bytes, patchType, duplicates);
  return decodeObject(bytes, exchange.headers['content-type'], { kind, duplicates });
}

async function boundedBody(exchange: HttpExchange, { bodies, maxBody }: RequestReader): Promise<Uint8Array> {
  const bytes = await bodies.read(exchange, maxBody);
  if (bytes) return bytes;
  throw new StatusError('RequestEntityTooLarge', `Request entity too large: limit is ${maxBody}`);
}

/** A body of DeleteOptions stands in for those of the query; what selects the collection stays. */
function withoutDelete(options: OpOptions): OpOptions {
  const { dryRun: _1, gracePeriodSeconds: _2, propagationPolicy: _3, preconditions: _4, ...rest } = options;
  return rest;
}

function connectOf(exchange: HttpExchange, route: ResourceRoute): NonNullable<ApiOp['connect']> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(exchange.headers))
    if (value !== undefined && !name.startsWith(':')) headers[name] = value;
  return { method: exchange.method, path: route.rest, headers };
}
