// How much of request bodies is held at a time, by all clients together, while they are on their way: a thousand streams
// with three megabytes each, of which the last byte does not come, must not be what fills the memory.

import { StatusError, tooManyRequests } from '../api/errors.ts';
import type { Clock } from '../base/env.ts';
import type { HttpExchange } from './http-exchange.ts';

const TOTAL = 256 * 1024 * 1024;
/** Told to be no longer than this, a body is always taken: ordinary work goes on whatever the others do. */
const SMALL = 64 * 1024;
/** Milliseconds; upstream's request timeout, and how often it is looked at. */
const PATIENCE = 60_000;
const LOOK = 5_000;

interface Pending {
  /** By the monotonic clock. */
  readonly due: number;
  readonly fail: (error: Error) => void;
}

export class BodyBudget {
  readonly #clock: Clock;
  /** Oldest first. One timer for all: most bodies are there when they are asked for. */
  readonly #pending = new Set<Pending>();
  #held = 0;
  #looking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The whole body; undefined when it is longer than `limit` bytes. Rejects with TooManyRequests when others have too much
   * under way, with Timeout when it takes too long, and when the client goes away.
   */
  read(exchange: HttpExchange, limit: number): Promise<Uint8Array | undefined> {
    const told = Number(exchange.headers['content-length'] ?? NaN);
    const size = told >= 0 ? Math.min(told, limit) : limit;
    if (size > SMALL && this.#held + size > TOTAL)
      return Promise.reject(tooManyRequests('too many large requests are on their way, please try again later', 1));
    return new Promise((resolve, reject) => {
      const pending: Pending = { due: this.#clock.monotonic() + PATIENCE, fail: reject };
      this.#held += size;
      this.#pending.add(pending);
      if (!this.#looking) this.#lookLater();
      exchange
        .body(limit)
        .then(resolve, reject)
        .finally(() => {
          this.#held -= size;
          this.#pending.delete(pending);
        });
    });
  }

  #lookLater(): void {
    this.#looking = true;
    this.#clock.setTimer(LOOK, () => this.#look(), { unref: true });
  }

  #look(): void {
    this.#looking = false;
    const now = this.#clock.monotonic();
    for (const { due, fail } of this.#pending) {
      if (due > now) break;
      // The answer ends the request: its client is told to send no more, and what has come is let go.
      fail(new StatusError('Timeout', 'Timeout: request did not complete within the allotted timeout'));
    }
    if (this.#pending.size > 0) this.#lookLater();
  }
}
