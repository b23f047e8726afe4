// Processes as /proc shows them: who lives, since when, how to end them. A pid alone is no identity, for it is reused;
// with its start time it is one.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export interface ProcessRef {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTicks: string;
}

/** The start time of a process, or undefined when there is none or only its zombie. Always '' where there is no /proc. */
export function startTicksOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return existsElsewhere(pid) ? '' : undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function existsElsewhere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export const isAlive = (process: ProcessRef): boolean => startTicksOf(process.pid) === process.startTicks;

export function processRef(pid: number): ProcessRef | undefined {
  const startTicks = startTicksOf(pid);
  return startTicks === undefined ? undefined : { pid, startTicks };
}

/** The command line, empty for kernel threads and processes that are gone. */
export function commandLineOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** Living processes whose command line satisfies the test. */
export function findProcesses(test: (commandLine: readonly string[]) => boolean): ProcessRef[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => (test(commandLineOf(Number(name))) ? (processRef(Number(name)) ?? []) : []));
}

/** Sends a signal to that very process; false when it is gone. */
export function signalProcess(process_: ProcessRef, signal: NodeJS.Signals): boolean {
  if (!isAlive(process_)) return false;
  try {
    process.kill(process_.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Resolves to false when the process still lives after `ms`. A process that is no child gives no sign, so look. */
export async function waitForExit(process_: ProcessRef, ms: number): Promise<boolean> {
  for (let waited = 0, step = 1; isAlive(process_); waited += step, step = Math.min(step * 2, 20)) {
    if (waited >= ms) return false;
    await delay(step);
  }
  return true;
}

/** Asks with SIGTERM, insists with SIGKILL after `graceMs`. Resolves once the process is gone. */
export async function endProcess(process_: ProcessRef, graceMs: number): Promise<void> {
  if (!signalProcess(process_, 'SIGTERM') || (await waitForExit(process_, graceMs))) return;
  signalProcess(process_, 'SIGKILL');
  if (!(await waitForExit(process_, 10_000))) throw new Error(`process ${process_.pid} does not end, even when killed`);
}
