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
  /** Bytes in memory of each mapped file, by device and inode. */
  readonly files: ReadonlyMap<string, number>;
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
    files: filesOf(pid),
  };
}

function filesOf(pid: number): Map<string, number> {
  const files = new Map<string, number>();
  let file = '';
  let resident = 0;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const [, device, inode] = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ (\S+) (\d+)/.exec(line) ?? [];
    if (inode !== undefined) file = inode === '0' ? '' : `${device} ${inode}`;
    const [, field, kilobytes] = /^(Rss|Anonymous): +(\d+) kB/.exec(line) ?? [];
    if (field === 'Rss') resident = Number(kilobytes);
    if (field === 'Anonymous' && file) files.set(file, (files.get(file) ?? 0) + (resident - Number(kilobytes)) * 1024);
  }
  return files;
}

/** Bytes: what is anonymous, and each file once, as much of it as the process holds that holds most. */
export function together(all: readonly Taken[]): number {
  const files = new Map<string, number>();
  for (const one of all) for (const [file, bytes] of one.files) files.set(file, Math.max(files.get(file) ?? 0, bytes));
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
  return sum(all.map((one) => one.anonymous)) + sum(files.values());
}

/** Milliseconds of all threads, user and system. */
export function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
