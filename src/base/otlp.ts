// Spans as OpenTelemetry's OTLP/JSON. https://opentelemetry.io/docs/specs/otlp/ and, for the JSON form,
// https://github.com/open-telemetry/opentelemetry-proto: ids in hex, 64-bit numbers as text.

import type { Phase, Span, Tracer } from './trace.ts';

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string };
}

/** `service.name` of the process a component is upstream. */
function serviceOf(component: string): string {
  if (component === 'apiserver' || component === 'kubelet') return component;
  if (component === 'scheduler' || component === 'proxy') return `kube-${component}`;
  return 'kube-controller-manager';
}

const INTERNAL = 1;
const SERVER = 2;
const ERROR = 2;
/** A span has this many ids for parts. */
const MAX_PARTS = 15;

/** An ExportTraceServiceRequest. */
export function otlpRequest(tracer: Tracer, spans: readonly Span[], version: string): object {
  const services = new Map<string, Map<string, object[]>>();
  for (const span of spans) {
    const service = serviceOf(span.component);
    const components = services.get(service) ?? new Map<string, object[]>();
    services.set(service, components);
    const list = components.get(span.component) ?? [];
    components.set(span.component, list);
    list.push(otlpSpan(tracer, span), ...span.phases.slice(0, MAX_PARTS).map((p, i) => otlpPhase(tracer, span, p, i)));
  }
  return {
    resourceSpans: Array.from(services, ([service, components]) => ({
      resource: {
        attributes: attributes({
          'service.name': service,
          'service.version': version,
          'telemetry.sdk.language': 'nodejs',
          'telemetry.sdk.name': 'coracle',
        }),
      },
      scopeSpans: Array.from(components, ([component, list]) => ({
        scope: { name: `coracle/${component}`, version },
        spans: list,
      })),
    })),
  };
}

function otlpSpan(tracer: Tracer, span: Span): object {
  const parent = typeof span.parent === 'string' ? span.parent : span.parent > 0 ? tracer.spanId(span.parent) : '';
  const pod = span.resource === 'pods';
  return {
    traceId: tracer.traceId(span.trace),
    spanId: tracer.spanId(span.seq),
    ...(parent ? { parentSpanId: parent } : {}),
    name: span.name,
    kind: span.component === 'apiserver' ? SERVER : INTERNAL,
    startTimeUnixNano: nanos(tracer.epoch(span.start)),
    endTimeUnixNano: nanos(tracer.epoch(span.end)),
    attributes: attributes({
      resource: span.resource,
      name: span.objectName,
      [span.component === 'apiserver' ? 'subresource' : 'detail']: span.detail,
      user: span.user,
      'user-agent': span.agent,
      'k8s.namespace.name': span.namespace,
      'k8s.pod.name': pod ? span.objectName : '',
      'k8s.pod.uid': pod ? span.uid : '',
      'resource-version': span.revision,
      'cause.resource-version': span.cause,
    }),
    ...(span.error ? { status: { code: ERROR, message: span.error } } : {}),
  };
}

function otlpPhase(tracer: Tracer, span: Span, { name, start, end }: Phase, i: number): object {
  return {
    traceId: tracer.traceId(span.trace),
    spanId: tracer.spanId(span.seq, i + 1),
    parentSpanId: tracer.spanId(span.seq),
    name,
    kind: INTERNAL,
    startTimeUnixNano: nanos(tracer.epoch(start)),
    endTimeUnixNano: nanos(tracer.epoch(end)),
  };
}

/** Of milliseconds since the epoch, to the microsecond: a number holds no more. */
const nanos = (ms: number) => `${BigInt(Math.round(ms * 1000)) * 1000n}`;

/** Empty texts and zeros say nothing. */
function attributes(values: Readonly<Record<string, string | number>>): Attribute[] {
  return Object.entries(values).flatMap(([key, value]) => {
    if (!value) return [];
    return [{ key, value: typeof value === 'string' ? { stringValue: value } : { intValue: String(value) } }];
  });
}
