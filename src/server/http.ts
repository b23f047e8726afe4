// HTTP in front of the API server: finds out who asks and for what, hands an operation to the pipeline, and answers in
// the form the client wants. Everything else (health, discovery, version) is a PathHandler.

import { badRequest, StatusError } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { ApiResult, UserInfo } from '../api/op.ts';
import { uuid } from '../base/env.ts';
import { forbiddenMessage, requireAllowed } from './authorize.ts';
import type { Authenticator } from './authn/authenticator.ts';
import { impersonate } from './authn/impersonate.ts';
import type { HttpExchange, PathHandler, StreamHandler } from './http-exchange.ts';
import { readOp, type RequestReader } from './http-request.ts';
import { sendError, sendList, sendObject, sendText, type Reply } from './http-response.ts';
import { sendLogs } from './log-response.ts';
import { BodyBudget } from './body-budget.ts';
import { JSON_FORM, negotiate, wantsPretty } from './negotiate.ts';
import type { ApiServer } from './pipeline.ts';
import { indexHandler } from './plain-paths.ts';
import { route, type ResourceRoute } from './route.ts';
import { includeObject, type TableRequest } from './transform.ts';
import { sendWatch } from './watch-response.ts';

export interface HttpOptions {
  readonly server: ApiServer;
  readonly authenticator: Authenticator;
  /** Asked in order. */
  readonly paths: readonly PathHandler[];
  /** Carries exec, attach, port-forward and proxied requests; without it they are refused. */
  readonly streams?: StreamHandler;
  /** Bytes a request body may have; 3 MiB unless told. */
  readonly maxBody?: number;
}

const MAX_BODY = 3 * 1024 * 1024;
const NOT_FOUND = 'the server could not find the requested resource';
const NOT_ALLOWED = 'the server does not allow this method on the requested resource';

/** One request being answered. */
interface Request {
  readonly exchange: HttpExchange;
  readonly query: URLSearchParams | undefined;
  readonly reply: Reply;
  readonly user: UserInfo;
}

/** Verbs about more than one object. */
const MANY: ReadonlySet<string> = new Set(['list', 'watch', 'deletecollection']);

/** The handler for a listener: answers every exchange, never rejects on a client's account. */
export function createHttpHandler(options: HttpOptions): (exchange: HttpExchange) => Promise<void> {
  return new HttpServer(options).handle;
}

