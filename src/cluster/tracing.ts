// Where spans go besides this process's memory: upstream's TracingConfiguration, or OpenTelemetry's own environment variables.

import { UserError } from '../cli/platform.ts';
import { parseYaml } from '../api/yaml.ts';
import type { Env } from '../base/env.ts';
import { OtlpExporter } from '../host/otlp-exporter.ts';
import type { Flags } from './flags.ts';
import { CORACLE_VERSION } from './package-version.ts';

export interface TracingConfig {
  /** Of OTLP over HTTP, the whole of it: `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string;
  readonly samplingRatePerMillion: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const DEFAULT_ENDPOINT = 'localhost:4318';
const PATH = '/v1/traces';
const MILLION = 1_000_000;

/** The file of `--tracing-config-file`: `kind: TracingConfiguration` with `endpoint` and `samplingRatePerMillion`. */
export function tracingFile(flags: Flags): TracingConfig | undefined {
  const name = 'tracing-config-file';
  const text = flags.file(name);
  if (text === undefined) return undefined;
  let value: Record<string, unknown>;
  try {
    value = (parseYaml(text).value ?? {}) as Record<string, unknown>;
  } catch (error) {
    throw flags.refuse(name, (error as Error).message);
  }
  const { apiVersion, kind, endpoint = DEFAULT_ENDPOINT, samplingRatePerMillion = 0, ...others } = value;
  if (kind !== 'TracingConfiguration' || !/^apiserver\.(config\.)?k8s\.io\/v1(alpha1|beta1)?$/.test(String(apiVersion)))
    throw flags.refuse(name, 'it holds no TracingConfiguration of apiserver.config.k8s.io/v1');
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw flags.refuse(name, `unknown field ${JSON.stringify(unknown)}`);
  const rate = samplingRatePerMillion;
  if (typeof rate !== 'number' || !Number.isInteger(rate) || rate < 0 || rate > MILLION)
    throw flags.refuse(name, 'samplingRatePerMillion is a whole number from 0 to 1000000');
  const url = typeof endpoint === 'string' ? urlOf(endpoint) : undefined;
  if (!url) throw flags.refuse(name, 'endpoint is like localhost:4318 or https://collector.example/v1/traces');
  return { url, samplingRatePerMillion: rate };
}

/**
 * OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, the whole URL), OTEL_EXPORTER_OTLP_HEADERS and, for a part
 * of the traces, OTEL_TRACES_SAMPLER=parentbased_traceidratio with OTEL_TRACES_SAMPLER_ARG. Undefined without an endpoint.
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
export function tracingEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): TracingConfig | undefined {
  const whole = environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
  const base = environment['OTEL_EXPORTER_OTLP_ENDPOINT'];
  const given = whole || base;
  if (!given) return undefined;
  const url = whole ? urlOf(whole) : urlOf(base!.replace(/\/*$/, PATH));
  if (!url || !given.includes('://'))
    throw new UserError(`${given} is no address of a collector: write it like http://127.0.0.1:4318`);
  return { url, samplingRatePerMillion: rateOf(environment), headers: headersOf(environment) };
}

function rateOf(environment: Readonly<Record<string, string | undefined>>): number {
  const sampler = environment['OTEL_TRACES_SAMPLER'] || 'parentbased_always_on';
  if (sampler.endsWith('always_on')) return MILLION;
  if (sampler.endsWith('always_off')) return 0;
  const share = Number(environment['OTEL_TRACES_SAMPLER_ARG'] ?? 1);
  if (!sampler.endsWith('traceidratio') || !(share >= 0 && share <= 1))
    throw new UserError(`OTEL_TRACES_SAMPLER=${sampler}: it is parentbased_traceidratio with an ARG from 0 to 1`);
  return Math.round(share * MILLION);
}

function headersOf(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const pairs = (environment['OTEL_EXPORTER_OTLP_HEADERS'] ?? '').split(',').filter(Boolean);
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())];
    }),
  );
}

function urlOf(endpoint: string): string | undefined {
  const text = endpoint.includes('://') ? endpoint : `http://${endpoint}${PATH}`;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  if (url.pathname === '/') url.pathname = PATH;
  return url.href;
}

/** Sends the spans of `env` there; the returned function sends what is left, for at most two seconds. */
export function exportSpans(env: Env, config: TracingConfig | undefined): () => Promise<void> {
  if (!config || !env.tracer) return async () => {};
  const log = env.log.child('tracing');
  const exporter = new OtlpExporter({ ...config, env: { ...env, log }, tracer: env.tracer, version: CORACLE_VERSION });
  return async () => {
    const late = new Promise<void>((resolve) => void env.clock.setTimer(2_000, resolve, { unref: true }));
    await Promise.race([exporter.flush(), late]);
  };
}
