// Pods that wait to be placed: ready ones by priority and age, failed ones in backoff, and those only a change of the
// cluster can help. After five minutes anything is tried again.

import type { Pod } from '../api/generated/core-v1.ts';
import type { Clock, Timer } from '../base/env.ts';
import { Heap } from '../base/heap.ts';
import type { ClusterEvent, Plugin } from './framework.ts';

const FIRST_BACKOFF = 1_000;
const MAX_BACKOFF = 10_000;
const FORGET_AFTER = 5 * 60_000;
const FAILED = 'ScheduleAttemptFailure';

interface Item {
  pod: Pod;
  readonly since: number;
  readonly seq: number;
  attempts: number;
  /** When it may be tried again. */
  backoffUntil: number;
  /** `cycle` counts cluster events: a change during an attempt must not be lost. */
  cycle: number;
  refusedBy: readonly string[];
  place: 'ready' | 'backoff' | 'waiting' | 'out';
}

const priority = (item: Item) => item.pod.spec.priority ?? 0;

export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #wakes: ReadonlyMap<string, ReadonlySet<ClusterEvent>>;
  readonly #items = new Map<string, Item>();
  readonly #ready = new Heap<Item>((a, b) => priority(b) - priority(a) || a.since - b.since || a.seq - b.seq);
  readonly #events: ClusterEvent[] = [];
  #seq = 0;
  #cycle = 0;
  #timer: Timer | undefined;
  #timerAt = Infinity;
  /** Told of every pod that comes into a queue, by upstream's names of the queue and of the reason. */
  moved: (queue: 'active' | 'backoff' | 'unschedulable', event: string) => void = () => {};

  /** `wake` is called when a pod has become ready. */
  constructor(clock: Clock, plugins: readonly Plugin[], wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
    this.#wakes = new Map(plugins.map((p) => [p.name, new Set(p.wakes)]));
  }

  /** Pending pods by where they wait, for metrics. */
  counts(): { ready: number; backoff: number; waiting: number } {
    const counts = { ready: 0, backoff: 0, waiting: 0 };
    for (const item of this.#items.values()) if (item.place !== 'out') counts[item.place]++;
    return counts;
  }

  /** A pod to place appeared, or changed while it waits. A change of spec or labels ends its wait. */
  set(pod: Pod): void {
    const known = this.#items.get(pod.metadata.uid);
    if (!known) {
      const item: Item = {
        pod,
        since: this.#clock.monotonic(),
        seq: this.#seq++,
        attempts: 0,
        backoffUntil: 0,
        cycle: 0,
        refusedBy: [],
        place: 'out',
      };
      this.#items.set(pod.metadata.uid, item);
      this.#push(item, 'UnscheduledPodAdd');
      return;
    }
    const { spec, metadata } = known.pod;
    known.pod = pod;
    const changed = spec !== pod.spec && JSON.stringify(spec) !== JSON.stringify(pod.spec);
    const relabelled = JSON.stringify(metadata.labels) !== JSON.stringify(pod.metadata.labels);
    if (known.place === 'waiting' && (changed || relabelled)) this.#afterBackoff(known, 'UnscheduledPodUpdate');
  }

  delete(uid: string): void {
    const item = this.#items.get(uid);
    if (item) item.place = 'out';
    this.#items.delete(uid);
  }

  /** The next pod to place; it stays known until `done` or `failed`. */
  pop(): Pod | undefined {
    for (let item = this.#ready.pop(); item; item = this.#ready.pop()) {
      if (item.place !== 'ready' || this.#items.get(item.pod.metadata.uid) !== item) continue;
      item.place = 'out';
      item.attempts++;
      item.cycle = this.#cycle;
      return item.pod;
    }
    return undefined;
  }

  /** How often a known pod was tried, and when it came, by the monotonic clock. */
  progress(uid: string): { readonly attempts: number; readonly since: number } | undefined {
    return this.#items.get(uid);
  }

  /** The pod is placed. */
  done(uid: string): void {
    this.#items.delete(uid);
  }

  /** Placing failed: it waits for a change that concerns the plugins that refused, or just for its backoff (`retry`). */
  failed(uid: string, refusedBy: readonly string[], retry = false): void {
    const item = this.#items.get(uid);
    if (!item) return;
    const backoff = Math.min(FIRST_BACKOFF * 2 ** (item.attempts - 1), MAX_BACKOFF);
    item.backoffUntil = this.#clock.monotonic() + backoff;
    item.refusedBy = refusedBy;
    const passed = this.#cycle - item.cycle;
    const missed = this.#events.slice(Math.max(0, this.#events.length - passed));
    // More has happened than is remembered: some of it may have concerned this pod.
    const forgotten = passed > this.#events.length;
    if (retry || forgotten || missed.some((event) => this.#concerns(item, event)))
      return this.#afterBackoff(item, FAILED);
    item.place = 'waiting';
    this.moved('unschedulable', FAILED);
    this.#armTimer(this.#clock.monotonic() + FORGET_AFTER, true);
  }

  /**
   * The cluster changed: waiting pods whose refusing plugins care become candidates again, but those it cannot help. After
   * their back-off, unless a node changed: that is rare, and pods without a node wait for nothing else.
   */
  event(event: ClusterEvent, mayHelp: (pod: Pod) => boolean = () => true): void {
    this.#cycle++;
    this.#events.push(event);
    if (this.#events.length > 1024) this.#events.splice(0, 512);
    for (const item of this.#items.values()) {
      if (item.place !== 'waiting' || !this.#concerns(item, event) || !mayHelp(item.pod)) continue;
      if (event === 'NodeAdd' || event === 'NodeUpdate') this.#push(item, event);
      else this.#afterBackoff(item, event);
    }
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #concerns(item: Item, event: ClusterEvent): boolean {
    return item.refusedBy.length === 0 || item.refusedBy.some((name) => this.#wakes.get(name)?.has(event) ?? true);
  }

  #push(item: Item, event: string): void {
    item.place = 'ready';
    this.moved('active', event);
    this.#ready.push(item);
    this.#wake();
  }

  #afterBackoff(item: Item, event: string): void {
    if (item.backoffUntil <= this.#clock.monotonic()) return this.#push(item, event);
    item.place = 'backoff';
    this.moved('backoff', event);
    this.#armTimer(item.backoffUntil, false);
  }

  /** One timer for all: the earliest end of a backoff, or of the longest wait (in the background). */
  #armTimer(at: number, background: boolean): void {
    if (at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#clock.setTimer(at - this.#clock.monotonic(), () => this.#expire(), { unref: background });
  }

  #expire(): void {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    const now = this.#clock.monotonic();
    let nextBackoff = Infinity;
    let nextWait = Infinity;
    for (const item of this.#items.values()) {
      if (item.place === 'backoff') {
        if (item.backoffUntil <= now) this.#push(item, 'BackoffComplete');
        else nextBackoff = Math.min(nextBackoff, item.backoffUntil);
      } else if (item.place === 'waiting') {
        const until = item.backoffUntil + FORGET_AFTER;
        if (until <= now) this.#push(item, 'UnschedulableTimeout');
        else nextWait = Math.min(nextWait, until);
      }
    }
    if (nextBackoff !== Infinity) this.#armTimer(nextBackoff, false);
    else if (nextWait !== Infinity) this.#armTimer(nextWait, true);
  }
}
