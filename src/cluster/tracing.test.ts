import { createServer, type Server } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { Metrics } from '../base/metrics.ts';
import { realEnv } from '../base/real-env.ts';
import { Tracer } from '../base/trace.ts';
import { OtlpExporter } from '../host/otlp-exporter.ts';
import { Flags } from './flags.ts';
import { TestCluster } from './testing.ts';
import { tracingEnvironment, tracingFile } from './tracing.ts';

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string };
}
interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Attribute[];
  readonly status?: { readonly code: number; readonly message: string };
}
interface Batch {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly scope: { readonly name: string }; readonly spans: readonly OtlpSpan[] }[];
  }[];
}

let collector: Server;
let url: string;
let batches: Batch[];
let answer: number;

beforeEach(async () => {
  batches = [];
  answer = 200;
  collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const good = request.method === 'POST' && request.headers['content-type'] === 'application/json';
      if (answer === 200 && good) batches.push(JSON.parse(Buffer.concat(chunks).toString()) as Batch);
      response.writeHead(good ? answer : 400, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`;
});
afterEach(async () => {
  collector.closeAllConnections();
  await new Promise((resolve) => collector.close(resolve));
});

const spansOf = (all: readonly Batch[]) =>
  all.flatMap((batch) =>
    batch.resourceSpans.flatMap(({ resource, scopeSpans }) => {
      const service = resource.attributes.find((a) => a.key === 'service.name')!.value.stringValue;
      return scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, service })));
    }),
  );

test('a request that comes with a trace is followed through every component of one', async () => {
  await using cluster = await TestCluster.start({ seed: 1, kubelet: 'full' });
  const env = { ...realEnv(), metrics: new Metrics() };
  const tracer = cluster.env.tracer!;
  const exporter = new OtlpExporter({ env, tracer, url, samplingRatePerMillion: 0, version: '1' });
  const trace = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', sampled: true };
  const labels = { app: 'web' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  const web = { metadata: { namespace: 'default', name: 'web' }, spec };
  await cluster.client.create(Deployment, { ...web, metadata: { ...web.metadata, name: 'other' } } as never);
  await cluster.client.within(trace).create(Deployment, web as never);
  await cluster.settle();
  await exporter.flush();
  const spans = spansOf(batches);
  expect(new Set(spans.map((s) => s.traceId))).toEqual(new Set([trace.traceId]));
  const ids = new Map(spans.map((span) => [span.spanId, span]));
  expect(ids.size).toBe(spans.length);
  const roots = spans.filter((span) => !ids.has(span.parentSpanId ?? ''));
  expect(roots.map((s) => [s.service, s.name, s.parentSpanId])).toEqual([['apiserver', 'Create', trace.spanId]]);
  const services = new Set(spans.map((s) => s.service));
  expect(services).toEqual(new Set(['apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet']));
  for (const span of spans) {
    expect(span.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
  }
  const sandbox = spans.find((s) => s.name === 'RunPodSandbox')!;
  expect(sandbox.attributes!.find((a) => a.key === 'k8s.pod.name')?.value.stringValue).toMatch(/^web-/);
  expect([exporter.sent, exporter.dropped]).toEqual([tracer.spans().filter((s) => s.sampled).length, 0]);
  expect(env.metrics.text()).toContain(`coracle_trace_spans_sent_total ${exporter.sent}\n`);
});

test('the share of traces that is asked for; what does not fit or is refused is dropped and counted', async () => {
  const warned: string[] = [];
  const base = realEnv();
  const log = { ...base.log, warn: (message: string) => void warned.push(message) };
  const env = { ...base, log };
  const tracer = new Tracer(env);
  const all = new OtlpExporter({ env, tracer, url, samplingRatePerMillion: 1_000_000, version: '1' });
  answer = 400;
  tracer.begin('apiserver', 'Create').finish(new Error('refused'));
  await all.flush();
  expect([all.sent, all.dropped, warned.length]).toEqual([0, 1, 1]);
  answer = 200;
  tracer.begin('apiserver', 'Create').finish(new Error('refused'));
  await all.flush();
  expect([all.sent, all.dropped]).toEqual([1, 1]);
  expect(spansOf(batches)[0]!.status).toEqual({ code: 2, message: 'refused' });
  for (let i = 0; i < 5000; i++) tracer.begin('apiserver', 'Create').finish();
  expect(all.dropped).toBeGreaterThan(1);
  await all.flush();
  expect(all.sent + all.dropped).toBe(5002);
  const none = new OtlpExporter({ env, tracer, url, samplingRatePerMillion: 0, version: '1' });
  for (let i = 0; i < 100; i++) tracer.begin('apiserver', 'Create').finish();
  await none.flush();
  expect([none.sent, none.dropped]).toEqual([0, 0]);
});

test('over HTTP, whose traces are joined: those of the privileged and of the cluster’s own parts', async () => {
  await using cluster = await TestCluster.start({ seed: 1 });
  const tracer = cluster.env.tracer!;
  const trace = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', sampled: true };
  const { ConfigMap } = await import('../api/kinds/core/config-map.ts');
  const write = async (user: { name: string; groups: string[] }, name: string) => {
    const client = cluster.clientFor(user).within(trace);
    await client.create(ConfigMap, { metadata: { namespace: 'default', name } } as never).catch(() => {});
    return tracer.spans().at(-1)!;
  };
  const admin = await write({ name: 'root', groups: ['system:masters'] }, 'a');
  expect([admin.trace, admin.parent, admin.sampled]).toEqual([trace.traceId, trace.spanId, true]);
  const node = await write({ name: 'system:node:node-1', groups: ['system:nodes'] }, 'b');
  expect(node.trace).toBe(trace.traceId);
  const jane = await write({ name: 'jane', groups: ['system:authenticated'] }, 'c');
  expect([jane.trace, jane.parent, jane.sampled]).toEqual([jane.seq, 0, false]);
});

test('TracingConfiguration: what it says, and what it must not', () => {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-tracing-'));
  const file = join(dir, 'tracing.yaml');
  const read = (text: string) => {
    writeFileSync(file, text);
    return tracingFile(new Flags({ 'tracing-config-file': file }));
  };
  const head = 'apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n';
  try {
    expect(tracingFile(new Flags({}))).toBeUndefined();
    expect(read(head)).toEqual({ url: 'http://localhost:4318/v1/traces', samplingRatePerMillion: 0 });
    expect(read(`${head}endpoint: 127.0.0.1:4000\nsamplingRatePerMillion: 100\n`)).toEqual({
      url: 'http://127.0.0.1:4000/v1/traces',
      samplingRatePerMillion: 100,
    });
    expect(read(`${head}endpoint: https://c.example/x\n`)!.url).toBe('https://c.example/x');
    for (const [text, why] of [
      ['kind: Pod\napiVersion: v1\n', 'no TracingConfiguration'],
      [`${head}samplingRatePerMillion: 1000001\n`, 'whole number'],
      [`${head}samplingRatePerMillion: x\n`, 'whole number'],
      [`${head}endpoint: ftp://x\n`, 'endpoint is like'],
      [`${head}endpoints: x\n`, 'unknown field "endpoints"'],
      ['a: [', file],
    ] as const)
      expect(() => read(text)).toThrow(why);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('OpenTelemetry’s environment', () => {
  expect(tracingEnvironment({})).toBeUndefined();
  expect(
    tracingEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/', OTEL_EXPORTER_OTLP_HEADERS: 'a=b%20c,d=e' }),
  ).toEqual({ url: 'http://c:4318/v1/traces', samplingRatePerMillion: 1_000_000, headers: { a: 'b c', d: 'e' } });
  const ratio = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' };
  expect(tracingEnvironment({ ...ratio, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://c/x' })).toEqual({
    url: 'https://c/x',
    samplingRatePerMillion: 250_000,
    headers: {},
  });
  expect(() => tracingEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: 'nowhere' })).toThrow('no address');
  expect(() =>
    tracingEnvironment({ ...ratio, OTEL_TRACES_SAMPLER_ARG: '2', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c' }),
  ).toThrow('from 0 to 1');
});
