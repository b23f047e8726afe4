// The line between one process and the API server. Faults are armed on it and strike the next message they fit; without
// any, messages take as long as the history says and arrive in any order, but for the events of one watch.

import { isReason, StatusError } from '../../src/api/errors.ts';
import type { ApiOp, ApiResult, NoUser, UserInfo, WatchEvent, WatchSink, WatchStream } from '../../src/api/op.ts';
import type { Random } from '../../src/base/env.ts';
import type { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Client } from '../../src/client/client.ts';
import type { ProcessClock } from './process-clock.ts';

/** How a request is carried out on the server. */
export type Execute = (op: NoUser<ApiOp>, user: UserInfo, signal: AbortSignal | undefined) => Promise<ApiResult>;
type Answer = Promise<ApiResult>;
const READS: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

/** A fault that waits for its message. */
export interface Armed {
  readonly name: string;
  /** Messages it still strikes. */
  left: number;
  fits(op: NoUser<ApiOp>): boolean;
  /** Carries the request out in its own way; `go` executes it once. */
  strike(go: () => Answer, link: Link, op: NoUser<ApiOp>): Answer;
}

export interface LinkOptions {
  readonly name: string;
  /** The world's. */
  readonly clock: VirtualClock;
  readonly random: Random;
  /** Milliseconds that a message takes at most. */
  readonly jitter: number;
  readonly bookmarks: boolean;
  readonly execute: Execute;
  /** The clock of the process at this end. */
  readonly process: ProcessClock;
  /** Told of each fault that struck. */
  readonly struck: (name: string) => void;
  /** Told of requests whose caller will never know what became of them. */
  readonly uncertain: (op: NoUser<ApiOp>, userAgent: string) => void;
}

export const LOST = () => new StatusError('ServiceUnavailable', 'the connection was lost');

export class Link {
  readonly options: LinkOptions;
  readonly armed: Armed[] = [];
  readonly #watches = new Set<LinkWatch>();
  /** What the server is carrying out. */
  readonly #under = new Set<NoUser<ApiOp>>();
  #cut = false;

  constructor(options: LinkOptions) {
    this.options = options;
  }

