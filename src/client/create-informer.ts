// Informers over any transport: list once (from the server's cache), then watch from there for ever. A watch that ends
// resumes where it stopped; one whose history is gone lists again, and the difference between the two lists becomes the
// events in between. Objects are kept as they came: in one process they are the server's own.

import type { Env, Timer } from '../base/env.ts';
import { onAbort } from '../base/on-abort.ts';
import { isReason, StatusError } from '../api/errors.ts';
import { keyOf, type KubeObject, type Status } from '../api/object.ts';
import type { AnyKind, Kind } from '../api/kind.ts';
import type { WatchEvent, WatchStream } from '../api/op.ts';
import type { Client } from './client.ts';
import type { Informer, InformerFactory, InformerHandler, InformerOptions } from './informer.ts';
import { ObjectCache } from './object-cache.ts';

export interface InformerContext {
  readonly client: Client;
  readonly env: Env;
}

/** The pauses of client-go's reflector: doubling, with as much again at random, back to the first after a good while. */
const FIRST_PAUSE = 800;
const LAST_PAUSE = 30_000;
/** A watch that held this long was no failure: the next one starts at once. */
const HELD = 1_000;

/** Starts an informer that runs until the signal aborts. `synced` rejects when that happens before the first list. */
export function createInformer<T extends KubeObject>(
  kind: Kind<T>,
  context: InformerContext,
  options: InformerOptions & { readonly signal: AbortSignal },
): Informer<T> {
  const informer = new LiveInformer(kind, context, options, options.signal);
  informer.start();
  return informer;
}

/** Hands out one informer per kind and options; all end when the signal aborts. */
export function createInformerFactory(context: InformerContext, options: { signal: AbortSignal }): InformerFactory {
  const known = new Map<AnyKind, Map<string, Informer<KubeObject>>>();
  return {
    informer<T extends KubeObject>(kind: Kind<T>, filter: InformerOptions = {}): Informer<T> {
      const key = JSON.stringify([filter.namespace ?? '', filter.labelSelector ?? '', filter.fieldSelector ?? '']);
      let ofKind = known.get(kind);
      if (!ofKind) known.set(kind, (ofKind = new Map()));
      let informer = ofKind.get(key) as unknown as Informer<T> | undefined;
      if (!informer) {
        informer = createInformer(kind, context, { ...filter, signal: options.signal });
        ofKind.set(key, informer as unknown as Informer<KubeObject>);
      }
      return informer;
    },
  };
}

type Change<T> = readonly [object: T | undefined, old: T | undefined];
/** How a watch ended. */
type WatchEnd = 'closed' | 'expired' | StatusError;

class LiveInformer<T extends KubeObject> implements Informer<T> {
  readonly kind: Kind<T>;
  readonly synced: Promise<void>;
  readonly #context: InformerContext;
  readonly #filter: InformerOptions;
  readonly #signal: AbortSignal;
  readonly #cache = new ObjectCache<T>();
  #handlers: readonly InformerHandler<T>[] = [];
  #waiting: { readonly revision: number; readonly resolve: () => void }[] = [];
  #revision = 0;
  #listed = false;
  /** The server does not know our revision any more, and perhaps has not got as far. */
  #expired = false;
  #pause = FIRST_PAUSE;
  #markSynced!: () => void;

