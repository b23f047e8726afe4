// An informer keeps a local view of a kind's objects: list, then watch, forever. Over the local transport the objects
// are the server's own, so nothing is held twice. This file states the contract; `createInformer` implements it.

import type { Kind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';

export interface InformerHandler<T> {
  /** `old` is undefined for an addition, `object` for a deletion. Must not throw. */
  (object: T | undefined, old: T | undefined): void;
}

/** A read-only, always consistent view of the objects of one kind. */
export interface Lister<T extends KubeObject> {
  /** By `namespace/name` key, or the name of a cluster-scoped object. */
  get(key: string): T | undefined;
  /** All objects, or those of one namespace. */
  list(namespace?: string): readonly T[];
  /** Objects filed under `value` in a named index. */
  byIndex(index: string, value: string): readonly T[];
}

export interface Informer<T extends KubeObject> extends Lister<T> {
  readonly kind: Kind<T>;
  /** Resolves once the first list is in. */
  readonly synced: Promise<void>;
  /** The resourceVersion up to which this view is current, as a number; 0 before the first list. */
  readonly revision: number;
  /** Resolves once `revision` is at least this: the view then shows a write that returned this resourceVersion. */
  reached(revision: number): Promise<void>;
  /** Calls the handler for every present object and every later change. Returns the unsubscribe function. */
  on(handler: InformerHandler<T>): () => void;
  /** Files objects under zero or more values; the index is kept current from then on. Adding a known name again is a no-op. */
  addIndex(name: string, values: (object: T) => readonly string[]): void;
}

export interface InformerOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** Hands out one shared informer per kind and options. */
export interface InformerFactory {
  informer<T extends KubeObject>(kind: Kind<T>, options?: InformerOptions): Informer<T>;
}

/** The index every informer has: values are `metadata.ownerReferences[controller=true].uid`. */
export const BY_CONTROLLER = 'controller-uid';
