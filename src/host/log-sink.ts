// Log lines: one JSON object a line for files, a readable form for terminals. `coracle logs` turns the one into the other.

import { renameSync, statSync, writeSync } from 'node:fs';
import type { LogRecord } from '../base/log.ts';

const MAX_LOG_BYTES = 32e6;

export interface LogLine {
  readonly ts: string;
  readonly level: string;
  readonly component: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

function plain(value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value;
}

export function toLogLine(record: LogRecord, now: number): LogLine {
  const { level, component, message, fields } = record;
  const rest = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, plain(value)]));
  return { ts: new Date(now).toISOString(), level, component, msg: message, ...rest };
}

export function readable(line: LogLine): string {
  const { ts, level, component, msg, ...fields } = line;
  const rest = Object.entries(fields).map(
    ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return `${ts.slice(11, 23)} ${level.padEnd(5)} ${component}: ${msg}${rest.join('')}`;
}

/** Writes to a file descriptor at once, so that the last words before a crash are there. */
export function logSink(fd: number, form: 'json' | 'text'): (record: LogRecord) => void {
  return (record) => {
    const line = toLogLine(record, Date.now());
    try {
      writeSync(fd, `${form === 'json' ? JSON.stringify(line) : readable(line)}\n`);
    } catch {
      // A full disk or a closed pipe must not take the cluster down; there is nowhere left to say so.
    }
  };
}

/** Moves a large log aside before a new run appends to it; one old file is kept. */
export function rotateLog(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat && stat.size > MAX_LOG_BYTES) renameSync(file, `${file}.1`);
}
