// The state file tells other processes that a cluster runs: who, where, since when. It is written when the cluster
// starts and when it is ready, and removed when it stops; after a kill -9 the pid in it is dead or somebody else's.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { startTicksOf } from '../host/processes.ts';

export interface ClusterState {
  readonly name: string;
  readonly pid: number;
  /** The process's start time in clock ticks since boot: tells a reused pid apart. */
  readonly startTicks: string;
  readonly dataDir: string;
  readonly port: number;
  readonly server: string;
  readonly nodes: 'real' | 'simulated';
  /** Which of the machine's address ranges the cluster uses: see networks.ts. */
  readonly slot: number;
  readonly startedAt: number;
  readonly ready: boolean;
}

export function writeState(file: string, state: ClusterState): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, JSON.stringify(state));
  renameSync(`${file}.new`, file);
}

export function removeState(file: string): void {
  rmSync(file, { force: true });
}

/** The last written state, running or not. */
export function readState(file: string): ClusterState | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ClusterState;
  } catch {
    return undefined;
  }
}

/** The state of a cluster whose process lives. */
export function runningState(file: string): ClusterState | undefined {
  const state = readState(file);
  return state && startTicksOf(state.pid) === state.startTicks ? state : undefined;
}
