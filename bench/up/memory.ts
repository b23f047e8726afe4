// What processes take of the machine, from /proc: resident and proportional memory, and CPU time.

import { readFileSync } from 'node:fs';
import { commandLineOf } from '../../src/host/processes.ts';

export interface Taken {
  readonly what: string;
  /** Bytes. Shared pages count in full for everybody who has them mapped. */
  readonly rss: number;
  /** Bytes. A page that n processes share counts 1/n for each. */
  readonly pss: number;
  /** Bytes that no file stands behind: heap, stacks. */
  readonly anonymous: number;
}

/** As Linux counts CPU time for programs. */
const TICK_MS = 10;

export function takenBy(pid: number): Taken {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const of = (field: string) => Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0) * 1024;
  return {
    what: commandLineOf(pid).join(' '),
    rss: of('Rss'),
    pss: of('Pss'),
    anonymous: of('Pss_Anon'),
  };
}

/** Milliseconds of all threads, user and system. */
export function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
