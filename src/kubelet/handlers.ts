// What probes and lifecycle hooks have in common: HTTP requests, ports by name, commands in containers.

import type { Container, EphemeralContainer, HTTPGetAction, LifecycleHandler } from '../api/generated/core-v1.ts';
import { sleep, type Env } from '../base/env.ts';
import { decodeText } from './bytes.ts';
import type { HostProber, HttpProbe } from './host.ts';
import { RuntimeError, type ContainerRuntime } from './runtime.ts';

/** A port by number or by the name of one of the container's ports. Throws with upstream's text. */
export function portNumber(port: number | string, container: Container | EphemeralContainer): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find((p) => p.name === port)?.containerPort;
  if (named !== undefined) return named;
  if (!/^[+-]?\d+$/.test(port)) throw new Error(`strconv.Atoi: parsing ${JSON.stringify(port)}: invalid syntax`);
  return Number(port);
}

export function httpRequest(
  action: HTTPGetAction,
  container: Container | EphemeralContainer,
  podIP: string,
  userAgent: string,
): HttpProbe {
  const headers = action.httpHeaders ?? [];
  const has = (name: string) => headers.some((h) => h.name.toLowerCase() === name);
  const path = action.path ?? '/';
  return {
    scheme: action.scheme?.toLowerCase() === 'https' ? 'https' : 'http',
    host: action.host || podIP,
    port: portNumber(action.port, container),
    path: path.startsWith('/') ? path : `/${path}`,
    headers: [
      ...headers,
      ...(has('user-agent') ? [] : [{ name: 'User-Agent', value: userAgent }]),
      ...(has('accept') ? [] : [{ name: 'Accept', value: '*/*' }]),
    ],
  };
}

const MAX_OUTPUT = 10 * 1024;

/** Runs a command; rejects with RuntimeError `DEADLINE_EXCEEDED` when the time is up. `output` is stdout, then stderr. */
export async function runCommand(
  runtime: ContainerRuntime,
  id: string,
  command: readonly string[],
  timeoutSeconds: number,
): Promise<{ exitCode: number; output: string }> {
  try {
    const { exitCode, stdout, stderr } = await runtime.execSync(id, command, timeoutSeconds);
    const output = (decodeText(stdout) + decodeText(stderr)).slice(0, MAX_OUTPUT);
    return { exitCode, output };
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== 'DEADLINE_EXCEEDED') throw error;
    const text = `command timed out: ${JSON.stringify(command.join(' '))} timed out after ${timeoutSeconds}s`;
    throw new RuntimeError(error.code, text, { cause: error });
  }
}

export interface HookContext {
  readonly runtime: ContainerRuntime;
  readonly prober: HostProber;
  readonly env: Env;
  readonly container: Container | EphemeralContainer;
  readonly id: string;
  readonly podIP: string;
  /** 0: as long as it takes. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

/** Runs a postStart or preStop handler; rejects when it fails. */
export async function runHook(handler: LifecycleHandler, context: HookContext): Promise<void> {
  const { runtime, id, container, timeoutSeconds, env, signal } = context;
  if (handler.exec) {
    const command = handler.exec.command ?? [];
    const { exitCode, output } = await runCommand(runtime, id, command, timeoutSeconds);
    if (exitCode !== 0) throw new Error(`command '${command.join(' ')}' exited with ${exitCode}: ${output}`);
  } else if (handler.httpGet) {
    const request = httpRequest(handler.httpGet, container, context.podIP, 'kube-lifecycle/1.36');
    const outcome = await context.prober.http(request, (timeoutSeconds || 60) * 1000);
    if (outcome.result === 'failure') throw new Error(outcome.output);
  } else if (handler.sleep) {
    await sleep(env, handler.sleep.seconds * 1000, { signal });
  } else {
    throw new Error('invalid handler');
  }
}