  constructor(kind: Kind<T>, context: InformerContext, filter: InformerOptions, signal: AbortSignal) {
    this.kind = kind;
    this.#context = context;
    this.#filter = {
      ...(filter.namespace !== undefined ? { namespace: filter.namespace } : {}),
      ...(filter.labelSelector ? { labelSelector: filter.labelSelector } : {}),
      ...(filter.fieldSelector ? { fieldSelector: filter.fieldSelector } : {}),
    };
    this.#signal = signal;
    this.synced = new Promise((resolve, reject) => {
      if (signal.aborted) reject(signal.reason as Error);
      const off = onAbort(signal, () => reject(signal.reason as Error));
      this.#markSynced = () => {
        off();
        resolve();
      };
    });
    // Whoever awaits it sees the rejection; nobody awaiting it is no fault.
    this.synced.catch(() => {});
  }

  get revision(): number {
    return this.#revision;
  }
  get(key: string): T | undefined {
    return this.#cache.get(key);
  }
  list(namespace?: string): readonly T[] {
    return this.#cache.list(namespace);
  }
  byIndex(index: string, value: string): readonly T[] {
    return this.#cache.byIndex(index, value);
  }
  addIndex(name: string, values: (object: T) => readonly string[]): void {
    this.#cache.addIndex(name, values);
  }

  reached(revision: number): Promise<void> {
    if (this.#revision >= revision) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ revision, resolve }));
  }

  on(handler: InformerHandler<T>): () => void {
    const present = this.#cache.list();
    // A new array each time: an event being delivered right now goes to the handlers of before.
    this.#handlers = [...this.#handlers, handler];
    for (const object of present) this.#call(handler, object, undefined);
    return () => {
      this.#handlers = this.#handlers.filter((h) => h !== handler);
    };
  }

  start(): void {
    this.#run().catch((error: unknown) => {
      if (!this.#signal.aborted) this.#context.env.log.error('informer failed', { kind: this.kind.kind, error });
    });
  }

  async #run(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        if (!this.#listed) await this.#relist();
        const began = this.#context.env.clock.monotonic();
        const end = await this.#watch();
        if (this.#signal.aborted) return;
        if (this.#context.env.clock.monotonic() - began >= HELD) this.#pause = FIRST_PAUSE;
        else if (end === 'closed') await this.#rest();
        if (end === 'expired') this.#expire();
        else if (end !== 'closed') throw end;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (isReason(error, 'Expired', 'Gone')) this.#expire();
        this.#context.env.log.warn('cannot list or watch, trying again', { kind: this.kind.kind, error });
        await this.#rest();
      }
    }
  }

  #expire(): void {
    this.#listed = false;
    this.#expired = true;
  }

  #rest(): Promise<void> {
    const { env } = this.#context;
    const ms = this.#pause * (1 + env.random.next());
    this.#pause = Math.min(this.#pause * 2, LAST_PAUSE);
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const end = () => {
        timer?.cancel();
        off();
        resolve();
      };
      timer = env.clock.setTimer(ms, end);
      const off = onAbort(this.#signal, end);
    });
  }

  /** The first list may come from any cache; a later one must not go back in time. */
  async #relist(): Promise<void> {
    const first = { ...this.#filter, signal: this.#signal };
    let page = await this.#firstPage(first);
    const items: T[] = [...page.items];
    const { resourceVersion } = page.metadata;
    while (page.metadata.continue) {
      page = await this.#context.client.list(this.kind, { ...first, continue: page.metadata.continue });
      items.push(...page.items);
    }
    if (this.#signal.aborted) return;
    const changes = this.#replace(items);
    this.#revision = this.#expired ? 0 : this.#revision;
    this.#advance(Number(resourceVersion) || 0);
    this.#listed = true;
    this.#expired = false;
    for (const [object, old] of changes) this.#dispatch(object, old);
    this.#wake();
    this.#markSynced();
  }

  async #firstPage(options: InformerOptions & { signal: AbortSignal }) {
    const { client } = this.#context;
    if (this.#expired) return client.list(this.kind, options);
    try {
      return await client.list(this.kind, { ...options, resourceVersion: String(this.#revision) });
    } catch (error) {
      // The version asked for is unknown to this server (too old, or from a server ahead of it): take the latest.
      if (this.#revision === 0 || !isReason(error, 'Expired', 'Gone', 'Timeout')) throw error;
      return client.list(this.kind, options);
    }
  }

  /** Makes the cache hold exactly `items`; returns what that changed. */
  #replace(items: readonly T[]): Change<T>[] {
    const changes: Change<T>[] = [];
    const present = new Map<string, T>();
    for (const item of items) present.set(keyOf(item), this.#typed(item));
    for (const key of this.#cache.keys()) if (!present.has(key)) changes.push([undefined, this.#cache.delete(key)!]);
    for (const [key, object] of present) {
      const old = this.#cache.set(key, object);
      if (!old) changes.push([object, undefined]);
      else if (old.metadata.uid !== object.metadata.uid) changes.push([undefined, old], [object, undefined]);
      else if (old.metadata.resourceVersion !== object.metadata.resourceVersion) changes.push([object, old]);
    }
    return changes;
  }

  /** Items of lists carry no apiVersion and kind on the wire; readers may count on them. */
  #typed(object: T): T {
    return object.kind ? object : { apiVersion: this.kind.apiVersion, kind: this.kind.kind, ...object };
  }

  async #watch(): Promise<WatchEnd> {
    const stream: WatchStream<T> = await this.#context.client.watch(this.kind, {
      ...this.#filter,
      resourceVersion: String(this.#revision),
      allowWatchBookmarks: true,
      signal: this.#signal,
    });
    return new Promise((resolve) => {
      let ended = false;
      let off: (() => void) | undefined;
      const end = (how: WatchEnd) => {
        if (ended) return;
        ended = true;
        off?.();
        stream.stop();
        resolve(how);
      };
      if (this.#signal.aborted) return end('closed');
      off = onAbort(this.#signal, () => end('closed'));
      stream.start({
        events: (batch) => {
          for (const event of batch) {
            if (ended) return;
            if (event.type === 'ERROR') return end(watchError(event.object));
            this.#apply(event);
          }
          this.#wake();
        },
        closed: () => end('closed'),
      });
    });
  }

  #apply(event: WatchEvent<T>): void {
    this.#advance(Number(event.object.metadata.resourceVersion) || 0);
    if (event.type === 'BOOKMARK') return;
    const key = keyOf(event.object);
    if (event.type === 'DELETED') {
      const old = this.#cache.delete(key);
      if (old) this.#dispatch(undefined, old);
      return;
    }
    const object = this.#typed(event.object);
    this.#dispatch(object, this.#cache.set(key, object));
  }

  #advance(revision: number): void {
    if (revision > this.#revision) this.#revision = revision;
  }

  #dispatch(object: T | undefined, old: T | undefined): void {
    for (const handler of this.#handlers) this.#call(handler, object, old);
  }

  /** One handler's fault must not cost the others their event. */
  #call(handler: InformerHandler<T>, object: T | undefined, old: T | undefined): void {
    try {
      handler(object, old);
    } catch (error) {
      this.#context.env.log.error('informer handler threw', { kind: this.kind.kind, error });
    }
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    const still = this.#waiting.filter((w) => w.revision > this.#revision);
    if (still.length === this.#waiting.length) return;
    const reached = this.#waiting.filter((w) => w.revision <= this.#revision);
    this.#waiting = still;
    for (const w of reached) w.resolve();
  }
}

function watchError(object: unknown): WatchEnd {
  const error = StatusError.fromStatus(object as Status);
  return error.code === 410 || isReason(error, 'Expired', 'Gone') ? 'expired' : error;
}
