// Probes and lifecycle hooks: exactly one handler each, and sane numbers.

import { field } from '../errors.ts';
import type { Lifecycle, LifecycleHandler, Probe, ProbeHandler } from '../generated/core-v1.ts';
import { type Errors, missing, notNegative } from './checks.ts';
import { addFaults, httpHeaderName, portName, portNumber } from './names.ts';

export function validatePort(port: number | string | undefined, path: string, out: Errors): void {
  const value = port ?? 0;
  if (typeof value === 'number') addFaults(portNumber(value), path, value, out);
  else addFaults(portName(value), path, value, out);
}

type Handler = ProbeHandler & LifecycleHandler;
const HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const;

/** `grace` is the pod's termination grace period; a sleep may not outlast it. */
function validateHandler(handler: Handler, grace: number | undefined, path: string, out: Errors): void {
  const set = HANDLERS.filter((name) => handler[name] !== undefined);
  if (set.length === 0) out.push(field.required(path, 'must specify a handler type'));
  set.forEach((name, i) => {
    if (i > 0) out.push(field.forbidden(`${path}.${name}`, 'may not specify more than 1 handler type'));
  });
  const at = `${path}.${set[0]}`;
  if (set[0] === 'exec' && !handler.exec!.command?.length) out.push(field.required(`${at}.command`));
  if (set[0] === 'tcpSocket') validatePort(handler.tcpSocket!.port, `${at}.port`, out);
  if (set[0] === 'grpc') validatePort(handler.grpc!.port, `${at}.port`, out);
  if (set[0] === 'httpGet') {
    const http = handler.httpGet!;
    if (missing(http.path)) out.push(field.required(`${at}.path`));
    validatePort(http.port, `${at}.port`, out);
    if (http.scheme !== 'HTTP' && http.scheme !== 'HTTPS') {
      out.push(field.notSupported(`${at}.scheme`, http.scheme ?? '', ['HTTP', 'HTTPS']));
    }
    for (const h of http.httpHeaders ?? []) addFaults(httpHeaderName(h.name), `${at}.httpHeaders`, h.name, out);
  }
  if (set[0] === 'sleep' && grace !== undefined) {
    const { seconds } = handler.sleep!;
    if (seconds < 0 || seconds > grace) {
      const text = `must be non-negative and less than terminationGracePeriodSeconds (${grace})`;
      out.push(field.invalid(at, seconds, text));
    }
  }
}

export type ProbeKind = 'livenessProbe' | 'readinessProbe' | 'startupProbe';
const COUNTS = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const;

export function validateProbe(
  probe: Probe | undefined,
  kind: ProbeKind,
  grace: number | undefined,
  path: string,
  out: Errors,
): void {
  if (!probe) return;
  validateHandler(probe, grace, path, out);
  for (const key of COUNTS) notNegative(probe[key], `${path}.${key}`, out);
  const own = probe.terminationGracePeriodSeconds;
  const at = `${path}.terminationGracePeriodSeconds`;
  if (own !== undefined && own <= 0) out.push(field.invalid(at, own, 'must be greater than 0'));
  if (kind === 'readinessProbe') {
    if (own !== undefined) out.push(field.invalid(at, own, 'must not be set for readinessProbes'));
  } else if (probe.successThreshold !== 1) {
    out.push(field.invalid(`${path}.successThreshold`, probe.successThreshold ?? 0, 'must be 1'));
  }
}

export function validateLifecycle(
  lifecycle: Lifecycle | undefined,
  grace: number | undefined,
  os: string | undefined,
  path: string,
  out: Errors,
): void {
  if (lifecycle?.postStart) validateHandler(lifecycle.postStart, grace, `${path}.postStart`, out);
  if (lifecycle?.preStop) validateHandler(lifecycle.preStop, grace, `${path}.preStop`, out);
  if (lifecycle?.stopSignal !== undefined) {
    if (os === undefined) {
      out.push(field.forbidden(`${path}.stopSignal`, 'may not be set for containers with empty `spec.os.name`'));
    } else if (!/^SIG[A-Z0-9+-]+$/.test(lifecycle.stopSignal)) {
      out.push(field.notSupported(`${path}.stopSignal`, lifecycle.stopSignal, []));
    }
  }
}
