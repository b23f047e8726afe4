// The typed client: one method per verb, the kind as first argument. It runs over any Transport, so a component does
// not know whether the server is in its own process or across the network. Objects it returns are shared: never change them.

import type { AnyKind, Kind } from '../api/kind.ts';
import { type Draft, type KubeObject, type ObjectRef } from '../api/object.ts';
import type { SpanParent } from '../base/trace.ts';
import type {
  ApiOp,
  ApiResult,
  ListResult,
  NoUser,
  ObjectResult,
  OpOptions,
  PatchType,
  Transport,
  WatchResult,
  WatchStream,
} from '../api/op.ts';

export interface CallOptions extends OpOptions {
  readonly signal?: AbortSignal;
}
export interface WriteOptions extends CallOptions {
  readonly subresource?: string;
}
export interface ListOptions extends CallOptions {
  /** One namespace; all when absent. */
  readonly namespace?: string | undefined;
}

const NO_OPTIONS: CallOptions = {};
const READS: ReadonlySet<ApiOp['verb']> = new Set(['get', 'list', 'watch']);

export class Client {
  readonly #transport: Transport;
  /** Names the caller in managed fields and audit; also the default field manager. */
  readonly userAgent: string;
  readonly #trace: SpanParent | (() => SpanParent) | undefined;

  constructor(transport: Transport, userAgent: string, trace?: SpanParent | (() => SpanParent)) {
    this.#transport = transport;
    this.userAgent = userAgent;
    this.#trace = trace;
  }

  /** The same client; what it does is part of `trace`, which is made at the first write when it is a function. Itself without. */
  within(trace: SpanParent | (() => SpanParent) | undefined): Client {
    return trace ? new Client(this.#transport, this.userAgent, trace) : this;
  }

  /** Sends any operation: the way for subresources and connect verbs without a method of their own. */
  do(op: NoUser<ApiOp>, signal?: AbortSignal): Promise<ApiResult> {
    const trace = typeof this.#trace === 'function' ? (READS.has(op.verb) ? undefined : this.#trace()) : this.#trace;
    const whole = trace ? { userAgent: this.userAgent, trace, ...op } : { userAgent: this.userAgent, ...op };
    return this.#transport(whole, signal ? { signal } : undefined);
  }

  async get<T extends KubeObject>(kind: Kind<T>, ref: ObjectRef, options: WriteOptions = NO_OPTIONS): Promise<T> {
    return object(await this.#send('get', kind, ref.namespace, ref.name, options));
  }

  async list<T extends KubeObject>(kind: Kind<T>, options: ListOptions = NO_OPTIONS): Promise<ListResult<T>> {
    return (await this.#send('list', kind, options.namespace, undefined, options)) as unknown as ListResult<T>;
  }

  async watch<T extends KubeObject>(kind: Kind<T>, options: ListOptions = NO_OPTIONS): Promise<WatchStream<T>> {
    const result = await this.#send('watch', kind, options.namespace, undefined, options);
    return (result as unknown as WatchResult<T>).stream;
  }

  async create<T extends KubeObject>(kind: Kind<T>, body: Draft<T>, options: WriteOptions = NO_OPTIONS): Promise<T> {
    const { namespace, name } = body.metadata as { namespace?: string; name?: string };
    return object(await this.#send('create', kind, namespace, options.subresource ? name : undefined, options, body));
  }

  /** Replaces the object (or its `subresource`, e.g. `status`); its resourceVersion guards against a lost update. */
  async update<T extends KubeObject>(kind: Kind<T>, body: T, options: WriteOptions = NO_OPTIONS): Promise<T> {
    return object(await this.#send('update', kind, body.metadata.namespace, body.metadata.name, options, body));
  }

  async patch<T extends KubeObject>(
    kind: Kind<T>,
    ref: ObjectRef,
    patchType: PatchType,
    patch: unknown,
    options: WriteOptions = NO_OPTIONS,
  ): Promise<T> {
    return object(await this.#send('patch', kind, ref.namespace, ref.name, options, patch, patchType));
  }

  /** Server-side apply of a complete or partial object. */
  apply<T extends KubeObject>(kind: Kind<T>, body: Draft<T>, options: WriteOptions = NO_OPTIONS): Promise<T> {
    const ref = body.metadata as ObjectRef;
    return this.patch(kind, ref, 'apply', { apiVersion: kind.apiVersion, kind: kind.kind, ...body }, options);
  }

  /** Deletes; resolves to the object when it lives on (finalizers, grace), else undefined. */
  async delete<T extends KubeObject>(
    kind: Kind<T>,
    ref: ObjectRef,
    options: CallOptions = NO_OPTIONS,
  ): Promise<T | undefined> {
    const result = object<KubeObject>(await this.#send('delete', kind, ref.namespace, ref.name, options));
    return result.kind === 'Status' ? undefined : (result as T);
  }

  async deleteCollection(kind: AnyKind, options: ListOptions = NO_OPTIONS): Promise<void> {
    await this.#send('deletecollection', kind, options.namespace, undefined, options);
  }

  #send(
    verb: ApiOp['verb'],
    kind: AnyKind,
    namespace: string | undefined,
    name: string | undefined,
    callOptions: WriteOptions & ListOptions,
    body?: unknown,
    patchType?: PatchType,
  ): Promise<ApiResult> {
    const { signal, subresource, namespace: _, ...options } = callOptions;
    return this.do(
      {
        verb,
        group: kind.group,
        version: kind.version,
        resource: kind.plural,
        namespace: kind.namespaced ? namespace : undefined,
        name,
        subresource,
        options,
        body,
        ...(patchType ? { patchType } : {}),
      },
      signal,
    );
  }
}

function object<T>(result: ApiResult): T {
  return (result as ObjectResult<T>).object;
}
