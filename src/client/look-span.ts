// One look of a controller at a key, as a span. Many looks find nothing to do: the span is made for the first write or failure.

import type { Span, Tracer } from '../base/trace.ts';
import type { ControllerDefinition } from './controller.ts';

export interface Look {
  readonly key: string;
  /** The last revision that asked for it; 0 for none. */
  readonly cause: number;
  /** By the monotonic clock. */
  readonly began: number;
}

export class LookSpan {
  readonly #tracer: Tracer;
  readonly #definition: ControllerDefinition;
  readonly #look: Look;
  #span: Span | undefined;

  constructor(tracer: Tracer, definition: ControllerDefinition, look: Look) {
    this.#tracer = tracer;
    this.#definition = definition;
    this.#look = look;
  }

  begin(): Span {
    return (this.#span ??= this.#make());
  }

  finish(): void {
    this.#span?.finish();
  }

  fail(error: unknown): void {
    this.begin().finish(error);
  }

  #make(): Span {
    const { name, primary } = this.#definition;
    const { key, cause, began } = this.#look;
    const span = this.#tracer.begin(name, 'Reconcile', undefined, cause, began);
    const slash = key.indexOf('/');
    if (primary) {
      span.resource = primary.resource;
      span.namespace = key.slice(0, Math.max(slash, 0));
      span.objectName = key.slice(slash + 1);
    } else span.resource = key;
    return span;
  }
}

/** Whether a revision is what this controller itself wrote for this key: seeing it come back is no news. */
export function isOwnWrite(tracer: Tracer, definition: ControllerDefinition, key: string, revision: number): boolean {
  const parent = tracer.writeOf(revision)?.parent;
  const by = typeof parent === 'number' ? tracer.span(parent) : undefined;
  return by?.component === definition.name && key.endsWith(by.objectName);
}
