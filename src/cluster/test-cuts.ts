// The network between nodes and the control plane of an embedded cluster, for tests to cut: packets of a cut node are
// dropped without a word. Its requests and watches hang until the network is back or, as with a real connection, until
// its pings have gone unanswered for too long.

import { StatusError } from '../api/errors.ts';
import type { ApiOp, ApiResult, NoUser, UserInfo, WatchEvent, WatchSink, WatchStream } from '../api/op.ts';
import type { Env, Timer } from '../base/env.ts';
import { Client } from '../client/client.ts';

/** As host/http2-pool.ts: half a minute to the next ping, and a quarter for its answer. */
const NOTICED = 45_000;

export class Cuts {
  /** Of the cluster, once it is there. */
  env!: Env;
  readonly #cut = new Set<string>();
  readonly #mended = new Set<() => void>();
  readonly #torn = new Set<() => void>();

  /** For `TestClusterOptions.between`. */
  readonly between = (client: Client, user: UserInfo, userAgent: string): Client => {
    const node = /^system:node:(.*)$/.exec(user.name)?.[1];
    if (node === undefined) return client;
    return new Client((op, options) => this.#send(node, client, op, options?.signal), userAgent);
  };

  cut(...nodes: readonly string[]): void {
    for (const node of nodes) this.#cut.add(node);
    for (const torn of this.#torn) torn();
  }

  mend(): void {
    this.#cut.clear();
    for (const mended of this.#mended) mended();
  }

  async #send(node: string, client: Client, op: NoUser<ApiOp>, signal: AbortSignal | undefined): Promise<ApiResult> {
    if (this.#cut.has(node) && !(await this.#back()))
      throw new StatusError('ServiceUnavailable', 'http2: client connection lost');
    const result = await client.do(op, signal);
    return result.type === 'watch' ? { ...result, stream: this.#watch(node, result.stream) } : result;
  }

  /** True when the network is back before the connection is given up. */
  #back(): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (back: boolean) => {
        timer.cancel();
        this.#mended.delete(mended);
        resolve(back);
      };
      const mended = () => end(true);
      const timer = this.env.clock.setTimer(NOTICED, () => end(false), { unref: true });
      this.#mended.add(mended);
    });
  }

  #watch(node: string, stream: WatchStream): WatchStream {
    let sink: WatchSink | undefined;
    let held: WatchEvent[] = [];
    let patience: Timer | undefined;
    const end = () => {
      patience?.cancel();
      this.#torn.delete(torn);
      this.#mended.delete(mended);
      sink = undefined;
    };
    const torn = () => {
      if (!this.#cut.has(node) || patience) return;
      const give = () => {
        const told = sink;
        end();
        stream.stop();
        told?.closed();
      };
      patience = this.env.clock.setTimer(NOTICED, give, { unref: true });
    };
    const mended = () => {
      patience?.cancel();
      patience = undefined;
      const events = held;
      held = [];
      if (events.length > 0) sink?.events(events);
    };
    return {
      start: (to) => {
        sink = to;
        this.#torn.add(torn);
        this.#mended.add(mended);
        torn();
        stream.start({
          events: (events) => (this.#cut.has(node) ? void held.push(...events) : sink?.events(events)),
          closed: () => {
            const told = sink;
            end();
            told?.closed();
          },
        });
      },
      stop: () => {
        end();
        stream.stop();
      },
    };
  }
}
