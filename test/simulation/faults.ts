// Between every component and the server: requests that never arrive, answers that get lost, messages late or twice,
// watches that break. Faults are drawn from a seed of their own, so that a round replays.

import { StatusError } from '../../src/api/errors.ts';
import type { ApiOp, ApiResult, NoUser, WatchEvent, WatchStream } from '../../src/api/op.ts';
import { sleep, type Env, type Random } from '../../src/base/env.ts';
import { Client } from '../../src/client/client.ts';

export class Faults {
  /** Nothing goes wrong while this is false. */
  on = false;
  /** Of the cluster as it is now; set once it is there. */
  env: (() => Env) | undefined;
  /** A bug on purpose: this many pod events are swallowed without breaking the watch. */
  swallow = 0;
  readonly violations: string[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  readonly between = (client: Client, _user: unknown, userAgent: string): Client =>
    new Client((op, options) => this.#send(client, op, options?.signal), userAgent);

  #chance(share: number): boolean {
    return this.on && this.#random.next() < share;
  }

  async #send(client: Client, op: NoUser<ApiOp>, signal: AbortSignal | undefined): Promise<ApiResult> {
    if (this.#chance(0.1)) await sleep(this.env!(), this.#random.next() * 500, signal ? { signal } : {});
    if (this.#chance(0.02)) throw new StatusError('ServiceUnavailable', 'the request got lost');
    if (op.verb === 'update' && this.#chance(0.02)) await client.do(op, signal);
    const result = await client.do(op, signal);
    if (op.verb !== 'watch' && this.#chance(0.02)) throw new StatusError('Timeout', 'the answer got lost');
    return result.type === 'watch' ? { ...result, stream: this.#watch(op, result.stream) } : result;
  }

  #watch(op: NoUser<ApiOp>, stream: WatchStream): WatchStream {
    return {
      start: (sink) => {
        let ended = false;
        let last = Number(op.options.resourceVersion) || 0;
        stream.start({
          events: (batch) => {
            if (ended) return;
            const events = batch.filter((event) => !this.#swallows(op, event));
            for (const event of events) last = this.#check(op, event, last);
            if (events.length > 0) sink.events(events);
            if (!this.#chance(0.01)) return;
            ended = true;
            stream.stop();
            sink.closed();
          },
          closed: () => {
            if (!ended) sink.closed();
          },
        });
      },
      stop: () => stream.stop(),
    };
  }

  #swallows(op: NoUser<ApiOp>, event: WatchEvent): boolean {
    if (!this.on || this.swallow === 0 || op.resource !== 'pods' || event.type !== 'ADDED') return false;
    this.swallow--;
    return true;
  }

  /** A watch tells the log in its order. */
  #check(op: NoUser<ApiOp>, event: WatchEvent, last: number): number {
    const revision = Number(event.object.metadata?.resourceVersion) || last;
    if (revision < last) this.violations.push(`watch of ${op.resource} went back from ${last} to ${revision}`);
    return Math.max(last, revision);
  }
}
