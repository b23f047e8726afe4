// The parts of a cluster as programs of their own.

import { createLogger, parseLogLevels, type LogLevel } from '../base/log.ts';
import { Metrics } from '../base/metrics.ts';
import { Tracer } from '../base/trace.ts';
import { realEnv } from '../base/real-env.ts';
import { componentFlags } from '../cli/component-flags.ts';
import type { ComponentName } from '../cli/platform.ts';
import { logSink } from '../host/log-sink.ts';
import type { ComponentContext } from './component-client.ts';
import { exportSpans, tracingEnvironment, tracingFile } from './tracing.ts';
import { Flags, type FlagValues } from './flags.ts';

type Run = (flags: Flags, context: ComponentContext) => Promise<void>;

const PARTS: Readonly<Record<ComponentName, () => Promise<Run>>> = {
  server: async () => (await import('./server-component.ts')).server,
  agent: async () => (await import('./agent.ts')).agent,
  scheduler: async () => (await import('./control-components.ts')).scheduler,
  'controller-manager': async () => (await import('./control-components.ts')).controllerManager,
  proxy: async () => (await import('./control-components.ts')).proxy,
};

/** Runs until the signal aborts. Rejects with a UserError for flags that cannot be. */
export async function runComponent(
  name: ComponentName,
  values: FlagValues,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const defaults = componentFlags[name].flags.flatMap((f) => (f.default === undefined ? [] : [[f.name, f.default]]));
  const flags = new Flags(values, Object.fromEntries(defaults) as FlagValues);
  const level = flags.count('v', 0, 10) >= 4 ? 'debug' : 'info';
  const base = realEnv(createLogger({ level, levels: levelsOf(flags), sink: logSink(2, formatOf(flags)) }));
  const env = { ...base, metrics: new Metrics(), tracer: new Tracer(base) };
  const flush = exportSpans(env, tracingFile(flags) ?? tracingEnvironment(process.env));
  const run = await PARTS[name]();
  // Waiting for a server, or to lead, is no reason to end: connections and waits of their own hold no process.
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    await run(flags, { env, signal });
  } catch (error) {
    // What is under way when it ends breaks off.
    if (!signal.aborted) throw error;
  } finally {
    await flush();
    clearInterval(alive);
  }
}

/** Text on a terminal, JSON where something reads, unless told. */
function formatOf(flags: Flags): 'text' | 'json' {
  if (!flags.text('logging-format')) return process.stderr.isTTY ? 'text' : 'json';
  return flags.oneOf('logging-format', ['text', 'json']);
}

function levelsOf(flags: Flags): Readonly<Record<string, LogLevel>> {
  const text = flags.text('log-levels');
  try {
    return text ? parseLogLevels(text) : {};
  } catch (error) {
    throw flags.refuse('log-levels', (error as Error).message);
  }
}
