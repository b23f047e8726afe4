// The Env of commands: real time, log lines on standard error, what is counted and remembered.

import type { Env } from '../base/env.ts';
import { createLogger, type LogLevel } from '../base/log.ts';
import { Metrics } from '../base/metrics.ts';
import { Tracer } from '../base/trace.ts';
import { realEnv } from '../base/real-env.ts';
import { logSink } from '../host/log-sink.ts';

/** `levels`: by component, instead of `level`. */
export function loggedEnv(
  form: 'json' | 'text',
  level: LogLevel = 'info',
  levels: Readonly<Record<string, LogLevel>> = {},
): Env {
  const env = realEnv(createLogger({ level, levels, sink: logSink(2, form) }));
  return { ...env, metrics: new Metrics(), tracer: new Tracer(env) };
}

/** Only what a command prints matters: its own warnings and errors. */
export const commandEnv = () => loggedEnv('text', 'warn');
