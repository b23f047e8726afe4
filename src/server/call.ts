// One request on its way through the server: the operation, the kind it is about, and the server's parts it may use.

import { badRequest, StatusError } from '../api/errors.ts';
import type { AnyKind, StrategyContext } from '../api/kind.ts';
import type { NodeConnector } from '../api/node-api.ts';
import type { KubeObject } from '../api/object.ts';
import type { ApiOp, ApiResult, Verb } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import type { Span } from '../base/trace.ts';
import type { AdmissionPlugin } from './admission.ts';
import type { Authorizer } from './authorizer.ts';
import type { Caches } from './caches.ts';
import type { KindRegistry } from './kind-registry.ts';

/** The parts of a server, made once. */
export interface ServerCore {
  readonly env: Env;
  readonly kinds: KindRegistry;
  readonly caches: Caches;
  readonly authorizer: Authorizer;
  /** In the order they run. */
  readonly admission: readonly AdmissionPlugin[];
  readonly handlers: Handlers;
  /** By resource: `services`. */
  readonly allocators: ReadonlyMap<string, Allocator>;
  readonly nodeConnector: NodeConnector | undefined;
}

/** Hands out values that no two objects may share: cluster IPs, node ports. */
export interface Allocator {
  /**
   * Reserves what `draft` needs and writes it there; `old` is undefined on create. Rejects with Invalid when what it asks for
   * is taken or out of range.
   */
  allocate(draft: KubeObject, old: KubeObject | undefined): Promise<Allocation>;
}

export interface Allocation {
  /** Ends the reservation, after the write or instead of it: what has been stored is known to be taken by then. */
  release(): void;
}

export interface Call {
  readonly op: ApiOp;
  readonly kind: AnyKind;
  readonly server: ServerCore;
  readonly signal: AbortSignal | undefined;
  /** Texts for Warning headers, in order, without repetition. */
  readonly warnings: Set<string>;
  /** Of a write, where spans are kept. */
  readonly span?: Span | undefined;
}

/** Answers one subresource (key `pods/binding`, `deployments.apps/rollback`) or one virtual kind (`tokenreviews.authentication.k8s.io`). */
export type Handler = (call: Call) => Promise<ApiResult>;
export type Handlers = ReadonlyMap<string, Handler>;

/** The key of the handler of an operation. */
export function handlerKey(kind: AnyKind, subresource: string | undefined): string {
  return subresource ? `${kind.resource}/${subresource}` : kind.resource;
}

export function strategyContext(call: Call): StrategyContext {
  const { env } = call.server;
  return { now: env.clock.now(), random: env.random, user: call.op.user };
}

/** What messages are about: `{group, resource}`. */
export function subjectOf(kind: AnyKind): { readonly group: string; readonly resource: string } {
  return { group: kind.group, resource: kind.plural };
}

/** The name in the request's path. */
export function requiredName(op: ApiOp): string {
  if (!op.name) throw badRequest('name must be provided');
  return op.name;
}

export const NOT_ALLOWED = 'the server does not allow this method on the requested resource';

/** Throws MethodNotAllowed unless the operation has one of these verbs. */
export function requireVerb(call: Call, ...verbs: readonly Verb[]): void {
  if (verbs.includes(call.op.verb)) return;
  throw new StatusError('MethodNotAllowed', NOT_ALLOWED, {});
}
