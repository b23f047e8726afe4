// A history: everything about one round that is not the system's own doing. It is drawn from a seed, and being plain data
// it can be shortened, printed and run again.

import { seededRandom } from '../../src/base/virtual-clock.ts';
import { faults } from './faults.ts';
import { operations } from './operations.ts';

/** Something done to the world: an operation of a client, or a fault. */
export interface Deed {
  /** Milliseconds after the start. */
  readonly at: number;
  /** The name of an operation or a fault. */
  readonly do: string;
  readonly [argument: string]: number | string | boolean;
}

export interface Settings {
  /** Milliseconds that each message takes at most, each way. */
  readonly jitter: number;
  /** Milliseconds until a write is durable. */
  readonly sync: number;
  readonly bookmarks: boolean;
  /** Controller managers that stand for election; with one there is none. */
  readonly managers: 1 | 2;
  /** The clocks of components run up to this much too fast or slow, in thousandths; they are up to a minute off. */
  readonly drift: number;
  /** Of a hundred containers so many crash, and become ready late. */
  readonly flaky: number;
  /** Whole kubelets over a simulated runtime, with volumes, probes and events, instead of records of pods. */
  readonly whole: boolean;
}

export interface History {
  readonly seed: number;
  readonly settings: Settings;
  readonly deeds: readonly Deed[];
}

/** Draws for one purpose; what one deed draws does not move the others. */
export class Draw {
  readonly #next: () => number;
  constructor(seed: number) {
    const random = seededRandom(seed);
    this.#next = () => random.next();
  }
  /** A whole number below `n`. */
  below(n: number): number {
    return Math.floor(this.#next() * n);
  }
  of<T>(all: readonly T[]): T {
    return all[this.below(all.length)]!;
  }
  chance(share: number): boolean {
    return this.#next() < share;
  }
}

/** What a kind of deed is: how often it is drawn, and with which arguments. */
export interface DeedKind {
  readonly name: string;
  /** How often it is drawn beside the others; 1 unless told. */
  readonly weight?: number;
  draw?(draw: Draw): Readonly<Record<string, number | string | boolean>>;
}

function pick<T extends DeedKind>(all: readonly T[], draw: Draw): T {
  const weight = (kind: T) => kind.weight ?? 1;
  let rest = draw.below(all.reduce((sum, kind) => sum + weight(kind), 0));
  return all.find((kind) => (rest -= weight(kind)) < 0)!;
}

const CALM: Settings = { jitter: 0, sync: 0, bookmarks: true, managers: 1, drift: 0, flaky: 0, whole: false };
export const calm = CALM;

/** Pauses between two deeds, in milliseconds: some at once, some when the last one's consequences have passed. */
const PAUSES = [0, 0, 1, 5, 20, 100, 300, 1000, 3000, 12_000];

export function drawHistory(seed: number): History {
  const draw = new Draw(seed);
  const settings: Settings = {
    jitter: draw.of([0, 0, 2, 20, 200]),
    sync: draw.of([0, 0, 1, 5]),
    bookmarks: draw.chance(0.8),
    managers: draw.chance(0.25) ? 2 : 1,
    drift: draw.of([0, 0, 0, 10, 100]),
    flaky: draw.of([0, 0, 5, 20]),
    whole: seed % 10 === 0,
  };
  const deeds: Deed[] = [];
  const add = (at: number, kind: DeedKind) => deeds.push({ at, do: kind.name, ...kind.draw?.(draw) });
  const [create] = operations;
  for (let app = 0; app < 2; app++)
    if (app === 0 || draw.chance(0.7)) deeds.push({ at: 0, do: create!.name, ...create!.draw!(draw), app });
  let at = 0;
  for (let left = 16 + draw.below(24); left > 0; left--) {
    at += draw.of(PAUSES);
    add(at, pick<DeedKind>(draw.chance(0.55) ? operations : faults, draw));
    // Faults like company: two at once are worse than two in turn.
    if (draw.chance(0.2)) add(at, pick<DeedKind>(faults, draw));
  }
  return { seed, settings, deeds };
}

/** One line for each thing that happens: what a failure prints, and `--history` reads. */
export function printHistory({ seed, settings, deeds }: History): string {
  const unusual = Object.entries(settings).filter(([name, value]) => value !== CALM[name as keyof Settings]);
  const lines = deeds.map((deed) => JSON.stringify(deed));
  return [JSON.stringify({ seed, ...Object.fromEntries(unusual) }), ...lines].join('\n');
}

/** Reads what `printHistory` wrote. Throws for a deed that does not exist. */
export function parseHistory(text: string): History {
  const [head, ...deeds] = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, never>);
  const { seed, ...settings } = head as unknown as { seed: number } & Partial<Settings>;
  const known = new Set([...operations, ...faults].map((kind) => kind.name));
  for (const deed of deeds) if (!known.has(deed['do']!)) throw new Error(`there is no ${JSON.stringify(deed['do'])}`);
  return { seed, settings: { ...CALM, ...settings }, deeds: deeds as unknown as Deed[] };
}
