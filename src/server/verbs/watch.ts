// WATCH: the changes of the selected objects after a resource version, as they happen.
// Without a version, or from version 0, the present objects come first, each as ADDED.

import { withRevision } from '../../api/codec.ts';
import { StatusError } from '../../api/errors.ts';
import type { AnyKind } from '../../api/kind.ts';
import type { KubeObject } from '../../api/object.ts';
import type { WatchEvent, WatchEventType, WatchResult, WatchSink, WatchStream } from '../../api/op.ts';
import type { Timer } from '../../base/env.ts';
import { onAbort } from '../../base/on-abort.ts';
import { StoreError } from '../../store/store.ts';
import type { CacheEvent } from '../../store/watch-cache.ts';
import type { Call } from '../call.ts';
import type { Storage } from '../caches.ts';
import { formOf } from '../forms.ts';
import { selectionOf, type Selection } from '../selection.ts';
import { checkReadOptions, versionNumber, waitForVersion } from './resource-version.ts';

/** Some clients give up on a watch that is silent for 30 seconds. */
const BOOKMARK_MS = 25_000;

export async function watch(call: Call): Promise<WatchResult> {
  const { op, kind, server } = call;
  checkReadOptions(op.options, 'watch');
  const after = versionNumber(op.options.resourceVersion);
  const storage = await (op.options.resourceVersion ? server.caches.current(kind) : server.caches.latest(kind));
  const selection = selectionOf(op, kind, storage);
  if (op.options.sendInitialEvents && after) await waitForVersion(call, storage, op.options.resourceVersion!);
  return { type: 'watch', stream: new ServerWatch(call, storage, selection, after) };
}

class ServerWatch implements WatchStream {
  readonly #call: Call;
  readonly #kind: AnyKind;
  readonly #storage: Storage;
  readonly #selection: Selection;
  readonly #after: number;
  #sink: WatchSink | undefined;
  #subscription: { stop(): void } | undefined;
  readonly #timers: Timer[] = [];
  #offAbort: (() => void) | undefined;

  constructor(call: Call, storage: Storage, selection: Selection, after: number) {
    this.#call = call;
    this.#kind = call.kind;
    this.#storage = storage;
    this.#selection = selection;
    this.#after = after;
  }

  start(sink: WatchSink): void {
    const { op, signal, server } = this.#call;
    if (signal?.aborted) return sink.closed();
    this.#sink = sink;
    this.#offAbort = signal && onAbort(signal, () => this.stop());
    const { timeoutSeconds, allowWatchBookmarks } = op.options;
    if (timeoutSeconds) {
      this.#timers.push(server.env.clock.setTimer(timeoutSeconds * 1000, () => this.#end(), { unref: true }));
    }
    try {
      this.#begin();
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (allowWatchBookmarks && this.#sink) this.#scheduleBookmark();
  }

  stop(): void {
    this.#release();
  }

  /** Sends the present objects if they are wanted, then follows the cache from the revision they stand for. */
  #begin(): void {
    const { sendInitialEvents, resourceVersion, allowWatchBookmarks } = this.#call.op.options;
    const { cache } = this.#storage;
    const { scope, indexed, matches } = this.#selection;
    const fromNow = !resourceVersion || resourceVersion === '0';
    let after = fromNow ? cache.revision : this.#after;
    if (sendInitialEvents ?? fromNow) {
      after = cache.revision;
      const present = cache.list(scope, indexed ? { indexed } : {});
      const chosen = matches ? present.filter(matches) : present;
      this.#send(chosen.map((stored) => ({ type: 'ADDED', object: formOf(this.#kind, stored) })));
      if (allowWatchBookmarks) this.#send([bookmark(this.#kind, after, true)]);
    }
    if (!this.#sink) return;
    const subscription = cache.watch(
      scope,
      after,
      {
        events: (batch) => this.#forward(batch),
        closed: (error) => (error instanceof StatusError ? this.#fail(error) : this.#end()),
      },
      indexed ? { indexed } : {},
    );
    // The consumer may have stopped during the replay.
    if (this.#sink) this.#subscription = subscription;
    else subscription.stop();
  }

  #forward(batch: readonly CacheEvent<KubeObject>[]): void {
    if (batch.length === 1) {
      const event = watchEvent(this.#kind, batch[0]!, this.#selection.matches);
      if (event) this.#send([event]);
      return;
    }
    const events: WatchEvent[] = [];
    for (const change of batch) {
      const event = watchEvent(this.#kind, change, this.#selection.matches);
      if (event) events.push(event);
    }
    this.#send(events);
  }

  #send(events: readonly WatchEvent[]): void {
    if (events.length > 0) this.#sink?.events(events);
  }

  #scheduleBookmark(): void {
    const timer = this.#call.server.env.clock.setTimer(
      BOOKMARK_MS,
      () => {
        this.#timers.splice(this.#timers.indexOf(timer), 1);
        this.#send([bookmark(this.#kind, this.#storage.cache.revision, false)]);
        if (this.#sink) this.#scheduleBookmark();
      },
      { unref: true },
    );
    this.#timers.push(timer);
  }

  #fail(error: unknown): void {
    const expired = error instanceof StoreError && error.fault === 'compacted';
    const status =
      error instanceof StatusError
        ? error
        : expired
          ? new StatusError(
              'Expired',
              `too old resource version: ${this.#after} (${this.#storage.cache.oldestRevision})`,
            )
          : new StatusError('InternalError', `Internal error occurred: ${String(error)}`);
    this.#send([{ type: 'ERROR', object: status.toStatus() as unknown as KubeObject }]);
    this.#end();
  }

  #end(): void {
    const sink = this.#sink;
    this.#release();
    sink?.closed();
  }

  #release(): void {
    this.#sink = undefined;
    this.#subscription?.stop();
    this.#subscription = undefined;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.length = 0;
    this.#offAbort?.();
  }
}

/** What a change means to a watcher that sees only objects that match: undefined when it does not concern it. */
function watchEvent(
  kind: AnyKind,
  change: CacheEvent<KubeObject>,
  matches: ((stored: KubeObject) => boolean) | undefined,
): WatchEvent | undefined {
  const { previous } = change;
  const had = previous !== undefined && (!matches || matches(previous));
  const has = change.type === 'put' && (!matches || matches(change.object));
  if (has) return eventOf(kind, change, had ? 'MODIFIED' : 'ADDED');
  return had ? eventOf(kind, change, 'DELETED') : undefined;
}

type Events = Partial<Record<WatchEventType, WatchEvent>>;

/** The event of a change: one value for all watchers, so that it is encoded once. */
function eventOf(kind: AnyKind, change: CacheEvent<KubeObject>, type: WatchEventType): WatchEvent {
  const ofKind = (change.derived ??= new Map()) as Map<AnyKind, Events>;
  let events = ofKind.get(kind);
  if (!events) ofKind.set(kind, (events = {}));
  // A deletion shows the object as it last was, at the revision that took it away.
  return (events[type] ??= {
    type,
    object: formOf(kind, type === 'DELETED' ? withRevision(change.previous!, change.revision) : change.object!),
  });
}

function bookmark(kind: AnyKind, revision: number, initialEnd: boolean): WatchEvent {
  const metadata = {
    resourceVersion: String(revision),
    ...(initialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
  };
  return { type: 'BOOKMARK', object: { apiVersion: kind.apiVersion, kind: kind.kind, metadata } as KubeObject };
}
