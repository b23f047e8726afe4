// The Env of commands: real time, and log lines on standard error.

import type { Env } from '../base/env.ts';
import { createLogger, type LogLevel } from '../base/log.ts';
import { realEnv } from '../base/real-env.ts';
import { logSink } from '../host/log-sink.ts';

export function loggedEnv(form: 'json' | 'text', level: LogLevel = 'info'): Env {
  return realEnv(createLogger({ level, sink: logSink(2, form) }));
}

/** Only what a command prints matters: its own warnings and errors. */
export const commandEnv = () => loggedEnv('text', 'warn');
