// Gives memory back while there is little to do. V8 has a reducer for that, which collects in small steps when allocation
// is slow; in Node it never runs, for it takes the rate of the last burst for the present one unless told to save memory.
// So it is told when the event loop is idle. It does its work twice after a burst and then rests.

import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import type { Clock } from '../base/env.ts';

/** How often the event loop is looked at. */
const LOOK_MS = 1000;
/** Below this part of the time the event loop is idle. */
const IDLE = 0.2;
/** The heap grows by so much of what lives in it before it is collected; V8's own measure is up to three times as much. */
const GROWING_PERCENT = 70;
/** How long V8's reducer waits after a collection; its own measure is 8 seconds. */
const REDUCER_DELAY_MS = 2000;

/** The flags below came with V8 13; a V8 that does not know a flag complains aloud. */
export const knowsFlags = (v8: string) => Number(v8.split('.')[0]) >= 13;

/** Tells whether the event loop was idle since the last time it was asked. */
export function idleness(): () => boolean {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization < IDLE;
  };
}

export interface MemorySaverOptions {
  readonly clock: Clock;
  /** Told when it changes. */
  readonly setSaving: (saving: boolean) => void;
  readonly isIdle: () => boolean;
}

/** Calls `setSaving` as the process becomes idle or busy, until `stop`. */
export function watchIdleness({ clock, setSaving, isIdle }: MemorySaverOptions): { stop(): void } {
  let saving = false;
  const look = () => {
    const idle = isIdle();
    if (idle !== saving) setSaving((saving = idle));
    timer = clock.setTimer(LOOK_MS, look, { unref: true });
  };
  let timer = clock.setTimer(LOOK_MS, look, { unref: true });
  return { stop: () => timer.cancel() };
}

/** For the process of a server: a heap that grows moderately, and shrinks when there is little to do. */
export function saveMemory(clock: Clock): { stop(): void } {
  if (!knowsFlags(process.versions.v8)) return { stop: () => {} };
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
  setFlagsFromString(`--gc-memory-reducer-start-delay-ms=${REDUCER_DELAY_MS}`);
  const setSaving = (saving: boolean) => setFlagsFromString(saving ? '--memory-saver-mode' : '--no-memory-saver-mode');
  return watchIdleness({ clock, setSaving, isIdle: idleness() });
}
