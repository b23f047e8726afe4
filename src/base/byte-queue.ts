// Bytes between one producer that never waits and one consumer at its own pace. What lies in queues is counted in a
// budget that several of them share, so that the producer knows when to stop reading from where the bytes come.

/** Counts bytes that wait in queues. */
export class ByteBudget {
  readonly #limit: number;
  #used = 0;
  #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  add(bytes: number): void {
    this.#used += bytes;
  }

  release(bytes: number): void {
    this.#used -= bytes;
    if (this.#waiting.length === 0 || this.#used > this.#limit) return;
    const woken = this.#waiting;
    this.#waiting = [];
    for (const wake of woken) wake();
  }

  /** Undefined when there is room; otherwise resolves once there is. */
  room(): Promise<void> | undefined {
    if (this.#used <= this.#limit) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** Iterate it once. After the consumer has left, what is pushed is dropped. */
export class ByteQueue implements AsyncIterable<Uint8Array> {
  readonly #budget: ByteBudget;
  #chunks: Uint8Array[] = [];
  #head = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /** The chunk must not change afterwards. */
  push(chunk: Uint8Array): void {
    if (this.#ended || chunk.length === 0) return;
    this.#budget.add(chunk.length);
    this.#chunks.push(chunk);
    this.#wake?.();
  }

  /** What has been pushed is still delivered, then the error, if any, is thrown. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  /** Ends at once and drops what waits. */
  discard(): void {
    this.#ended = true;
    this.#error = undefined;
    let bytes = 0;
    for (let i = this.#head; i < this.#chunks.length; i++) bytes += this.#chunks[i]!.length;
    this.#chunks = [];
    this.#head = 0;
    if (bytes > 0) this.#budget.release(bytes);
    this.#wake?.();
  }

  #take(): Uint8Array | undefined {
    if (this.#head === this.#chunks.length) return undefined;
    const chunk = this.#chunks[this.#head++]!;
    if (this.#head === this.#chunks.length) {
      this.#chunks = [];
      this.#head = 0;
    }
    return chunk;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const chunk = this.#take();
        if (chunk) {
          // Counted until the consumer comes back for more: only then is it done with it.
          try {
            yield chunk;
          } finally {
            this.#budget.release(chunk.length);
          }
        } else if (this.#ended) {
          if (this.#error) throw this.#error;
          return;
        } else {
          await new Promise<void>((resolve) => (this.#wake = resolve));
          this.#wake = undefined;
        }
      }
    } finally {
      this.discard();
    }
  }
}

/** Values of which only the newest matters to a consumer that comes late. Iterate it once. */
export class LatestValue<T> implements AsyncIterable<T> {
  #value: { readonly value: T } | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  set(value: T): void {
    if (this.#ended) return;
    this.#value = { value };
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const next = this.#value;
      if (next) {
        this.#value = undefined;
        yield next.value;
      } else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        this.#wake = undefined;
      }
    }
  }
}
