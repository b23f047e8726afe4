// Keeps events from flooding the cluster, with client-go's rules: repeats of one event raise its count, many alike
// become one "combined" event, and a source that keeps on about one object is cut off until its tokens refill.
// https://github.com/kubernetes/client-go/blob/master/tools/record/events_cache.go

import type { Event } from '../api/kinds/core/event.ts';

const MAX_TRACKED = 4096;
/** Similar events (differing in the message alone) within the interval before they are combined. */
const MAX_SIMILAR = 10;
const SIMILAR_INTERVAL = 600_000;
const BURST = 25;
/** One more event about the same object every five minutes. */
const REFILL_MS = 300_000;

/** A map that forgets what was touched least recently. */
class Recent<V> {
  readonly #map = new Map<string, V>();

  get(key: string): V | undefined {
    const value = this.#map.get(key);
    if (value !== undefined) {
      this.#map.delete(key);
      this.#map.set(key, value);
    }
    return value;
  }

  set(key: string, value: V): void {
    this.#map.delete(key);
    this.#map.set(key, value);
    if (this.#map.size > MAX_TRACKED) for (const oldest of this.#map.keys()) return void this.#map.delete(oldest);
  }
}

interface Seen {
  readonly count: number;
  readonly firstTimestamp: string;
  readonly name: string;
}

export interface Correlated {
  readonly event: Event;
  /** Where to look it up again: give it to `stored` once the server has the event. */
  readonly key: string;
  /** The event exists already under `event.metadata.name`; only its count, time and message change. */
  readonly repeats: boolean;
}

export class EventCorrelator {
  readonly #seen = new Recent<Seen>();
  readonly #similar = new Recent<{ readonly messages: Set<string>; at: number }>();
  readonly #tokens = new Recent<{ left: number; at: number }>();

  /** Returns what to write, or undefined when the source has said too much. `now` in milliseconds. */
  correlate(fresh: Event, now: number): Correlated | undefined {
    const source = sourceKey(fresh);
    const combined = this.#combine(fresh, source, now);
    const key =
      combined?.key ?? [source, fresh.involvedObject.fieldPath, fresh.type, fresh.reason, fresh.message].join('\0');
    let event = combined?.event ?? fresh;
    const seen = this.#seen.get(key);
    if (seen) {
      event = {
        ...event,
        metadata: { ...event.metadata, name: seen.name },
        count: seen.count + 1,
        firstTimestamp: seen.firstTimestamp,
      };
    }
    if (!this.#allowed(source, now)) return undefined;
    return { event, key, repeats: seen !== undefined };
  }

  /** The server holds the event now. */
  stored(key: string, event: Event): void {
    this.#seen.set(key, {
      count: event.count ?? 1,
      firstTimestamp: event.firstTimestamp ?? '',
      name: event.metadata.name,
    });
  }

  #combine(event: Event, source: string, now: number): { key: string; event: Event } | undefined {
    const key = [source, event.type, event.reason, event.reportingComponent, event.reportingInstance].join('\0');
    let similar = this.#similar.get(key);
    if (!similar || now - similar.at > SIMILAR_INTERVAL) similar = { messages: new Set(), at: now };
    similar.messages.add(event.message ?? '');
    similar.at = now;
    this.#similar.set(key, similar);
    if (similar.messages.size < MAX_SIMILAR) return undefined;
    for (const first of similar.messages) {
      similar.messages.delete(first);
      break;
    }
    return { key, event: { ...event, message: `(combined from similar events): ${event.message}` } };
  }

  #allowed(source: string, now: number): boolean {
    const bucket = this.#tokens.get(source) ?? { left: BURST, at: now };
    bucket.left = Math.min(BURST, bucket.left + (now - bucket.at) / REFILL_MS);
    bucket.at = now;
    this.#tokens.set(source, bucket);
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  }
}

function sourceKey(event: Event): string {
  const { kind, namespace, name, uid, apiVersion } = event.involvedObject;
  const { component, host } = event.source ?? {};
  return [component, host, kind, namespace, name, uid, apiVersion].join('\0');
}
