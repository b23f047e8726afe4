// Spans as plain data, for those who ask: what `/debug/coracle/traces` answers and what the life of a change is made of.

import type { Span, Tracer } from './trace.ts';

export interface SpanData {
  /** Unique in its process. */
  readonly id: number;
  /** The span that asked for this one, when it is of the same process. */
  readonly parent?: number;
  /** The revision whose sight made it begin. */
  readonly cause?: number;
  /** The revision it wrote. */
  readonly revision?: number;
  readonly component: string;
  readonly name: string;
  /** Milliseconds since the epoch, with fractions. */
  readonly start: number;
  /** Milliseconds; absent while it lasts. */
  readonly ms?: number;
  /** Plural with its group. */
  readonly resource: string;
  readonly namespace?: string;
  readonly objectName: string;
  readonly uid?: string;
  /** uid of the object's controller. */
  readonly owner?: string;
  readonly generation?: number;
  readonly user?: string;
  readonly agent?: string;
  readonly detail?: string;
  readonly error?: string;
  /** Its parts; `at` is milliseconds after `start`. */
  readonly phases?: readonly { readonly name: string; readonly at: number; readonly ms: number }[];
}

/** Thousandths are as fine as anybody looks. */
const round = (ms: number) => Math.round(ms * 1000) / 1000;

export function spanData(tracer: Tracer, span: Span): SpanData {
  const { phases } = span;
  return {
    id: span.seq,
    ...(typeof span.parent === 'number' && span.parent > 0 ? { parent: span.parent } : {}),
    ...(span.cause > 0 ? { cause: span.cause } : {}),
    ...(span.revision > 0 ? { revision: span.revision } : {}),
    component: span.component,
    name: span.name,
    start: round(tracer.epoch(span.start)),
    ...(span.end > 0 ? { ms: round(span.end - span.start) } : {}),
    resource: span.resource,
    ...(span.namespace ? { namespace: span.namespace } : {}),
    objectName: span.objectName,
    ...(span.uid ? { uid: span.uid } : {}),
    ...(span.owner ? { owner: span.owner } : {}),
    ...(span.generation > 0 ? { generation: span.generation } : {}),
    ...(span.user ? { user: span.user } : {}),
    ...(span.agent ? { agent: span.agent } : {}),
    ...(span.detail ? { detail: span.detail } : {}),
    ...(span.error ? { error: span.error } : {}),
    ...(phases.length > 0
      ? {
          phases: phases.map(({ name, start, end }) => ({
            name,
            at: round(start - span.start),
            ms: round(end - start),
          })),
        }
      : {}),
  };
}
