// Liveness, readiness and startup probes of one running container.
// https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/

import type { Container, Probe } from '../api/generated/core-v1.ts';
import type { Env, Timer } from '../base/env.ts';
import { httpRequest, portNumber, runCommand } from './handlers.ts';
import type { HostProber, ProbeOutcome } from './host.ts';
import type { ProbeVerdict } from './plan-steps.ts';
import { RuntimeError, type ContainerRuntime } from './runtime.ts';

export type ProbeType = 'startup' | 'liveness' | 'readiness';
const NAMES = { startup: 'Startup', liveness: 'Liveness', readiness: 'Readiness' } as const;
const RETRIES = 3;

export interface ProbeContext {
  readonly env: Env;
  readonly runtime: ContainerRuntime;
  readonly prober: HostProber;
  readonly container: Container;
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly podIP: () => string;
  /** A probe was made: `type` is e.g. `Liveness`. */
  readonly counted?: (type: string, result: 'successful' | 'failed' | 'unknown') => void;
  /** A result changed. */
  readonly changed: () => void;
  readonly note: (type: 'Warning', reason: string, message: string) => void;
  readonly userAgent: string;
  /** What the pod's status said of this very instance, told by an earlier kubelet: it holds until a probe says otherwise. */
  readonly before?: { readonly started?: boolean | undefined; readonly ready: boolean } | undefined;
}

/** Exists for one instance of a container that has probes, from its start to its end. */
export class ContainerProbes {
  readonly #context: ProbeContext;
  readonly #loops = new Map<ProbeType, ProbeLoop>();

  constructor(context: ProbeContext) {
    this.#context = context;
    const { startupProbe } = context.container;
    if (startupProbe && !context.before?.started) this.#begin('startup', startupProbe);
    else this.#started();
  }

  /** True for containers that have something to probe. */
  static needed(container: Container): boolean {
    return Boolean(container.startupProbe ?? container.livenessProbe ?? container.readinessProbe);
  }

  verdict(): ProbeVerdict {
    return {
      startup: this.#loops.get('startup')?.result ?? (this.#context.before?.started ? true : undefined),
      liveness: this.#loops.get('liveness')?.result,
      readiness: this.#loops.get('readiness')?.result,
    };
  }

  /** A terminating container is not killed for its health any more; its readiness still counts. */
  stopJudging(): void {
    this.#loops.get('startup')?.retire();
    this.#loops.get('liveness')?.retire();
  }

  stop(): void {
    for (const loop of this.#loops.values()) loop.stop();
  }

  #begin(type: ProbeType, probe: Probe): void {
    const loop = new ProbeLoop(type, probe, this.#context, () => {
      if (type === 'startup' && loop.result === true) {
        loop.stop();
        this.#started();
      }
      this.#context.changed();
    });
    if (type === 'readiness' && this.#context.before?.ready) loop.result = true;
    this.#loops.set(type, loop);
    loop.begin();
  }

  #started(): void {
    const { livenessProbe, readinessProbe } = this.#context.container;
    if (livenessProbe) this.#begin('liveness', livenessProbe);
    if (readinessProbe) this.#begin('readiness', readinessProbe);
  }
}

class ProbeLoop {
  result: boolean | undefined;
  readonly #type: ProbeType;
  readonly #probe: Probe;
  readonly #context: ProbeContext;
  readonly #settled: () => void;
  #timer: Timer | undefined;
  #stopped = false;
  #last: boolean | undefined;
  #run = 0;

  constructor(type: ProbeType, probe: Probe, context: ProbeContext, settled: () => void) {
    this.#type = type;
    this.#probe = probe;
    this.#context = context;
    this.#settled = settled;
  }

  begin(): void {
    const { env, startedAt } = this.#context;
    // A clock that was put back must not make the first probe wait for more than it was to.
    const since = Math.max(0, env.clock.now() - startedAt);
    this.#in(Math.max(0, (this.#probe.initialDelaySeconds ?? 0) * 1000 - since));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Ends with a good result, so that the shutdown is quiet. */
  retire(): void {
    this.stop();
    this.result = true;
  }

  #in(ms: number): void {
    const { clock, log } = this.#context.env;
    const probe = () => {
      const began = clock.monotonic();
      this.#once().then(
        () => {
          if (this.#stopped) return;
          const spent = clock.monotonic() - began;
          this.#in(Math.max(0, (this.#probe.periodSeconds ?? 10) * 1000 - spent));
        },
        (error: unknown) => log.error('probe loop failed', { id: this.#context.id, error }),
      );
    };
    // Once a verdict stands, further probes are the background: a pod that is only watched has settled.
    const stands = this.result !== undefined && this.#last === this.result;
    this.#timer = clock.setTimer(ms, probe, { unref: stands });
  }

  async #once(): Promise<void> {
    let outcome: ProbeOutcome;
    try {
      outcome = await this.#withRetries();
    } catch (error) {
      // The probe could not be made: that says nothing about the container.
      this.#context.counted?.(NAMES[this.#type], 'unknown');
      if (!this.#stopped) this.#note(`errored and resulted in unknown state: ${(error as Error).message}`);
      return;
    }
    this.#context.counted?.(NAMES[this.#type], outcome.result === 'success' ? 'successful' : 'failed');
    if (this.#stopped) return;
    if (outcome.result === 'failure') this.#note(`failed: ${outcome.output}`);
    else if (outcome.warning) this.#noteWarning(outcome.warning);
    this.#count(outcome.result === 'success');
  }

  #count(success: boolean): void {
    if (this.#last === success) this.#run++;
    else {
      this.#last = success;
      this.#run = 1;
    }
    const { failureThreshold = 3, successThreshold = 1 } = this.#probe;
    if (this.#run < (success ? successThreshold : failureThreshold)) return;
    // The container is about to be killed: it is judged no further.
    if (!success && this.#type !== 'readiness') this.stop();
    if (this.result === success) return;
    this.result = success;
    this.#settled();
  }

  async #withRetries(): Promise<ProbeOutcome> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#attempt();
      } catch (error) {
        if (tries >= RETRIES || this.#stopped) throw error;
      }
    }
  }

  async #attempt(): Promise<ProbeOutcome> {
    const { exec, httpGet, tcpSocket, grpc, timeoutSeconds = 1 } = this.#probe;
    const { runtime, prober, container, id, podIP } = this.#context;
    const ms = timeoutSeconds * 1000;
    if (exec) return execOutcome(runCommand(runtime, id, exec.command ?? [], timeoutSeconds));
    if (httpGet) return prober.http(httpRequest(httpGet, container, podIP(), this.#context.userAgent), ms);
    if (tcpSocket) return prober.tcp(tcpSocket.host || podIP(), portNumber(tcpSocket.port, container), ms);
    if (grpc) return prober.grpc(podIP(), grpc.port, grpc.service ?? '', ms);
    throw new Error(`missing probe handler for ${container.name}`);
  }

  #note(what: string): void {
    this.#context.note('Warning', 'Unhealthy', `${NAMES[this.#type]} probe ${what}`);
  }

  #noteWarning(warning: string): void {
    this.#context.note('Warning', 'ProbeWarning', `${NAMES[this.#type]} probe warning: ${warning}`);
  }
}

async function execOutcome(run: Promise<{ exitCode: number; output: string }>): Promise<ProbeOutcome> {
  try {
    const { exitCode, output } = await run;
    return exitCode === 0 ? { result: 'success' } : { result: 'failure', output };
  } catch (error) {
    if (error instanceof RuntimeError && error.code === 'DEADLINE_EXCEEDED') {
      return { result: 'failure', output: error.message };
    }
    throw error;
  }
}
