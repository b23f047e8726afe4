// Keeps events from flooding the cluster, with client-go's rules: repeats of one event raise its count, many alike
// become one "combined" event, and a source that keeps on about one object is cut off until its tokens refill.
// https://github.com/kubernetes/client-go/blob/master/tools/record/events_cache.go

import type { Event } from '../api/kinds/core/event.ts';

const MAX_TRACKED = 4096;
const MAX_PER_SOURCE = 256;
/** Similar events (differing in the message alone) within the interval before they are combined. */
const MAX_SIMILAR = 10;
const SIMILAR_INTERVAL = 600_000;
const BURST = 25;
/** One more event about the same object every five minutes. */
const REFILL_MS = 300_000;

/**
 * A map of what was touched lately: when one half is full, what is only in the older half is forgotten. Nothing moves
 * on a read of something recent.
 */
class Recent<V> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  get(key: string): V | undefined {
    const value = this.#young.get(key);
    if (value !== undefined || this.#old.size === 0) return value;
    const older = this.#old.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: string, value: V): void {
    if (this.#young.size >= MAX_TRACKED / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}

/** What one source has said about one object. */
interface Source {
  readonly seen: Map<string, Seen>;
  readonly similar: Map<string, Similar>;
  tokens: number;
  at: number;
}

interface Similar {
  readonly messages: Set<string>;
  at: number;
}

interface Seen {
  readonly count: number;
  readonly firstTimestamp: string;
  readonly name: string;
}

export interface Correlated {
  readonly event: Event;
  /** The event exists already under `event.metadata.name`; only its count, time and message change. */
  readonly repeats: boolean;
  /** To be called with what the server made of it. */
  stored(event: Event): void;
}

export class EventCorrelator {
  readonly #sources = new Recent<Source>();

  /** Returns what to write, or undefined when the source has said too much. `now` in milliseconds. */
  correlate(fresh: Event, now: number): Correlated | undefined {
    const source = this.#source(fresh, now);
    const combined = combine(source, fresh, now);
    const key = combined?.key ?? [fresh.involvedObject.fieldPath, fresh.type, fresh.reason, fresh.message].join('\0');
    let event = combined?.event ?? fresh;
    const seen = source.seen.get(key);
    if (seen) {
      event = {
        ...event,
        metadata: { ...event.metadata, name: seen.name },
        count: seen.count + 1,
        firstTimestamp: seen.firstTimestamp,
      };
    }
    if (!allowed(source, now)) return undefined;
    const stored = ({ count = 1, firstTimestamp = '', metadata: { name } }: Event) => {
      if (source.seen.size >= MAX_PER_SOURCE) source.seen.delete(source.seen.keys().next().value!);
      source.seen.set(key, { count, firstTimestamp, name });
    };
    return { event, repeats: seen !== undefined, stored };
  }

  #source(event: Event, now: number): Source {
    const key = sourceKey(event);
    let source = this.#sources.get(key);
    if (!source) {
      source = { seen: new Map(), similar: new Map(), tokens: BURST, at: now };
      this.#sources.set(key, source);
    }
    return source;
  }
}

function combine(source: Source, event: Event, now: number): { key: string; event: Event } | undefined {
  const key = `${event.type}\0${event.reason}\0${event.reportingInstance}`;
  let similar = source.similar.get(key);
  if (!similar || now - similar.at > SIMILAR_INTERVAL) {
    similar = { messages: new Set(), at: now };
    source.similar.set(key, similar);
  }
  similar.messages.add(event.message ?? '');
  similar.at = now;
  if (similar.messages.size < MAX_SIMILAR) return undefined;
  similar.messages.delete(similar.messages.values().next().value!);
  return { key, event: { ...event, message: `(combined from similar events): ${event.message}` } };
}

function allowed(source: Source, now: number): boolean {
  source.tokens = Math.min(BURST, source.tokens + (now - source.at) / REFILL_MS);
  source.at = now;
  if (source.tokens < 1) return false;
  source.tokens -= 1;
  return true;
}

function sourceKey(event: Event): string {
  const { kind, namespace, name, uid, apiVersion } = event.involvedObject;
  const { component, host } = event.source ?? {};
  return `${uid}\0${component}\0${host}\0${kind}\0${namespace}\0${name}\0${apiVersion}`;
}