  /** A client of any identity over this line. */
  client(user: UserInfo, userAgent: string): Client {
    return new Client((op, options) => this.#send({ userAgent, ...op }, user, options?.signal), userAgent);
  }

  /** The process has died: nothing it sent arrives any more, nothing is told to it. */
  kill(): void {
    this.#cut = true;
    for (const op of this.#under) this.doubt(op);
    for (const watch of this.#watches) watch.abandon();
    this.#watches.clear();
  }

  /** The watches of a resource, all of them without one. */
  watches(resource?: string): LinkWatch[] {
    return [...this.#watches].filter((w) => resource === undefined || w.op.resource === resource);
  }

  /** Its sender will not know what became of it. */
  doubt(op: NoUser<ApiOp>): void {
    if (!READS.has(op.verb)) this.options.uncertain(op, op.userAgent ?? '');
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.options.clock.setTimer(ms, resolve));
  }

  async #send(op: NoUser<ApiOp>, user: UserInfo, signal: AbortSignal | undefined): Answer {
    const { jitter, random } = this.options;
    let executed = false;
    const go = async () => {
      if (jitter > 0) await this.pass(random.next() * jitter);
      if (this.#cut) throw LOST();
      // The second time its sender learns of one only.
      if (executed) this.doubt(op);
      executed = true;
      const result = await this.#execute(op, user, signal);
      if (jitter > 0) await this.pass(random.next() * jitter);
      return result;
    };
    let result: ApiResult;
    try {
      result = await this.#strike(op, go);
    } catch (error) {
      await this.#running();
      throw error;
    }
    await this.#running();
    if (result.type !== 'watch') return result;
    return { ...result, stream: this.#watch(op, result.stream) };
  }

  async #execute(op: NoUser<ApiOp>, user: UserInfo, signal: AbortSignal | undefined): Answer {
    this.#under.add(op);
    try {
      return await this.options.execute(op, user, signal);
    } catch (error) {
      if (isReason(error, 'ServiceUnavailable', 'Timeout', 'InternalError')) this.doubt(op);
      throw error;
    } finally {
      this.#under.delete(op);
    }
  }

  #strike(op: NoUser<ApiOp>, go: () => Answer): Answer {
    const { armed } = this;
    const index = armed.findIndex((fault) => fault.fits(op));
    if (index < 0) return go();
    const fault = armed[index]!;
    if (--fault.left === 0) armed.splice(index, 1);
    this.options.struck(fault.name);
    return fault.strike(go, this, op);
  }

  /** A process that is stopped hears later; a dead one never. */
  async #running(): Promise<void> {
    const { process } = this.options;
    if (this.#cut) return new Promise(() => {});
    if (process.stopped) await new Promise<void>((resolve) => process.whenRunning(resolve));
  }

  #watch(op: NoUser<ApiOp>, stream: WatchStream): WatchStream {
    const watch = new LinkWatch(this, op, stream, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    return watch;
  }
}

/** The end of a watch at its reader: events come late and together, never out of order; it may break. */
export class LinkWatch implements WatchStream {
  readonly op: NoUser<ApiOp>;
  readonly #link: Link;
  readonly #inner: WatchStream;
  readonly #ended: () => void;
  readonly #queue: ((() => void) & { due?: number })[] = [];
  #sink: WatchSink | undefined;
  #stalledUntil = 0;
  #last = 0;
  #scheduled = false;

  constructor(link: Link, op: NoUser<ApiOp>, inner: WatchStream, ended: () => void) {
    this.#link = link;
    this.op = op;
    this.#inner = inner;
    this.#ended = ended;
  }

  start(sink: WatchSink): void {
    this.#sink = sink;
    this.#inner.start({
      events: (batch) => {
        const { bookmarks } = this.#link.options;
        const passed = bookmarks ? batch : batch.filter((event) => event.type !== 'BOOKMARK');
        if (passed.length > 0) this.#later(() => this.#sink?.events(passed));
      },
      closed: () => this.#later(() => this.#close()),
    });
  }

  stop(): void {
    this.abandon();
    this.#inner.stop();
  }

  /** Nothing is told any more, not even the end. */
  abandon(): void {
    this.#sink = undefined;
    this.#ended();
  }

  /** Breaks: what was under way is lost. */
  cut(): void {
    this.#queue.length = 0;
    this.#inner.stop();
    this.#close();
  }

  /** As `cut`, with the server's word that the reader's place is gone. */
  expire(): void {
    const status = new StatusError('Expired', 'too old resource version');
    const event: WatchEvent = { type: 'ERROR', object: status.toStatus() as unknown as WatchEvent['object'] };
    this.#sink?.events([event]);
    if (this.#sink) this.cut();
  }

  stall(ms: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#link.options.clock.now() + ms);
  }

  #close(): void {
    const sink = this.#sink;
    this.abandon();
    sink?.closed();
  }

  #later(tell: () => void): void {
    const { clock, jitter, random, process } = this.#link.options;
    const delay = jitter > 0 ? Math.ceil(random.next() * jitter) : 0;
    const due = Math.max(this.#last, clock.now() + delay, this.#stalledUntil);
    this.#last = due;
    if (due <= clock.now() && this.#queue.length === 0 && !process.stopped) return tell();
    this.#queue.push(Object.assign(tell, { due }));
    this.#schedule();
  }

  #schedule(): void {
    const next = this.#queue[0];
    if (this.#scheduled || !next) return;
    this.#scheduled = true;
    const { clock, process } = this.#link.options;
    clock.setTimer(Math.max(next.due!, this.#stalledUntil) - clock.now(), () =>
      process.whenRunning(() => {
        this.#scheduled = false;
        while (this.#queue[0] && Math.max(this.#queue[0].due!, this.#stalledUntil) <= clock.now())
          this.#queue.shift()!();
        this.#schedule();
      }),
    );
  }
}
