// Events are forgotten an hour after their last write.

import type { Event as EventObject } from '../api/generated/core-v1.ts';
import { Event } from '../api/kinds/core/event.ts';
import type { KubeObject } from '../api/object.ts';
import type { Env, Timer } from '../base/env.ts';
import type { Caches, Storage } from './caches.ts';

const HOUR = 3_600_000;

interface Pending {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly version: string;
  /** By the monotonic clock: a clock that is set forward does not forget an hour's events. */
  readonly at: number;
}

/** Starts forgetting; the result stops it. Several servers over one store may do it at the same time. */
export function expireEvents(caches: Caches, env: Env, ttl = HOUR): () => void {
  const expiry = new Expiry(caches, env, ttl);
  expiry.begin().catch((error: unknown) => env.log.warn('events are not forgotten', { error: String(error) }));
  return () => expiry.stop();
}

class Expiry {
  readonly #caches: Caches;
  readonly #env: Env;
  readonly #ttl: number;
  /** Every event waits equally long, so that the order of writes is the order of expiry. */
  readonly #queue: Pending[] = [];
  #head = 0;
  #timer: Timer | undefined;
  #subscription: { stop(): void } | undefined;
  #stopped = false;

  constructor(caches: Caches, env: Env, ttl: number) {
    this.#caches = caches;
    this.#env = env;
    this.#ttl = ttl;
  }

  async begin(): Promise<void> {
    const { cache, prefix } = await this.#caches.current(Event);
    if (this.#stopped) return;
    const { clock } = this.#env;
    const [wall, now] = [clock.now(), clock.monotonic()];
    const present = cache.list().map((event) => {
      // Whatever its time says: nothing is older than now, and nothing stays for longer than a new event.
      const age = Math.max(0, wall - lastWrite(event as EventObject));
      return { event, at: now + this.#ttl - age };
    });
    for (const { event, at } of present.sort((a, b) => a.at - b.at)) this.#add(event, at);
    this.#subscription = cache.watch(prefix, cache.revision, {
      events: (batch) => {
        for (const { object } of batch) if (object) this.#add(object, this.#env.clock.monotonic() + this.#ttl);
      },
      closed: () => this.stop(),
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#subscription?.stop();
  }

  #add({ metadata }: KubeObject, at: number): void {
    const { namespace, name, resourceVersion: version } = metadata;
    this.#queue.push({ namespace, name, version, at });
    if (!this.#timer) this.#schedule();
  }

  #schedule(): void {
    const next = this.#queue[this.#head];
    if (!next || this.#stopped) return;
    const { clock } = this.#env;
    this.#timer = clock.setTimer(next.at - clock.monotonic(), () => void this.#sweep(), { unref: true });
  }

  async #sweep(): Promise<void> {
    const storage = this.#caches.of(Event);
    const { clock } = this.#env;
    for (;;) {
      const next = this.#queue[this.#head];
      if (this.#stopped || !next || next.at > clock.monotonic()) break;
      this.#head++;
      await forget(storage, next, this.#env);
    }
    if (this.#head > 1000) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    this.#timer = undefined;
    this.#schedule();
  }
}

async function forget(storage: Storage, { namespace, name, version }: Pending, env: Env): Promise<void> {
  const event = storage.get(namespace, name);
  if (event?.metadata.resourceVersion !== version) return;
  try {
    await storage.delete(event);
  } catch (error) {
    env.log.warn('an old event stays', { namespace, name, error: String(error) });
  }
}

/** The latest instant an event of a former process tells of. */
function lastWrite(event: EventObject): number {
  const { lastTimestamp, eventTime, series, metadata } = event;
  const texts = [series?.lastObservedTime, lastTimestamp, eventTime, metadata.creationTimestamp];
  return Math.max(0, ...texts.map((text) => (text ? Date.parse(text) : 0)).filter(Number.isFinite));
}
