// The kinds a server serves: looked up by resource and by kind, changed at run time by CustomResourceDefinitions.

import type { AnyKind } from '../api/kind.ts';

export type KindChange = (change: { readonly added?: AnyKind; readonly removed?: AnyKind }) => void;

export class KindRegistry {
  readonly #byResource = new Map<string, AnyKind>();
  readonly #byKind = new Map<string, AnyKind>();
  readonly #listeners = new Set<KindChange>();
  #generation = 0;
  #list: readonly AnyKind[] | undefined;

  constructor(kinds: Iterable<AnyKind> = []) {
    for (const kind of kinds) this.add(kind);
  }

  /** Grows with every change: what discovery derives its ETags from, together with `fingerprint`. */
  get generation(): number {
    return this.#generation;
  }

  /** The same text for the same set of served resources, in every process. */
  get fingerprint(): string {
    let hash = 0x811c9dc5;
    for (const text of this.list().map(describe).sort()) {
      for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    }
    return (hash >>> 0).toString(16).padStart(8, '0');
  }

  /** By group, version and plural name. */
  byResource(group: string, version: string, plural: string): AnyKind | undefined {
    return this.#byResource.get(`${group}/${version}/${plural}`);
  }

  /** By apiVersion and kind, as they stand in an object. */
  byKind(apiVersion: string, kind: string): AnyKind | undefined {
    return this.#byKind.get(`${apiVersion}/${kind}`);
  }

  /** All kinds in the order of registration. */
  list(): readonly AnyKind[] {
    return (this.#list ??= [...this.#byResource.values()]);
  }

  /** The served versions of a resource. */
  versions(group: string, plural: string): readonly AnyKind[] {
    return this.list().filter((k) => k.group === group && k.plural === plural);
  }

  /** Adds a kind, or replaces the one of the same group, version and plural. */
  add(kind: AnyKind): void {
    const key = resourceKey(kind);
    const removed = this.#byResource.get(key);
    if (removed) this.#byKind.delete(kindKey(removed));
    this.#byResource.set(key, kind);
    this.#byKind.set(kindKey(kind), kind);
    this.#changed(removed ? { added: kind, removed } : { added: kind });
  }

  /** Stops serving a kind. */
  remove(kind: AnyKind): void {
    const key = resourceKey(kind);
    const removed = this.#byResource.get(key);
    if (!removed) return;
    this.#byResource.delete(key);
    this.#byKind.delete(kindKey(removed));
    this.#changed({ removed });
  }

  /** Calls `listener` after every change. Returns the unsubscribe function. */
  onChange(listener: KindChange): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #changed(change: Parameters<KindChange>[0]): void {
    this.#generation++;
    this.#list = undefined;
    for (const listener of this.#listeners) listener(change);
  }
}

/** The kind whose form is in the store: the kind itself unless it is another form of one. */
export function storageKind(kind: AnyKind): AnyKind {
  return kind.storedAs?.kind ?? kind;
}

const resourceKey = (k: AnyKind) => `${k.group}/${k.version}/${k.plural}`;
const kindKey = (k: AnyKind) => `${k.apiVersion}/${k.kind}`;
const describe = (k: AnyKind) =>
  [resourceKey(k), k.kind, k.namespaced, k.shortNames, k.categories, k.verbs, Object.keys(k.subresources ?? {})].join();
