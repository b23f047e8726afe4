// One API operation as a value, and what it yields. HTTP encodes it, the local transport hands it over as it is:
// both enter the same pipeline.

import type { KubeObject } from './object.ts';
import type { SpanParent } from '../base/trace.ts';
import type { NodeStream } from './node-api.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection' | 'connect';

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export type Propagation = 'Foreground' | 'Background' | 'Orphan';

/** Query parameters and body options of all verbs; each verb reads its own. */
export interface OpOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan';
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  readonly fieldValidation?: 'Ignore' | 'Warn' | 'Strict';
  /** Server-side apply: take conflicting fields over. */
  readonly force?: boolean;
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: Propagation;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  /** Further query parameters of connect subresources (log, exec, portforward, proxy), as sent. */
  readonly query?: URLSearchParams;
}

export interface ApiOp {
  readonly verb: Verb;
  readonly group: string;
  readonly version: string;
  /** Plural, lower case. */
  readonly resource: string;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
  readonly options: OpOptions;
  /** The object of create and update, or the patch document (for apply: the applied object). */
  readonly body?: unknown;
  readonly patchType?: PatchType;
  readonly user: UserInfo;
  /** Who asks, for managed fields and audit: the User-Agent, or a component's name. */
  readonly userAgent?: string;
  /** What this operation is a part of. */
  readonly trace?: SpanParent;
  /** Duplicate or undecodable fields that the decoder met, for field validation. */
  readonly decodeWarnings?: readonly string[];
  /** connect: the request's method and body, and the rest of the path behind the subresource. */
  readonly connect?: {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
  };
}

export interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

export interface ListResult<T extends KubeObject = KubeObject> {
  readonly type: 'list';
  readonly apiVersion: string;
  /** The list kind, e.g. `PodList`. */
  readonly kind: string;
  readonly metadata: ListMeta;
  readonly items: readonly T[];
}

export interface ObjectResult<T = KubeObject> {
  readonly type: 'object';
  readonly object: T;
  /** 200 unless told. */
  readonly code?: number;
  readonly warnings?: readonly string[];
}

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
export interface WatchEvent<T = KubeObject> {
  readonly type: WatchEventType;
  readonly object: T;
}

export interface WatchSink<T = KubeObject> {
  /** Events in order, in batches; must not throw. */
  events(batch: readonly WatchEvent<T>[]): void;
  /** The stream ended: on time, or because the client fell too far behind. Called at most once. */
  closed(): void;
}

export interface WatchStream<T = KubeObject> {
  /** Begins delivery; call it once. */
  start(sink: WatchSink<T>): void;
  stop(): void;
}

export interface WatchResult<T = KubeObject> {
  readonly type: 'watch';
  readonly stream: WatchStream<T>;
}

/** A conversation with a container or pod, for the HTTP layer to carry (or, in one process, to use as it is). */
export interface ConnectResult {
  readonly type: 'connect';
  readonly stream: NodeStream;
}

export type ApiResult = ObjectResult | ListResult | WatchResult | ConnectResult;

/** How a client reaches a server. Rejects with a StatusError. */
export type NoUser<T> = Omit<T, 'user'>;
export type Transport = (op: NoUser<ApiOp>, options?: { signal?: AbortSignal }) => Promise<ApiResult>;
