// Prometheus' text form read strictly: whatever a scraper might stumble over is an error that says where.
// https://prometheus.io/docs/instrumenting/exposition_formats/

export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const TYPES = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']);
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

/** Families by name, in order. Throws an Error that names the line. */
export function parseExposition(text: string): ReadonlyMap<string, MetricFamily> {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, MetricFamily & { samples: Sample[]; help: string; type: string }>();
  let current: (MetricFamily & { samples: Sample[]; help: string; type: string }) | undefined;
  const lines = text.split('\n');
  lines.pop();
  lines.forEach((line, i) => {
    try {
      const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
      if (comment) {
        const [, what, name = '', rest = ''] = comment;
        if (name !== current?.name) {
          if (!NAME.test(name)) throw new Error(`${name} is no name`);
          if (families.has(name)) throw new Error(`${name} is told in two places`);
          families.set(name, (current = { name, help: '', type: '', samples: [] }));
        }
        if (current.samples.length > 0) throw new Error(`${what} follows samples`);
        if (what === 'HELP') current.help = helpText(rest);
        else if (!TYPES.has(rest)) throw new Error(`${rest} is no type`);
        else current.type = rest;
        return;
      }
      const sample = parseSample(line);
      if (!current || !belongs(sample.name, current)) throw new Error(`${sample.name} is outside of its family`);
      current.samples.push(sample);
    } catch (error) {
      throw new Error(`line ${i + 1}: ${(error as Error).message}: ${line}`, { cause: error });
    }
  });
  for (const family of families.values()) checkFamily(family);
  return families;
}

function belongs(name: string, { name: family, type }: MetricFamily): boolean {
  if (type === 'histogram') return ['_bucket', '_sum', '_count'].some((suffix) => name === family + suffix);
  return name === family;
}

function helpText(text: string): string {
  if (text.replaceAll(/\\[\\n]/g, '').includes('\\')) throw new Error('a backslash in HELP is not escaped');
  return text.replaceAll(/\\([\\n])/g, (_, c: string) => (c === 'n' ? '\n' : '\\'));
}

function parseSample(line: string): Sample {
  const [, name = '', rest = ''] = /^([^{ ]*)(.*)$/.exec(line) ?? [];
  if (!NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no name`);
  const labels = new Map<string, string>();
  let at = 0;
  if (rest[0] === '{') {
    at = 1;
    while (rest[at] !== '}') {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|(?=\}))/.exec(rest.slice(at));
      if (!label) throw new Error(`labels are not well formed at ${rest.slice(at, at + 20)}`);
      const [whole, key = '', value = ''] = label;
      if (labels.has(key)) throw new Error(`label ${key} is given twice`);
      labels.set(
        key,
        value.replaceAll(/\\([\\"n])/g, (_, c: string) => (c === 'n' ? '\n' : c)),
      );
      at += whole.length;
    }
    at++;
  }
  if (rest[at] !== ' ') throw new Error('no blank before the value');
  return { name, labels, value: parseNumber(rest.slice(at + 1)) };
}

function parseNumber(text: string): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  if (text === 'NaN') return NaN;
  if (!NUMBER.test(text)) throw new Error(`${text} is no number`);
  return Number(text);
}

function checkFamily(family: MetricFamily): void {
  const { name, type, samples } = family;
  const fail = (why: string) => new Error(`${name}: ${why}`);
  if (!type) throw fail('no TYPE');
  if (!family.help) throw fail('no HELP');
  const seen = new Set<string>();
  for (const sample of samples) {
    const key = `${sample.name} ${seriesKey(sample)}`;
    if (seen.has(key)) throw fail(`${key} is told twice`);
    seen.add(key);
    if (type === 'counter' && !(sample.value >= 0)) throw fail('a counter below zero');
  }
  if (type === 'histogram') checkHistogram(family);
}

const seriesKey = ({ labels }: Sample, but = '') =>
  JSON.stringify([...labels].filter(([key]) => key !== but).sort(([a], [b]) => (a < b ? -1 : 1)));

function checkHistogram({ name, samples }: MetricFamily): void {
  const series = new Map<string, { last: number; bound: number; sum?: number; count?: number }>();
  for (const sample of samples) {
    const key = seriesKey(sample, 'le');
    const known = series.get(key) ?? { last: 0, bound: -Infinity };
    series.set(key, known);
    if (sample.name === `${name}_sum`) known.sum = sample.value;
    else if (sample.name === `${name}_count`) known.count = sample.value;
    else {
      const bound = parseNumber(sample.labels.get('le') ?? '');
      if (bound <= known.bound) throw new Error(`${name}: bounds do not rise at ${bound}`);
      if (sample.value < known.last) throw new Error(`${name}: counts fall at ${bound}`);
      known.bound = bound;
      known.last = sample.value;
    }
  }
  for (const [key, { last, bound, sum, count }] of series) {
    if (bound !== Infinity) throw new Error(`${name}: no bucket +Inf for ${key}`);
    if (count !== last) throw new Error(`${name}: count and bucket +Inf differ for ${key}`);
    if (sum === undefined) throw new Error(`${name}: no sum for ${key}`);
  }
}
