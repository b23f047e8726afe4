// The way of one pod through the scheduler: from its first sight of this version of the pod to the binding.

import type { Pod } from '../api/kinds/core/pod.ts';
import type { Span, Tracer } from '../base/trace.ts';

/** Begins a span whose algorithm has run since `began`; the binding is yet to come. */
export function schedulingSpan(tracer: Tracer, pod: Pod, node: string, began: number): Span {
  const { namespace = '', name, uid, resourceVersion } = pod.metadata;
  const span = tracer.begin('scheduler', 'Scheduling', undefined, Number(resourceVersion), began);
  span.phase('algorithm', began);
  span.detail = node;
  return span.about({ resource: 'pods', namespace, name, uid });
}
