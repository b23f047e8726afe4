// The API server: an operation comes in, is authorized, and goes to its verb. HTTP and the local transport both enter
// here, right after authentication.

import { internalError, StatusError } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { NodeConnector } from '../api/node-api.ts';
import type { ApiOp, ApiResult, Transport, UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import type { Span } from '../base/trace.ts';
import type { AdmissionPlugin } from './admission.ts';
import { requireAllowed } from './authorize.ts';
import { decodeBody, matchNamespace } from './body.ts';
import type { Authorizer } from './authorizer.ts';
import { handlerKey, NOT_ALLOWED, type Allocator, type Call, type Handler, type ServerCore } from './call.ts';
import { prefixOf, type Caches } from './caches.ts';
import { expireEvents } from './event-expiry.ts';
import { KindRegistry, storageKind } from './kind-registry.ts';
import { spanOf } from './request-span.ts';
import { subresourceHandlers } from './subresources/index.ts';
import { create } from './verbs/create.ts';
import { remove, removeCollection } from './verbs/delete.ts';
import { get } from './verbs/get.ts';
import { list } from './verbs/list.ts';
import { patch } from './verbs/patch.ts';
import { getScale, patchScale, updateScale } from './verbs/scale.ts';
import { update } from './verbs/update.ts';
import { watch } from './verbs/watch.ts';

/** Told of every finished operation; `error` is undefined for a success. Must not throw. */
export type OperationHook = (op: ApiOp, outcome: { result?: ApiResult; error?: StatusError; ms: number }) => void;

export interface ApiServerOptions {
  /** The caches over the store. Made beforehand, so that authorizers and admission plugins can read them. */
  readonly caches: Caches;
  readonly kinds: KindRegistry | Iterable<AnyKind>;
  readonly env: Env;
  readonly authorizer: Authorizer;
  /** In the order they run. */
  readonly admission?: readonly AdmissionPlugin[];
  /** Subresources and virtual kinds besides the built-in subresources: see `Handlers`. */
  readonly handlers?: Iterable<readonly [string, Handler]>;
  /** By resource: `services`. */
  readonly allocators?: Iterable<readonly [string, Allocator]>;
  readonly nodeConnector?: NodeConnector;
  /** Milliseconds after which an Event is forgotten; an hour unless told, 0 for never. */
  readonly eventTtl?: number;
  /** Before authorization. */
  readonly audit?: (op: ApiOp) => void;
  /** After the answer is known: audit trails and metrics. */
  readonly observe?: OperationHook;
}

export interface ApiServer extends ServerCore {
  /** Runs one operation. Rejects with a StatusError, never with anything else. */
  handle(op: ApiOp, options?: { readonly signal?: AbortSignal }): Promise<ApiResult>;
  /** The same pipeline for callers in this process. */
  transport(user: UserInfo, userAgent?: string): Transport;
  /** Resolves when the objects of every served kind have been read; requests before that read what they need. */
  ready(): Promise<void>;
  /** Ends all watches, with a StatusError as their last event where one is given. The store stays open. */
  close(error?: StatusError): void;
}

export function createApiServer(options: ApiServerOptions): ApiServer {
  const { env, authorizer } = options;
  const log = env.log.child('apiserver');
  const core: ServerCore = {
    env,
    authorizer,
    kinds: options.kinds instanceof KindRegistry ? options.kinds : new KindRegistry(options.kinds),
    caches: options.caches,
    admission: options.admission ?? [],
    handlers: new Map([...subresourceHandlers, ...(options.handlers ?? [])]),
    allocators: new Map(options.allocators),
    nodeConnector: options.nodeConnector,
  };
  const stopDropping = core.kinds.onChange(({ added, removed }) => {
    if (!removed || added) return;
    const prefix = prefixOf(storageKind(removed));
    if (!core.kinds.list().some((kind) => prefixOf(storageKind(kind)) === prefix)) core.caches.drop(removed);
  });
  const stopExpiry = options.eventTtl === 0 ? undefined : expireEvents(core.caches, env, options.eventTtl);
  const handle = async (op: ApiOp, { signal }: { readonly signal?: AbortSignal } = {}): Promise<ApiResult> => {
    const began = options.observe ? env.clock.monotonic() : 0;
    const span = env.tracer && spanOf(env.tracer, op);
    const done = (outcome: { result?: ApiResult; error?: StatusError }) =>
      options.observe?.(op, { ...outcome, ms: env.clock.monotonic() - began });
    try {
      options.audit?.(op);
      const result = await dispatch(core, op, signal, span);
      span?.finish();
      done({ result });
      return result;
    } catch (thrown) {
      const error = statusErrorOf(thrown, () =>
        log.error('unexpected error', { ...describe(op), error: stackOf(thrown) }),
      );
      span?.finish(error);
      done({ error });
      throw error;
    }
  };
  return {
    ...core,
    handle,
    transport: (user, userAgent) => (op, transportOptions) =>
      handle(
        { ...op, user, ...((op.userAgent ?? userAgent) ? { userAgent: (op.userAgent ?? userAgent)! } : {}) },
        transportOptions,
      ),
    async ready() {
      const stored = core.kinds.list().filter((kind) => !kind.virtual);
      await Promise.all(stored.map((kind) => core.caches.current(kind)));
    },
    close(error) {
      stopExpiry?.();
      stopDropping();
      core.caches.close(error);
    },
  };
}

const NOT_FOUND = 'the server could not find the requested resource';

async function dispatch(
  server: ServerCore,
  op: ApiOp,
  signal: AbortSignal | undefined,
  span: Span | undefined,
): Promise<ApiResult> {
  if (signal?.aborted) throw new StatusError('Timeout', 'context canceled', undefined, 499);
  requireAllowed(server.authorizer, op);
  const kind = server.kinds.byResource(op.group, op.version, op.resource);
  if (!kind) throw new StatusError('NotFound', NOT_FOUND, {});
  const call: Call = { op, kind, server, signal, warnings: new Set(), span };
  const verb = verbOf(call);
  const result = await (kind.virtual ? verb({ ...call, op: { ...op, body: virtualBody(call) } }) : verb(call));
  if (call.warnings.size === 0 || result.type !== 'object') return result;
  return { ...result, warnings: [...(result.warnings ?? []), ...call.warnings] };
}

/** What is not stored does not pass the registry: its handler gets it decoded. */
function virtualBody(call: Call): unknown {
  const { op, kind } = call;
  if (op.verb !== 'create') return op.body;
  const object = decodeBody(call, kind, op.body);
  matchNamespace(kind, op, object);
  return object;
}

const SCALE: Partial<Record<string, Handler>> = { get: getScale, update: updateScale, patch: patchScale };
const STATUS: Partial<Record<string, Handler>> = { get, update, patch };
const MAIN: Partial<Record<string, Handler>> = {
  get,
  list,
  watch,
  create,
  update,
  patch,
  delete: remove,
  deletecollection: removeCollection,
};

/** The function that serves this operation. Throws NotFound or MethodNotAllowed. */
function verbOf(call: Call): Handler {
  const { op, kind, server } = call;
  const own = server.handlers.get(handlerKey(kind, op.subresource));
  if (own) return own;
  if (!op.subresource) {
    const allowed = op.verb !== 'connect' && !kind.virtual && (kind.verbs?.includes(op.verb) ?? true);
    const verb = allowed ? MAIN[op.verb] : undefined;
    if (verb) return verb;
  } else if (op.subresource === 'status' && kind.status) {
    const verb = STATUS[op.verb];
    if (verb) return verb;
  } else if (op.subresource === 'scale' && kind.scale) {
    const verb = SCALE[op.verb];
    if (verb) return verb;
  } else if (!kind.subresources?.[op.subresource]) {
    throw new StatusError('NotFound', NOT_FOUND, {});
  }
  throw new StatusError('MethodNotAllowed', NOT_ALLOWED, {});
}

function statusErrorOf(thrown: unknown, report: () => void): StatusError {
  if (thrown instanceof StatusError) return thrown;
  if ((thrown as { name?: string } | undefined)?.name === 'AbortError') {
    return new StatusError('Timeout', 'context canceled', undefined, 499);
  }
  report();
  return internalError(thrown instanceof Error ? thrown.message : String(thrown));
}

const stackOf = (thrown: unknown) => (thrown instanceof Error ? thrown.stack : undefined) ?? String(thrown);
const describe = ({ verb, resource, subresource, namespace, name }: ApiOp) => ({
  verb,
  resource,
  subresource,
  namespace,
  name,
});
