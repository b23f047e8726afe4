// Read your own writes: waits until the caches show what a controller has just written, so that the next plan of the
// same key does not decide on yesterday's view and, say, create its pods twice. This is what upstream keeps
// "expectations" for, without counting.

import type { AnyKind } from '../api/kind.ts';
import { keyOf, type KubeObject, type ObjectRef } from '../api/object.ts';
import type { Informer } from './informer.ts';

/** The writes of one plan, collected while its actions run. */
export class Writes {
  /** The latest revision written, per kind. */
  readonly revisions = new Map<AnyKind, number>();
  readonly deletions: { readonly kind: AnyKind; readonly key: string }[] = [];

  wrote(kind: AnyKind, result: KubeObject | undefined): void {
    const revision = Number(result?.metadata?.resourceVersion) || 0;
    if (revision > (this.revisions.get(kind) ?? 0)) this.revisions.set(kind, revision);
  }

  deleted(kind: AnyKind, ref: ObjectRef): void {
    this.deletions.push({ kind, key: ref.namespace ? `${ref.namespace}/${ref.name}` : ref.name });
  }
}

type AnyInformer = Informer<KubeObject>;

export class WriteBarrier {
  readonly #informers: ReadonlyMap<AnyKind, AnyInformer>;
  /** Per kind: objects whose end is awaited. */
  readonly #awaited = new Map<AnyKind, Map<string, (() => void)[]>>();
  readonly #unsubscribe: (() => void)[] = [];

  constructor(informers: ReadonlyMap<AnyKind, AnyInformer>) {
    this.#informers = informers;
  }

  /** Resolves once the caches of the written kinds show all of it; undefined when they already do. */
  passed(writes: Writes): Promise<unknown> | undefined {
    const waits: Promise<void>[] = [];
    for (const [kind, revision] of writes.revisions) {
      const informer = this.#informers.get(kind);
      if (informer && informer.revision < revision) waits.push(informer.reached(revision));
    }
    for (const { kind, key } of writes.deletions) {
      const informer = this.#informers.get(kind);
      const object = informer?.get(key);
      if (informer && lives(object)) waits.push(this.#ended(informer, kind, key, object!.metadata.uid));
    }
    return waits.length ? Promise.all(waits) : undefined;
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #ended(informer: AnyInformer, kind: AnyKind, key: string, uid: string): Promise<void> {
    let awaited = this.#awaited.get(kind);
    if (!awaited) {
      const fresh = (awaited = new Map<string, (() => void)[]>());
      this.#awaited.set(kind, fresh);
      this.#unsubscribe.push(
        informer.on((object, old) => {
          if (fresh.size === 0) return;
          const waiters = fresh.get(keyOf((object ?? old)!));
          if (waiters) for (const check of waiters.slice()) check();
        }),
      );
    }
    const map = awaited;
    return new Promise((resolve) => {
      const waiters = map.get(key) ?? [];
      const check = () => {
        const now = informer.get(key);
        if (now?.metadata.uid === uid && lives(now)) return;
        waiters.splice(waiters.indexOf(check), 1);
        if (waiters.length === 0) map.delete(key);
        resolve();
      };
      waiters.push(check);
      map.set(key, waiters);
    });
  }
}

/** There, and not yet on its way out. */
function lives(object: KubeObject | undefined): boolean {
  return object !== undefined && object.metadata.deletionTimestamp === undefined;
}
