// Exponential delays per key, as upstream's flowcontrol.Backoff: 10 s doubling to 300 s, forgotten after twice the
// maximum without trouble.

export interface BackoffEntry {
  /** Milliseconds. */
  readonly delay: number;
  /** When the delay was last raised, in milliseconds since the epoch. */
  readonly updated: number;
}

export const CRASH_LOOP = { initial: 10_000, max: 300_000 };
export const IMAGE_PULL = { initial: 10_000, max: 300_000 };

/** The entry, unless the trouble at `since` came so late that it counts as new. */
export function activeBackoff(entry: BackoffEntry | undefined, since: number, max: number): BackoffEntry | undefined {
  return entry && since - entry.updated <= 2 * max ? entry : undefined;
}

/** The entry after one more try at `now` because of trouble at `since`. */
export function nextBackoff(
  entry: BackoffEntry | undefined,
  since: number,
  now: number,
  { initial, max } = CRASH_LOOP,
): BackoffEntry {
  const active = activeBackoff(entry, since, max);
  return { delay: active ? Math.min(active.delay * 2, max) : initial, updated: now };
}

/** A duration as Go prints it, for whole seconds: `10s`, `1m20s`, `5m0s`. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const h = Math.floor(seconds / 3600);
  const m = Math.floor((seconds % 3600) / 60);
  return `${h ? `${h}h` : ''}${h || m ? `${m}m` : ''}${seconds % 60}s`;
}