class HttpServer {
  readonly #options: HttpOptions;
  readonly #server: ApiServer;
  readonly #paths: readonly PathHandler[];
  readonly #reader: RequestReader;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#server = options.server;
    this.#paths = [...options.paths, indexHandler(options.paths)];
    this.#reader = {
      random: options.server.env.random,
      maxBody: options.maxBody ?? MAX_BODY,
      bodies: new BodyBudget(options.server.env.clock),
    };
  }

  readonly handle = async (exchange: HttpExchange): Promise<void> => {
    const asked = exchange.headers['audit-id'];
    const auditId = asked && /^[\w.-]{1,64}$/.test(asked) ? asked : uuid(this.#server.env.random);
    const query = exchange.query ? new URLSearchParams(exchange.query) : undefined;
    const pretty = wantsPretty(query, exchange.headers['user-agent']);
    let reply: Reply = { exchange, auditId, form: JSON_FORM, pretty };
    try {
      const caller = await this.#options.authenticator.authenticate(exchange);
      const user = impersonate(exchange, caller, this.#server.authorizer);
      const found = route(exchange.method, exchange.path, query?.get('watch') ?? undefined);
      if (found.type === 'method') throw new StatusError('MethodNotAllowed', NOT_ALLOWED, {});
      if (found.type === 'path') return await this.#path({ exchange, query, reply, user });
      // What a pod answers to a proxied request is between it and the client.
      if (found.route.verb !== 'connect') reply = { ...reply, form: negotiate(exchange.headers.accept) };
      await this.#resource({ exchange, query, reply, user }, found.route);
    } catch (error) {
      if (error instanceof URIError) return sendText(exchange, auditId, 400, '400 Bad Request');
      if (!(error instanceof StatusError) && !exchange.signal.aborted) {
        const { method, path } = exchange;
        this.#server.env.log.error('request failed', { method, path, error: (error as Error).stack ?? String(error) });
      }
      await sendError(reply, error);
    }
  };

  async #path(request: Request): Promise<void> {
    const { exchange, user, reply } = request;
    const path = decodeURIComponent(exchange.path);
    const verb = exchange.method.toLowerCase();
    const none = { group: '', version: '', resource: '', subresource: '', namespace: '', name: '' };
    const attributes = { ...none, user, verb, path };
    const decision = this.#server.authorizer.authorize(attributes);
    if (!decision.allowed) {
      const why = forbiddenMessage(attributes);
      throw new StatusError('Forbidden', `forbidden: ${decision.reason ? `${why}: ${decision.reason}` : why}`, {});
    }
    const handler = this.#paths.find((h) => h.match(path));
    if (!handler) return sendText(exchange, reply.auditId, 404, '404 page not found\n');
    if (!(handler.methods ?? ['GET', 'HEAD']).includes(exchange.method))
      throw new StatusError('MethodNotAllowed', NOT_ALLOWED, {});
    await handler.handle(exchange, { user, path });
  }

  async #resource(request: Request, route: ResourceRoute): Promise<void> {
    const { exchange, query, user, reply } = request;
    const kind = this.#server.kinds.byResource(route.group, route.version, route.resource);
    // Before anything is read: what a client may not ask for needs no understanding.
    if (!kind || query || route.verb === 'create' || route.verb === 'update' || route.verb === 'patch')
      this.#authorize(request, route);
    if (!kind) return this.#unknown(request, route);
    checkScope(kind, route);
    if (kind.virtual && reply.form.as === 'Table') {
      // What is computed on the spot has no rows.
      const form = negotiate(exchange.headers.accept, false, false);
      request = { ...request, reply: { ...reply, form } };
    }
    const op = await readOp(exchange, route, query, { user, kind, reader: this.#reader });
    const long = op.verb === 'watch' || op.verb === 'connect';
    const result = await this.#server.handle(op, long ? { signal: exchange.signal } : {});
    await this.#answer(request, result, this.#answeredKind(kind, result));
    // Conversations need the operation they came from.
    if (result.type !== 'connect') return;
    const { stream } = result;
    if (stream.kind === 'logs') return sendLogs(reply, stream.source);
    if (!this.#options.streams) throw badRequest(`this server carries no ${stream.kind} conversations`);
    await this.#options.streams(exchange, stream, op);
  }

  #authorize({ exchange, query, user }: Request, route: ResourceRoute): void {
    const connect = { method: exchange.method, path: route.rest, headers: {} };
    // Some may list only what they select: a node its own pods.
    const fieldSelector = query?.get('fieldSelector');
    const options = fieldSelector && MANY.has(route.verb) ? { fieldSelector } : {};
    requireAllowed(this.#server.authorizer, { ...route, user, options, connect });
  }

  async #unknown(request: Request, route: ResourceRoute): Promise<void> {
    const { exchange, user, reply } = request;
    const path = decodeURIComponent(exchange.path);
    // An aggregated API may serve it.
    const handler = this.#paths.find((h) => h.match(path) && (h.methods ?? ['GET', 'HEAD']).includes(exchange.method));
    if (handler) return handler.handle(exchange, { user, path });
    const served = this.#server.kinds.list().some((k) => k.group === route.group && k.version === route.version);
    if (served) throw new StatusError('NotFound', NOT_FOUND, {});
    sendText(exchange, reply.auditId, 404, '404 page not found\n');
  }

  async #answer(request: Request, result: ApiResult, kind: AnyKind): Promise<void> {
    const { reply } = request;
    if (result.type === 'connect') return;
    const include = reply.form.as === 'Table' ? includeObject(request.query) : 'Metadata';
    const table: TableRequest = { include, now: this.#server.env.clock.now() };
    if (result.type === 'object') return sendObject(reply, result, kind, table);
    if (result.type === 'list') return sendList(reply, result, kind, table);
    if (reply.form.mediaType !== 'application/json') {
      result.stream.stop();
      throw new StatusError(
        'NotAcceptable',
        'only the following media types are accepted: application/json;stream=watch',
      );
    }
    sendWatch(reply, result.stream, kind, table);
  }

  /** Subresources may answer with another kind than the resource's own, e.g. Scale. */
  #answeredKind(kind: AnyKind, result: ApiResult): AnyKind {
    if (result.type !== 'object') return kind;
    const { apiVersion, kind: name } = result.object;
    if (!apiVersion || !name || (apiVersion === kind.apiVersion && name === kind.kind)) return kind;
    const other = this.#server.kinds.byKind(apiVersion, name);
    if (other) return other;
    const { columns: _1, row: _2, ...rest } = kind;
    return { ...rest, apiVersion, kind: name };
  }
}

/** Cluster-scoped resources do not live in namespaces, and single namespaced objects do not live outside of them. */
function checkScope(kind: AnyKind, route: ResourceRoute): void {
  const { namespace, name, verb } = route;
  if (!kind.namespaced) {
    if (namespace !== undefined) throw new StatusError('NotFound', NOT_FOUND, {});
    return;
  }
  if (namespace) return;
  if (name !== undefined || namespace === '') throw new StatusError('NotFound', NOT_FOUND, {});
  if (verb !== 'list' && verb !== 'watch') throw new StatusError('MethodNotAllowed', NOT_ALLOWED, {});
}
