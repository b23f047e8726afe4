// The objects of one kind, by key, by namespace and by named indexes, all kept current change by change. A read hands
// out an array that is built once and shared until its bucket changes, so repeated reads between changes cost nothing.

import { controllerOf, keyOf, type KubeObject } from '../api/object.ts';
import { BY_CONTROLLER, type Lister } from './informer.ts';

class Bucket<T> {
  readonly #items = new Map<string, T>();
  #array: readonly T[] | undefined;

  get size(): number {
    return this.#items.size;
  }

  get(key: string): T | undefined {
    return this.#items.get(key);
  }

  set(key: string, item: T): void {
    this.#items.set(key, item);
    this.#array = undefined;
  }

  delete(key: string): void {
    if (this.#items.delete(key)) this.#array = undefined;
  }

  keys(): Iterable<string> {
    return this.#items.keys();
  }

  array(): readonly T[] {
    return (this.#array ??= [...this.#items.values()]);
  }
}

type Values<T> = (object: T) => readonly string[];

class Index<T> {
  readonly #values: Values<T>;
  readonly #buckets = new Map<string, Bucket<T>>();

  constructor(values: Values<T>) {
    this.#values = values;
  }

  get(value: string): readonly T[] {
    return this.#buckets.get(value)?.array() ?? [];
  }

  /** Files `object` instead of `old`; either may be missing. */
  change(key: string, object: T | undefined, old: T | undefined): void {
    const now = object ? this.#values(object) : [];
    if (old)
      for (const value of this.#values(old)) {
        if (now.includes(value)) continue;
        const bucket = this.#buckets.get(value);
        bucket?.delete(key);
        if (bucket?.size === 0) this.#buckets.delete(value);
      }
    if (object) for (const value of now) bucketOf(this.#buckets, value).set(key, object);
  }
}

function bucketOf<T>(buckets: Map<string, Bucket<T>>, value: string): Bucket<T> {
  let bucket = buckets.get(value);
  if (!bucket) buckets.set(value, (bucket = new Bucket()));
  return bucket;
}

function controllerUid(object: KubeObject): readonly string[] {
  const owner = controllerOf(object);
  return owner ? [owner.uid] : [];
}

export class ObjectCache<T extends KubeObject> implements Lister<T> {
  readonly #all = new Bucket<T>();
  readonly #namespaces = new Map<string, Bucket<T>>();
  readonly #indexes = new Map<string, Index<T>>([[BY_CONTROLLER, new Index<T>(controllerUid)]]);

  get(key: string): T | undefined {
    return this.#all.get(key);
  }

  keys(): Iterable<string> {
    return this.#all.keys();
  }

  list(namespace?: string): readonly T[] {
    if (namespace === undefined) return this.#all.array();
    return this.#namespaces.get(namespace)?.array() ?? [];
  }

  /** Throws for an index nobody added: a reader would otherwise see an empty cluster. */
  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`no index ${name}`);
    return index.get(value);
  }

  addIndex(name: string, values: Values<T>): void {
    if (this.#indexes.has(name)) return;
    const index = new Index(values);
    for (const object of this.#all.array()) index.change(keyOf(object), object, undefined);
    this.#indexes.set(name, index);
  }

  /** Returns what the key held before. */
  set(key: string, object: T): T | undefined {
    const old = this.#all.get(key);
    this.#all.set(key, object);
    const { namespace } = object.metadata;
    if (namespace) bucketOf(this.#namespaces, namespace).set(key, object);
    for (const index of this.#indexes.values()) index.change(key, object, old);
    return old;
  }

  /** Returns what was removed, if anything was. */
  delete(key: string): T | undefined {
    const old = this.#all.get(key);
    if (!old) return undefined;
    this.#all.delete(key);
    const { namespace } = old.metadata;
    if (namespace) {
      const bucket = this.#namespaces.get(namespace);
      bucket?.delete(key);
      if (bucket?.size === 0) this.#namespaces.delete(namespace);
    }
    for (const index of this.#indexes.values()) index.change(key, undefined, old);
    return old;
  }
}
