// What the tests of stores share: values and events as text, and a watcher that remembers.

import { sleep } from '../base/env.ts';
import { realClock } from '../base/real-env.ts';
import type { Entry, StoreEvent, Watcher } from './store.ts';

export const text = (s: string) => ({ bytes: new TextEncoder().encode(s) });
export const read = (entry: Entry | undefined) => entry && new TextDecoder().decode(entry.value.bytes);
export const put = (key: string, value: string) => ({ put: key, value: text(value) });

/** A watcher that remembers what it was told, as text: a value may be gone later. */
export class Recorder implements Watcher {
  readonly batches: string[][] = [];
  readonly raw: StoreEvent[] = [];
  ended: { error?: Error } | undefined;

  events(batch: readonly StoreEvent[]): void {
    this.batches.push(batch.map(line));
    this.raw.push(...batch);
  }

  closed(error?: Error): void {
    this.ended = error ? { error } : {};
  }

  /** Events as text, e.g. `5 put /a=2 (was 1@4)`. */
  lines(): string[] {
    return this.batches.flat();
  }
}

function line(event: StoreEvent): string {
  const { previous } = event;
  const was = previous ? ` (was ${read(previous)}@${previous.revision})` : '';
  return event.type === 'put'
    ? `${event.revision} put ${event.key}=${read(event.entry)}${was}`
    : `${event.revision} delete ${event.key}${was}`;
}

/** Waits for `condition` across turns of the event loop; the time-out of the test is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep({ clock: realClock }, 1);
}
