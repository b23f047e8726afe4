// What happened, step by step: spans in a ring of fixed size, one ring for a process. A write knows the revision it made, and
// what sees that revision afterwards (a controller, the scheduler, a kubelet, the proxy) begins a span that names it as its
// cause: so the life of one change can be followed through every component without a mark on any object. Costs an object
// of about 300 bytes for each step that did something; where no tracer is, nothing.

import type { Clock, Random } from './env.ts';

/** Whoever asked from elsewhere, as W3C's `traceparent` says. https://www.w3.org/TR/trace-context/ */
export interface RemoteParent {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  readonly sampled: boolean;
}

export type SpanParent = Span | RemoteParent;

/** The object a span is about. */
export interface SpanSubject {
  /** Plural with its group: `deployments.apps`. */
  readonly resource: string;
  /** Empty for what has none. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** A part of a span, in milliseconds of the monotonic clock. */
export interface Phase {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Milliseconds. */
const LEAST_PHASE = 0.01;
const NO_PHASES: readonly Phase[] = [];

/** A step that a component takes or took. Times are of the monotonic clock. */
export class Span {
  readonly #tracer: Tracer;
  /** Unique in its tracer and rising, from 1. */
  readonly seq: number;
  /** The first span of the trace, or the id of a trace that began elsewhere. */
  readonly trace: number | string;
  /** The span that asked for this one: `seq`, an id from elsewhere, or 0. */
  readonly parent: number | string;
  /** Goes to exporters. */
  readonly sampled: boolean;
  readonly component: string;
  readonly name: string;
  readonly start: number;
  /** 0 while it lasts. */
  end = 0;
  resource = '';
  namespace = '';
  objectName = '';
  uid = '';
  /** uid of the object's controller. */
  owner = '';
  /** What the object's `metadata.generation` is after a write; 0 without. */
  generation = 0;
  /** The revision this span has written; 0 for none. */
  revision = 0;
  /** The revision whose sight made it begin; 0 for none. */
  readonly cause: number;
  user = '';
  agent = '';
  detail = '';
  error = '';
  phases: readonly Phase[] = NO_PHASES;

  constructor(
    tracer: Tracer,
    seq: number,
    component: string,
    name: string,
    parent: SpanParent | undefined,
    start: number,
    cause: number,
    sampled: boolean,
  ) {
    this.#tracer = tracer;
    this.seq = seq;
    this.component = component;
    this.name = name;
    this.start = start;
    this.cause = cause;
    if (parent instanceof Span) {
      this.trace = parent.trace;
      this.parent = parent.seq;
      this.sampled = parent.sampled;
    } else if (parent) {
      this.trace = parent.traceId;
      this.parent = parent.spanId;
      this.sampled = parent.sampled;
    } else {
      this.trace = seq;
      this.parent = 0;
      this.sampled = sampled;
    }
  }

  now(): number {
    return this.#tracer.now();
  }

  /** It has written its object: what sees this revision has it as its cause. */
  wrote(revision: number): void {
    this.revision = revision;
    this.#tracer.wrote(this, revision);
  }

  finish(error?: unknown): void {
    this.#tracer.end(this, error);
  }

  /** A part of it that began at `start` has ended; one that took no time worth telling is not kept. */
  phase(name: string, start: number): void {
    const end = this.now();
    if (end - start < LEAST_PHASE) return;
    const phase = { name, start, end };
    if (this.phases === NO_PHASES) this.phases = [phase];
    else (this.phases as Phase[]).push(phase);
  }

  about({ resource, namespace, name, uid }: SpanSubject): this {
    this.resource = resource;
    this.namespace = namespace;
    this.objectName = name;
    this.uid = uid;
    return this;
  }
}

export interface TracerOptions {
  readonly clock: Clock;
  /** For the ids of spans; drawn when the first one is asked for. */
  readonly random: Random;
  /** How many spans are remembered; 8,192 unless told. */
  readonly size?: number;
}

const SIZE = 8192;

/** Told of every span that ends and is sampled. Must not throw. */
export interface SpanExporter {
  /** Whether a trace that begins here is to be exported. */
  sample(): boolean;
  ended(span: Span): void;
}

export class Tracer {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #size: number;
  /** By `seq`, and by the revision they wrote, each modulo the size. */
  readonly #ring: Span[] = [];
  readonly #writes: Span[] = [];
  #seq = 0;
  #prefix = '';
  #exporter: SpanExporter | undefined;

