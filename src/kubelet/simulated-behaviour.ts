// What a simulated container does, and how a pod's annotations say it.

import type { ContainerConfig, SandboxConfig } from './runtime.ts';

export interface ContainerBehaviour {
  /** Milliseconds from the start call to running. */
  readonly startDelay?: number;
  /** The runtime refuses to make it: CreateContainerError, tried again every 10 seconds. */
  readonly createError?: string;
  /** It is made and cannot run: exits with 128 and the reason StartError. */
  readonly startError?: string;
  /** Milliseconds after which it exits by itself; never when absent. */
  readonly exitAfter?: number;
  readonly exitCode?: number;
  /** e.g. `OOMKilled`. */
  readonly exitReason?: string;
  /** Milliseconds it takes to end after the stop signal, and with which code. */
  readonly stopAfter?: number;
  readonly stopCode?: number;
  /**
   * Milliseconds after its start from which on its readiness probe succeeds (that it must have: without one a container is
   * ready when it runs). A whole kubelet (`full`) cannot tell probes apart: all of the container's fail before.
   */
  readonly readyAfter?: number;
  /** Answers a command run in it `since` milliseconds after its start. As `readyAfter` says, with no output, unless told. */
  readonly exec?: (
    command: readonly string[],
    since: number,
  ) => { readonly exitCode?: number; readonly output?: string; readonly delay?: number };
}

export const PREFIX = 'simulator.coracle.dev/';

/**
 * Annotations of the pod, for all containers or, with `.<container>` behind, for one: `start-delay`, `exit-after`,
 * `stop-after`, `ready-after` (seconds), `exit-code`, `exit-reason`, `crash-loop` (exits with 1 after so many seconds),
 * `start-error`, `create-error`.
 */
export function behaviourOf(annotations: Readonly<Record<string, string>>, container: string): ContainerBehaviour {
  const text = (key: string) => annotations[`${PREFIX}${key}.${container}`] ?? annotations[PREFIX + key];
  const ms = (key: string) => {
    const value = text(key);
    return value === undefined || Number.isNaN(Number(value)) ? undefined : Number(value) * 1000;
  };
  const crash = ms('crash-loop');
  const code = text('exit-code');
  const all: Record<string, unknown> = {
    startDelay: ms('start-delay'),
    createError: text('create-error'),
    startError: text('start-error'),
    exitAfter: ms('exit-after') ?? crash,
    exitCode: code === undefined ? (crash === undefined ? undefined : 1) : Number(code),
    exitReason: text('exit-reason'),
    stopAfter: ms('stop-after'),
    readyAfter: ms('ready-after'),
  };
  return Object.fromEntries(Object.entries(all).filter(([, v]) => v !== undefined)) as ContainerBehaviour;
}

const CALM: ContainerBehaviour = {};

export function annotatedBehaviour(
  container: Pick<ContainerConfig, 'name'>,
  sandbox: Pick<SandboxConfig, 'annotations'>,
): ContainerBehaviour {
  for (const key in sandbox.annotations) {
    if (key.startsWith(PREFIX)) return behaviourOf(sandbox.annotations, container.name);
  }
  return CALM;
}
