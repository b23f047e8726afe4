// Sends spans to an OpenTelemetry collector: in batches, from a bounded queue, never in the way of what they tell of. What
// does not fit or is refused is dropped and counted. Sizes and times are those of OpenTelemetry's own batch processor.

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Env, Timer } from '../base/env.ts';
import { otlpRequest } from '../base/otlp.ts';
import type { Span, SpanExporter, Tracer } from '../base/trace.ts';

export interface OtlpOptions {
  readonly env: Env;
  readonly tracer: Tracer;
  /** Where to POST: `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string;
  /** Of a million traces that begin here, how many are sent; those that others sampled always are. */
  readonly samplingRatePerMillion: number;
  /** Of this program. */
  readonly version: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const MAX_QUEUE = 2048;
const BATCH = 512;
const DELAY = 5_000;
const TIMEOUT = 10_000;
const TRIES = 3;
/** As OTLP says: worth another try. */
const RETRYABLE = new Set([429, 502, 503, 504]);

export class OtlpExporter implements SpanExporter {
  readonly #options: OtlpOptions;
  readonly #queue: Span[] = [];
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  sent = 0;
  dropped = 0;

  constructor(options: OtlpOptions) {
    this.#options = options;
    const { metrics } = options.env;
    const count = (name: string, help: string, read: () => number) =>
      metrics?.reading(`coracle_trace_spans_${name}_total`, help, [], () => [[[], read()]], 'counter');
    count('sent', 'Spans that a collector has taken.', () => this.sent);
    count('dropped', 'Spans that no collector will see: the queue was full, or it was refused.', () => this.dropped);
    options.tracer.exportTo(this);
  }

  sample(): boolean {
    return this.#options.env.random.next() * 1e6 < this.#options.samplingRatePerMillion;
  }

  ended(span: Span): void {
    if (this.#queue.length >= MAX_QUEUE) {
      this.dropped++;
      return;
    }
    this.#queue.push(span);
    if (this.#queue.length >= BATCH) this.#begin();
    else this.#timer ??= this.#options.env.clock.setTimer(DELAY, () => this.#begin(), { unref: true });
  }

  /** Resolves once all that ended before has been sent or dropped. */
  async flush(): Promise<void> {
    while (this.#sending || this.#queue.length > 0) {
      this.#begin();
      await this.#sending;
    }
  }

  #begin(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sending ??= this.#drain().finally(() => (this.#sending = undefined));
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, BATCH);
      if (await this.#send(batch)) this.sent += batch.length;
      else this.dropped += batch.length;
    }
  }

  /** False when it was refused, or failed too often. */
  async #send(batch: readonly Span[]): Promise<boolean> {
    const { env, tracer, version, url } = this.#options;
    const body = JSON.stringify(otlpRequest(tracer, batch, version));
    for (let tries = 1; ; tries++) {
      let why: string;
      try {
        const status = await this.#post(body);
        if (status >= 200 && status < 300) return true;
        why = `answers ${status}`;
        if (!RETRYABLE.has(status)) tries = TRIES;
      } catch (error) {
        why = (error as Error).message;
      }
      if (tries >= TRIES) {
        env.log.warn('spans were not taken by the collector', { url, spans: batch.length, why });
        return false;
      }
      await new Promise<void>((resolve) => void env.clock.setTimer(500 * 2 ** tries, resolve, { unref: true }));
    }
  }

  #post(body: string): Promise<number> {
    const { url, headers = {} } = this.#options;
    const request = url.startsWith('https:') ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const post = request(
        url,
        { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, timeout: TIMEOUT },
        (answer) => {
          answer.resume();
          answer.once('end', () => resolve(answer.statusCode ?? 0));
          answer.once('error', reject);
        },
      );
      post.once('timeout', () => post.destroy(new Error('no answer in time')));
      post.once('error', reject);
      post.end(body);
    });
  }
}
