// Counters, gauges and histograms in Prometheus' text form. Components of one process share one `Metrics`; asking twice for a
// name gives the same family. Counting costs a few map look-ups, whatever can be read when asked for costs nothing before.
// https://prometheus.io/docs/instrumenting/exposition_formats/

export class Counter {
  value = 0;
  add(n = 1): void {
    this.value += n;
  }
}

/** Counts observations by upper bound. */
export class Histogram {
  readonly counts: Float64Array;
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let i = 0;
    while (i < this.#bounds.length && value > this.#bounds[i]!) i++;
    this.counts[i]!++;
    this.sum += value;
  }
}

type Branch<S> = Map<string, Branch<S> | S>;

/** The series of one name, by the values of its labels. */
export class Family<S> {
  readonly labels: readonly string[];
  readonly #make: () => S;
  readonly #root: Branch<S> = new Map();

  constructor(labels: readonly string[], make: () => S) {
    this.labels = labels;
    this.#make = make;
  }

  /** One value for each label, in order. */
  of(...values: readonly string[]): S {
    let branch = this.#root;
    const last = this.labels.length - 1;
    for (let i = 0; i < last; i++) {
      let next = branch.get(values[i]!) as Branch<S> | undefined;
      if (!next) branch.set(values[i]!, (next = new Map()));
      branch = next;
    }
    const value = values[last] ?? '';
    let series = branch.get(value) as S | undefined;
    if (!series) branch.set(value, (series = this.#make()));
    return series;
  }

  *all(branch: Branch<S> = this.#root, before: readonly string[] = []): Generator<readonly [readonly string[], S]> {
    const depth = Math.max(this.labels.length, 1);
    for (const [value, below] of branch) {
      const values = [...before, value];
      if (values.length === depth) yield [values, below as S];
      else yield* this.all(below as Branch<S>, values);
    }
  }
}

/** A value of a series read when asked for, with its labels' values in order. */
export type Reading = readonly [values: readonly string[], value: number];
export type MetricType = 'counter' | 'gauge';

interface Written {
  readonly help: string;
  readonly type: MetricType | 'histogram';
  readonly family: unknown;
  lines(name: string): Iterable<string>;
}

/** Seconds, as upstream's request durations. */
export const DURATIONS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.25, 2, 5, 10, 30, 60,
];

export class Metrics {
  readonly #written = new Map<string, Written>();

  counter(name: string, help: string, labels: readonly string[] = []): Family<Counter> {
    return this.#family(name, () => {
      const family = new Family(labels, () => new Counter());
      return { help, type: 'counter', family, lines: (n) => counterLines(n, family) };
    });
  }

  /** `bounds` rise. */
  histogram(
    name: string,
    help: string,
    labels: readonly string[] = [],
    bounds: readonly number[] = DURATIONS,
  ): Family<Histogram> {
    return this.#family(name, () => {
      const family = new Family(labels, () => new Histogram(bounds));
      return { help, type: 'histogram', family, lines: (n) => histogramLines(n, family, bounds) };
    });
  }

  /** Calls `read` whenever the metrics are read. Several parts may give series of one name; of one series the last counts. Returns what ends it. */
  reading(
    name: string,
    help: string,
    labels: readonly string[],
    read: () => Iterable<Reading>,
    type: MetricType = 'gauge',
  ): () => void {
    const readers = this.#family<(() => Iterable<Reading>)[]>(name, () => {
      const all: (() => Iterable<Reading>)[] = [];
      return { help, type, family: all, lines: (n) => readingLines(n, labels, all) };
    });
    readers.push(read);
    return () => {
      const at = readers.indexOf(read);
      if (at >= 0) readers.splice(at, 1);
    };
  }

  /** Everything, in the text form 0.0.4. */
  text(): string {
    const lines: string[] = [];
    for (const [name, { help, type, lines: of }] of [...this.#written].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const own = [...of(name)];
      if (own.length === 0) continue;
      lines.push(`# HELP ${name} ${help.replace(/[\\\n]/g, (c) => ESCAPES[c]!)}`, `# TYPE ${name} ${type}`);
      for (const line of own) lines.push(line);
    }
    return `${lines.join('\n')}\n`;
  }

  #family<F>(name: string, make: () => Written): F {
    let written = this.#written.get(name);
    if (!written) this.#written.set(name, (written = make()));
    return written.family as F;
  }
}

function* counterLines(name: string, family: Family<Counter>): Generator<string> {
  for (const [values, { value }] of family.all())
    yield `${name}${labelText(family.labels, values)} ${numberText(value)}`;
}

function* readingLines(
  name: string,
  labels: readonly string[],
  readers: readonly (() => Iterable<Reading>)[],
): Generator<string> {
  const series = new Map<string, number>();
  for (const read of readers) for (const [values, value] of read()) series.set(labelText(labels, values), value);
  for (const [text, value] of series) yield `${name}${text} ${numberText(value)}`;
}

function* histogramLines(name: string, family: Family<Histogram>, bounds: readonly number[]): Generator<string> {
  const labels = [...family.labels, 'le'];
  for (const [values, { counts, sum }] of family.all()) {
    const mine = values.slice(0, family.labels.length);
    let total = 0;
    for (let i = 0; i < counts.length; i++) {
      total += counts[i]!;
      yield `${name}_bucket${labelText(labels, [...mine, numberText(bounds[i] ?? Infinity)])} ${total}`;
    }
    yield `${name}_sum${labelText(family.labels, mine)} ${sum}`;
    yield `${name}_count${labelText(family.labels, mine)} ${total}`;
  }
}

/** As Go writes it: `+Inf`, exponents of at least two digits. Bounds are labels, so their text matters. */
function numberText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-4 && size < 1e21)) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': String.raw`\"`, '\n': String.raw`\n` };
const escaped = (text: string) => text.replace(/[\\"\n]/g, (c) => ESCAPES[c]!);

function labelText(labels: readonly string[], values: readonly string[]): string {
  if (labels.length === 0) return '';
  return `{${labels.map((label, i) => `${label}="${escaped(values[i] ?? '')}"`).join(',')}}`;
}
