// One look of a controller at a key, as a span. Many looks find nothing to do: the span is made for the first write or failure.

import type { Span, Tracer } from '../base/trace.ts';
import type { ControllerDefinition } from './controller.ts';

export class LookSpan {
  readonly #tracer: Tracer;
  readonly #definition: ControllerDefinition;
  readonly #key: string;
  readonly #cause: number;
  readonly #began: number;
  /** Undefined as long as there is nothing to tell. */
  span: Span | undefined;

  /** `cause`: the revision that asked for the look. `began` is of the monotonic clock. */
  constructor(tracer: Tracer, definition: ControllerDefinition, key: string, cause: number, began: number) {
    this.#tracer = tracer;
    this.#definition = definition;
    this.#key = key;
    this.#cause = cause;
    this.#began = began;
  }

  begin(): Span {
    return (this.span ??= this.#make());
  }

  finish(): void {
    this.span?.finish();
  }

  fail(error: unknown): void {
    this.begin().finish(error);
  }

  #make(): Span {
    const { name, primary } = this.#definition;
    const span = this.#tracer.begin(name, 'Reconcile', undefined, this.#cause, this.#began);
    const slash = this.#key.indexOf('/');
    if (primary) {
      span.resource = primary.resource;
      span.namespace = this.#key.slice(0, Math.max(slash, 0));
      span.objectName = this.#key.slice(slash + 1);
    } else span.resource = this.#key;
    return span;
  }
}
