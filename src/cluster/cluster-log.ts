// The log of a cluster's process, read by other processes.

import { createReadStream, existsSync, readFileSync, watch } from 'node:fs';
import { createInterface } from 'node:readline';
import { UserError, type ClusterSelector, type LogOptions } from '../cli/platform.ts';
import { atLeast, type LogLevel } from '../base/log.ts';
import { readable, type LogLine } from '../host/log-sink.ts';
import { pathsOf, type ClusterPaths } from './paths.ts';

/** The last line, shortened, and where it is. */
export function lastWords(paths: ClusterPaths): string {
  const lines = existsSync(paths.logFile) ? readFileSync(paths.logFile, 'utf8').trim().split('\n') : [];
  const last = lines.at(-1) || 'it left no log';
  return `${(show(last, { component: undefined, level: undefined }) ?? last).split('\n')[0]!.slice(0, 300)} (see ${paths.logFile})`;
}

function show(text: string, { component, level }: Pick<LogOptions, 'component' | 'level'>): string | undefined {
  let line: LogLine;
  try {
    line = JSON.parse(text) as LogLine;
  } catch {
    return component || level ? undefined : text;
  }
  if (component && line.component !== component) return undefined;
  if (level && !atLeast(line.level as LogLevel, level)) return undefined;
  return readable(line);
}

/** Writes the log's lines, a component's alone when it is named; ends with the file unless it follows. */
export async function writeLogs(
  cluster: ClusterSelector,
  options: LogOptions,
  write: (line: string) => void,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const paths = pathsOf(cluster);
  if (!existsSync(paths.logFile))
    throw new UserError(`there is no log at ${paths.logFile}: was the cluster ever started?`);
  let lines: string[] = [];
  let position = 0;
  const readOn = async (each: (line: string) => void) => {
    const stream = createReadStream(paths.logFile, { start: position });
    stream.on('data', (chunk) => (position += chunk.length));
    for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) {
      const line = show(text, options);
      if (line !== undefined) each(line);
    }
  };
  await readOn((line) => lines.push(line));
  if (options.tail !== undefined) lines = lines.slice(Math.max(0, lines.length - options.tail));
  lines.forEach(write);
  if (!options.follow) return;
  await new Promise<void>((resolve) => {
    let chain = Promise.resolve();
    const watcher = watch(paths.logFile, () => (chain = chain.then(() => readOn(write))));
    const end = () => {
      watcher.close();
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