  constructor({ clock, random, size = SIZE }: TracerOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#size = size;
  }

  /** From now on; one for each tracer. */
  exportTo(exporter: SpanExporter): void {
    this.#exporter = exporter;
  }

  /** How many spans there have been. */
  get count(): number {
    return this.#seq;
  }

  /**
   * `cause`: the revision that made the component begin; the span that wrote it, when it was in this process, is then the
   * parent unless another is given. `start` is now unless told.
   */
  begin(component: string, name: string, parent?: SpanParent, cause = 0, start = this.#clock.monotonic()): Span {
    const from = parent ?? (cause > 0 ? this.writeOf(cause) : undefined);
    const seq = ++this.#seq;
    const sampled = from === undefined && this.#exporter !== undefined && this.#exporter.sample();
    const span = new Span(this, seq, component, name, from, start, cause, sampled);
    const at = seq % this.#size;
    if (at < this.#ring.length) this.#ring[at] = span;
    else {
      // Slot 0 belongs to the last of each round.
      if (this.#ring.length === 0) this.#ring.push(span);
      this.#ring.push(span);
    }
    return span;
  }

  end(span: Span, error?: unknown): void {
    span.end = this.#clock.monotonic();
    if (error !== undefined) span.error = error instanceof Error ? error.message : String(error);
    if (span.sampled) this.#exporter?.ended(span);
  }

  now(): number {
    return this.#clock.monotonic();
  }

  /** For `Span.wrote`. */
  wrote(span: Span, revision: number): void {
    this.#writes[revision % this.#size] = span;
  }

  /** The span that wrote a revision, as long as it is remembered. */
  writeOf(revision: number): Span | undefined {
    const span = this.#writes[revision % this.#size];
    return span?.revision === revision ? span : undefined;
  }

  /** By its `seq`, as long as it is remembered. */
  span(seq: number): Span | undefined {
    const span = this.#ring[seq % this.#size];
    return span?.seq === seq ? span : undefined;
  }

  /** All that are remembered, oldest first. */
  spans(): readonly Span[] {
    const first = Math.max(1, this.#seq - this.#size + 1);
    const spans: Span[] = [];
    for (let seq = first; seq <= this.#seq; seq++) spans.push(this.#ring[seq % this.#size]!);
    return spans;
  }

  /** Milliseconds since the epoch of a time of the monotonic clock. */
  epoch(monotonic: number): number {
    return this.#clock.now() - this.#clock.monotonic() + monotonic;
  }

  /** 16 hex digits that are this span's own among all processes, or those of one of its first 15 parts. */
  spanId(seq: number, part = 0): string {
    if (!this.#prefix) this.#prefix = hex(this.#random.bytes(12));
    return this.#prefix.slice(0, 6) + (seq * 16 + part).toString(16).padStart(10, '0');
  }

  /** 32 hex digits. */
  traceId(trace: number | string): string {
    return typeof trace === 'string' ? trace : this.spanId(trace) + this.#prefix.slice(8);
  }

  /** The header that makes this span the parent of what the server does. */
  traceparent(parent: SpanParent): string {
    const remote =
      parent instanceof Span
        ? { traceId: this.traceId(parent.trace), spanId: this.spanId(parent.seq), sampled: parent.sampled }
        : parent;
    return `00-${remote.traceId}-${remote.spanId}-${remote.sampled ? '01' : '00'}`;
  }
}

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined for a header that says nothing or nothing valid: the request then begins a trace of its own. */
export function parseTraceparent(header: string | undefined): RemoteParent | undefined {
  const [, version = '', traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(header ?? '') ?? [];
  if (!version || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (parseInt(flags, 16) & 1) === 1 };
}
