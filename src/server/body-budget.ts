// How much of request bodies is held at a time, by all clients together, while they are on their way: a thousand streams
// with three megabytes each, of which the last byte does not come, must not be what fills the memory.

import { StatusError, tooManyRequests } from '../api/errors.ts';
import type { Clock } from '../base/env.ts';
import type { HttpExchange } from './http-exchange.ts';

const TOTAL = 256 * 1024 * 1024;
/** Of which no more than this has come, a body is always taken: ordinary work goes on whatever the others do. */
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
   * The whole body; undefined when it is longer than `limit` bytes. Rejects with TooManyRequests when too much has come of it
   * and of others that are under way, with Timeout when it takes too long, and when the client goes away.
   */
  read(exchange: HttpExchange, limit: number): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { due: this.#clock.monotonic() + PATIENCE, fail: reject };
      this.#pending.add(pending);
      if (!this.#looking) this.#lookLater();
      let held = 0;
      const came = (bytes: number) => {
        held += bytes;
        this.#held += bytes;
        if (held > SMALL && this.#held > TOTAL)
          reject(tooManyRequests('too many large requests are on their way, please try again later', 1));
      };
      exchange
        .body(limit, came)
        .then(resolve, reject)
        .finally(() => {
          this.#held -= held;
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
