// What really happened: the log of the store, followed beside everybody else. Audits compare what clients are told with it.

import { objectOf } from '../../src/api/codec.ts';
import type { KubeObject } from '../../src/api/object.ts';
import type { MemoryStore } from '../../src/store/memory-store.ts';
import type { StoreEvent } from '../../src/store/store.ts';

/** A change of one object. */
export interface Fact {
  readonly revision: number;
  /** `/registry/<group>/<plural>/[namespace/]name`. */
  readonly key: string;
  /** As of this change; undefined for a deletion. */
  readonly object: KubeObject | undefined;
  readonly previous: KubeObject | undefined;
  /** The revision of `previous`; 0 when there was none. */
  readonly replaced: number;
}

/** `/registry/<group>/<plural>/`. */
export const prefixOf = (group: string, resource: string) => `/registry/${group || 'core'}/${resource}/`;

export class Truth {
  /** Told of each change at once; one that throws ends the round. */
  readonly listeners: ((fact: Fact) => void)[] = [];
  readonly violations: string[] = [];
  readonly #byKey = new Map<string, Fact[]>();
  readonly #byPrefix = new Map<string, Fact[]>();
  readonly #present = new Map<string, Map<string, Fact>>();
  readonly #uids = new Set<string>();
  #revision = 0;
  #watch: { stop(): void } | undefined;

  /** The revision of the latest change. */
  get revision(): number {
    return this.#revision;
  }

  /** Follows the store, whose present content is taken as given. */
  async follow(store: MemoryStore): Promise<void> {
    const { revision, entries } = await store.list('');
    for (const entry of entries) {
      const object = objectOf<KubeObject>(entry.value, entry.revision);
      this.#take({ revision: entry.revision, key: entry.key, object, previous: undefined, replaced: 0 });
    }
    for (const facts of this.#byPrefix.values()) facts.length = 0;
    this.#revision = revision;
    this.#watch = store.watch('', revision, { events: (batch) => this.#events(batch), closed: () => {} });
  }

  /** What a store that a crash has left behind lacks of what had been told. */
  async compare(store: MemoryStore): Promise<string[]> {
    const { revision, entries } = await store.list('');
    const out = revision < this.#revision ? [`the store fell back from revision ${this.#revision} to ${revision}`] : [];
    const kept = new Map(entries.map((entry) => [entry.key, entry.revision]));
    for (const present of this.#present.values()) {
      for (const [key, fact] of present) {
        if ((kept.get(key) ?? 0) < fact.revision) out.push(`lost write: ${key} was told at ${fact.revision}`);
      }
    }
    return out.slice(0, 3);
  }

  stop(): void {
    this.#watch?.stop();
  }

  /** All changes of one object, the oldest first. */
  ofKey(key: string): readonly Fact[] {
    return this.#byKey.get(key) ?? NONE;
  }

  /** All changes of one resource since the start, in order. */
  ofPrefix(prefix: string): Fact[] {
    let facts = this.#byPrefix.get(prefix);
    if (!facts) this.#byPrefix.set(prefix, (facts = []));
    return facts;
  }

  /** What there is of a resource, by key. */
  present(prefix: string): ReadonlyMap<string, Fact> {
    return this.#present.get(prefix) ?? EMPTY;
  }

  objects<T extends KubeObject>(prefix: string): T[] {
    return [...this.present(prefix).values()].map((fact) => fact.object as T);
  }

  prefixes(): readonly string[] {
    return [...this.#present.keys()];
  }

  #events(batch: readonly StoreEvent[]): void {
    for (const { revision, key, entry, previous } of batch) {
      if (revision <= this.#revision) this.violations.push(`revision ${revision} came after ${this.#revision}`);
      const read = (e: typeof entry) => e && objectOf<KubeObject>(e.value, e.revision);
      const fact = { revision, key, object: read(entry), previous: read(previous), replaced: previous?.revision ?? 0 };
      this.#take(fact);
    }
    this.#revision = batch[0]!.revision;
  }

  #take(fact: Fact): void {
    const { key, object, previous } = fact;
    const prefix = key.slice(0, key.indexOf('/', key.indexOf('/', 10) + 1) + 1);
    const known = this.#byKey.get(key);
    if (known) known.push(fact);
    else this.#byKey.set(key, [fact]);
    this.ofPrefix(prefix).push(fact);
    let present = this.#present.get(prefix);
    if (!present) this.#present.set(prefix, (present = new Map()));
    if (object) present.set(key, fact);
    else present.delete(key);
    const uid = object?.metadata.uid;
    if (uid && !previous) {
      if (this.#uids.has(uid)) this.violations.push(`uid ${uid} of ${key} was used before`);
      this.#uids.add(uid);
    }
    try {
      for (const listener of this.listeners) listener(fact);
    } catch (error) {
      this.violations.push(
        `the simulation itself fails: ${String((error as Error).stack)
          .split('\n')
          .slice(0, 2)
          .join()}`,
      );
    }
  }
}

const NONE: readonly Fact[] = [];
const EMPTY: ReadonlyMap<string, Fact> = new Map();
