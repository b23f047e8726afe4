// Reads a container's log: from the end or a time on, followed across growth and rotation. New lines are pushed by the
// host; nothing is polled.

import type { ByteSource, LogOptions } from '../api/node-api.ts';
import type { Clock } from '../base/env.ts';
import { decodeText, encodeText } from './bytes.ts';
import type { HostLogs, LogFile } from './host.ts';
import { parseLogLine } from './log-format.ts';

const BLOCK = 64 * 1024;
const NEWLINE = 0x0a;

export interface LogRequest {
  readonly path: string;
  readonly logs: HostLogs;
  readonly clock: Clock;
  readonly options: LogOptions;
  /** Whether more lines may come. */
  readonly alive: () => boolean;
  /** Calls back when `alive` may have changed. Returns the unsubscribe function. */
  readonly watchAlive: (changed: () => void) => () => void;
  readonly signal: AbortSignal;
}

/** Chunks of the log as the options ask for. Ends quietly when the signal aborts. */
export async function* readLog(request: LogRequest): ByteSource {
  const { options } = request;
  const format = new LogFormatter(options, sinceOf(options, request.clock.now()));
  const bell = new Bell(request);
  let file: LogFile | undefined;
  try {
    file = await request.logs.open(request.path);
    let offset = file ? await startOffset(file, options.tailLines) : 0;
    let rest: Uint8Array = new Uint8Array();
    while (!request.signal.aborted) {
      // Asked before reading: what was written before the container ended is then surely read.
      const alive = request.alive();
      bell.reset();
      for (;;) {
        const chunk = file ? await file.read(offset, BLOCK) : new Uint8Array();
        if (chunk.length === 0) break;
        offset += chunk.length;
        const { lines, tail } = splitLines(rest, chunk);
        rest = tail;
        const out = format.format(lines);
        if (out.length) yield out;
        if (format.full || request.signal.aborted) return;
      }
      if (!options.follow) return;
      const next = await request.logs.open(request.path);
      if (next && next.id !== file?.id) {
        // Rotated: the old file has been read to its end, the new one begins.
        await file?.close();
        file = next;
        offset = 0;
        rest = new Uint8Array();
        continue;
      }
      await next?.close();
      if (!alive) return;
      await bell.rung();
    }
  } finally {
    bell.stop();
    await file?.close();
  }
}

/** Rings when the log or the container has changed since the last reset, or when the reader goes away. */
class Bell {
  #ring: (() => void) | undefined;
  #pending = false;
  readonly #stops: (() => void)[];

  constructor({ options, logs, path, watchAlive, signal }: LogRequest) {
    const ring = () => {
      this.#pending = true;
      this.#ring?.();
    };
    this.#stops = [];
    if (!options.follow) return;
    signal.addEventListener('abort', ring);
    this.#stops.push(logs.watch(path, ring), watchAlive(ring), () => signal.removeEventListener('abort', ring));
  }

  reset(): void {
    this.#pending = false;
  }

  rung(): Promise<void> {
    if (this.#pending) return Promise.resolve();
    return new Promise((resolve) => (this.#ring = resolve));
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }
}

function sinceOf({ sinceSeconds, sinceTime }: LogOptions, now: number): number | undefined {
  if (sinceTime) return Date.parse(sinceTime);
  return sinceSeconds === undefined ? undefined : now - sinceSeconds * 1000;
}

/** Where the last `tail` lines begin; 0 for all of them. */
async function startOffset(file: LogFile, tail: number | undefined): Promise<number> {
  if (tail === undefined) return 0;
  const size = await file.size();
  if (tail === 0) return size;
  let found = 0;
  for (let end = size; end > 0;) {
    const begin = Math.max(0, end - BLOCK);
    const block = await file.read(begin, end - begin);
    for (let i = block.length - 1; i >= 0; i--) {
      // The newline at the very end closes the last line; it does not begin one.
      if (block[i] !== NEWLINE || begin + i === size - 1) continue;
      if (++found === tail) return begin + i + 1;
    }
    end = begin;
  }
  return 0;
}

function splitLines(rest: Uint8Array, chunk: Uint8Array): { lines: string[]; tail: Uint8Array } {
  const last = chunk.lastIndexOf(NEWLINE);
  if (last < 0) return { lines: [], tail: concat(rest, chunk) };
  const text = decodeText(concat(rest, chunk.subarray(0, last)));
  return { lines: text.split('\n'), tail: chunk.slice(last + 1) };
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

class LogFormatter {
  readonly #options: LogOptions;
  readonly #since: number | undefined;
  #left: number;
  #lineBegins = true;

  constructor(options: LogOptions, since: number | undefined) {
    this.#options = options;
    this.#since = since;
    this.#left = options.limitBytes ?? Infinity;
  }

  /** The byte limit is reached. */
  get full(): boolean {
    return this.#left <= 0;
  }

  format(lines: readonly string[]): Uint8Array {
    const { timestamps, stream = 'All' } = this.#options;
    let out = '';
    for (const line of lines) {
      const parsed = parseLogLine(line);
      if (!parsed) continue;
      if (stream !== 'All' && parsed.stream !== stream.toLowerCase()) continue;
      if (this.#since !== undefined && Date.parse(parsed.time) < this.#since) continue;
      if (timestamps && this.#lineBegins) out += `${parsed.time} `;
      out += parsed.partial ? parsed.content : `${parsed.content}\n`;
      this.#lineBegins = !parsed.partial;
    }
    const bytes = encodeText(out);
    const cut = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= cut.length;
    return cut;
  }
}
