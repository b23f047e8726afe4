// Writes core/v1 Events as upstream's recorder does: named `<object>.<time in hex>`, repeats counted by a patch. Events
// are advice: they go out one after the other behind the work they tell of, and one that cannot be written is logged
// and dropped. https://github.com/kubernetes/client-go/tree/master/tools/record

import { rfc3339, sleep, type Env } from '../base/env.ts';
import { isReason, StatusError } from '../api/errors.ts';
import { keyOf, type KubeObject } from '../api/object.ts';
import { Event } from '../api/kinds/core/event.ts';
import { isNamespaceTerminating } from './apply-actions.ts';
import type { Client } from './client.ts';
import type { EventNote } from './controller.ts';
import { EventCorrelator } from './event-correlator.ts';

const MAX_QUEUED = 1000;
const MAX_TRIES = 12;
const RETRY_MS = 10_000;

export interface EventRecorder {
  /** Never throws and never waits. */
  record(note: EventNote & { readonly about: KubeObject }): void;
  /** Resolves once all events recorded so far have been written or dropped. */
  flush(): Promise<void>;
}

export interface EventRecorderOptions {
  readonly client: Client;
  readonly env: Env;
  /** `source.component` and `reportingComponent`. */
  readonly component: string;
  /** `source.host` and `reportingInstance`: the node's name, for a kubelet. */
  readonly host?: string;
  readonly signal: AbortSignal;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { env } = options;
  const correlator = new EventCorrelator();
  const queue: Event[] = [];
  let writing: Promise<void> | undefined;

  let dropped = 0;

  const drain = async () => {
    for (let event = queue.shift(); event && !options.signal.aborted; event = queue.shift())
      await write(event, correlator, options);
    writing = undefined;
    if (dropped > 0) env.log.warn('events were dropped', { count: dropped });
    dropped = 0;
  };
  /** Said once: where events pile up, lines about them would too. */
  const drop = ({ about, reason }: EventNote) => {
    if (dropped++ === 0)
      env.log.warn('too many events waiting: dropping further ones', { about: about && keyOf(about), reason });
  };
  return {
    record(note) {
      if (options.signal.aborted) return;
      if (queue.length >= MAX_QUEUED) return drop(note);
      queue.push(eventOf(note, options));
      writing ??= Promise.resolve().then(drain);
    },
    flush: () => writing ?? Promise.resolve(),
  };
}

function eventOf(note: EventNote & { readonly about: KubeObject }, options: EventRecorderOptions): Event {
  const { env, component, host } = options;
  const { about, fieldPath } = note;
  const { name, namespace, uid, resourceVersion } = about.metadata;
  const time = rfc3339(env.clock.now());
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: eventName(name, env), namespace: namespace || 'default' } as Event['metadata'],
    involvedObject: {
      ...(about.kind ? { kind: about.kind } : {}),
      ...(namespace ? { namespace } : {}),
      name,
      ...(uid ? { uid } : {}),
      ...(about.apiVersion ? { apiVersion: about.apiVersion } : {}),
      ...(resourceVersion ? { resourceVersion } : {}),
      ...(fieldPath ? { fieldPath } : {}),
    },
    reason: note.reason,
    message: note.message,
    source: { component, ...(host ? { host } : {}) },
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
    type: note.type,
    reportingComponent: component,
    reportingInstance: host ?? '',
  };
}

/** Upstream takes the clock's nanoseconds; ours has milliseconds, so the rest is drawn to keep names apart. */
function eventName(object: string, env: Env): string {
  const nanos = BigInt(Math.floor(env.clock.now())) * 1_000_000n + BigInt(Math.floor(env.random.next() * 1_000_000));
  return `${object}.${nanos.toString(16)}`;
}

async function write(fresh: Event, correlator: EventCorrelator, options: EventRecorderOptions): Promise<void> {
  const { env, signal } = options;
  const correlated = correlator.correlate(fresh, env.clock.now());
  if (!correlated) return;
  for (let tries = 1; !signal.aborted; tries++) {
    try {
      correlated.stored(await send(correlated.event, correlated.repeats, options));
      return;
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      const about = { reason: fresh.reason, object: fresh.involvedObject.name, error };
      if (error instanceof StatusError || tries >= MAX_TRIES) {
        if (!signal.aborted) env.log.warn('event not written', about);
        return;
      }
      env.log.debug('cannot write event, trying again', about);
      await sleep(env, tries === 1 ? RETRY_MS * env.random.next() : RETRY_MS, { signal }).catch(() => {});
    }
  }
}

async function send(event: Event, repeats: boolean, options: EventRecorderOptions): Promise<Event> {
  const { client, signal, env } = options;
  if (repeats) {
    const { count, lastTimestamp, message } = event;
    const ref = { namespace: event.metadata.namespace, name: event.metadata.name };
    try {
      return await client.patch(Event, ref, 'strategic', { count, lastTimestamp, message }, { signal });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      // It has expired meanwhile: this one starts anew under a name of its own.
    }
  } else {
    try {
      return await client.create(Event, event, { signal });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      // Two components speaking of one object within the same millisecond drew the same name.
    }
  }
  const name = eventName(event.involvedObject.name ?? '', env);
  return client.create(Event, { ...event, metadata: { ...event.metadata, name } }, { signal });
}
