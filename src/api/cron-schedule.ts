// Cron schedules: five fields (minute, hour, day of month, month, day of week), `@daily` and the like, `@every 1h30m`.
// https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax

/** Which values of a field fit. `any`: the field was `*` or `?`, which matters when days of month and week combine. */
export interface CronField {
  readonly values: ReadonlySet<number>;
  readonly any: boolean;
}

export type CronSchedule =
  | { readonly every: number }
  | {
      readonly minute: CronField;
      readonly hour: CronField;
      readonly dayOfMonth: CronField;
      readonly month: CronField;
      /** 0 is Sunday. */
      readonly dayOfWeek: CronField;
      /** From `TZ=` or `CRON_TZ=` in front. */
      readonly timeZone?: string;
    };

/** The text is no schedule. */
export class CronError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CronError';
  }
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}
const MINUTE: Bounds = { min: 0, max: 59 };
const HOUR: Bounds = { min: 0, max: 23 };
const DAY: Bounds = { min: 1, max: 31 };
const MONTH: Bounds = { min: 1, max: 12, names: MONTHS };
const WEEKDAY: Bounds = { min: 0, max: 6, names: DAYS };

const DESCRIPTORS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/** Throws CronError. `every` is in milliseconds. */
export function parseCron(text: string): CronSchedule {
  if (text === '') throw new CronError('empty spec string');
  const zoned = /^(?:TZ|CRON_TZ)=(\S+)\s+(.*)$/s.exec(text);
  const rest = zoned ? zoned[2]!.trim() : text;
  if (rest.startsWith('@every ')) return { every: parseEvery(rest.slice('@every '.length), rest) };
  const spec = rest.startsWith('@') ? DESCRIPTORS[rest] : rest;
  if (spec === undefined) throw new CronError(`unrecognized descriptor: ${rest}`);
  const fields = spec.split(/\s+/).filter(Boolean);
  if (fields.length !== 5) {
    throw new CronError(`expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`);
  }
  const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string];
  return {
    minute: parseField(minute, MINUTE),
    hour: parseField(hour, HOUR),
    dayOfMonth: parseField(day, DAY),
    month: parseField(month, MONTH),
    dayOfWeek: parseField(weekday, WEEKDAY),
    ...(zoned ? { timeZone: zoned[1]! } : {}),
  };
}

function parseField(text: string, bounds: Bounds): CronField {
  const values = new Set<number>();
  let any = false;
  for (const part of text.split(',')) {
    if (part === '') continue;
    const range = parseRange(part, bounds);
    any ||= range.any;
    for (let n = range.from; n <= range.to; n += range.step) values.add(n);
  }
  return { values, any };
}

/** `*`, `5`, `1-5`, each with an optional step behind a slash. */
function parseRange(text: string, bounds: Bounds) {
  const [span = '', stepText, ...tooMany] = text.split('/');
  if (tooMany.length) throw new CronError(`too many slashes: ${text}`);
  const ends = span.split('-');
  if (ends.length > 2) throw new CronError(`too many hyphens: ${text}`);
  const any = span === '*' || span === '?';
  const from = any ? bounds.min : parseNumber(ends[0]!, bounds);
  let to = any ? bounds.max : ends.length === 2 ? parseNumber(ends[1]!, bounds) : from;
  const step = stepText === undefined ? 1 : parseInteger(stepText);
  // `N/step` means from N to the end.
  if (stepText !== undefined && !any && ends.length === 1) to = bounds.max;
  if (from < bounds.min) {
    throw new CronError(`beginning of range (${from}) below minimum (${bounds.min}): ${text}`);
  }
  if (to > bounds.max) throw new CronError(`end of range (${to}) above maximum (${bounds.max}): ${text}`);
  if (from > to) throw new CronError(`beginning of range (${from}) beyond end of range (${to}): ${text}`);
  if (step === 0) throw new CronError(`step of range should be a positive number: ${text}`);
  return { from, to, step, any: any && step === 1 };
}

function parseNumber(text: string, { names, min }: Bounds): number {
  const named = names?.indexOf(text.toLowerCase()) ?? -1;
  return named >= 0 ? named + min : parseInteger(text);
}

function parseInteger(text: string): number {
  if (/^[0-9]+$/.test(text)) return Number(text);
  if (/^-[0-9]+$/.test(text)) throw new CronError(`negative number (${text}) not allowed: ${text}`);
  const quoted = JSON.stringify(text);
  throw new CronError(`failed to parse int from ${text}: strconv.Atoi: parsing ${quoted}: invalid syntax`);
}

const UNITS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};

/** A Go duration, at least a second, in whole seconds. */
function parseEvery(duration: string, text: string): number {
  // Each part begins where the last one ended: looking for one from every digit would take time by the square.
  const parts = [...duration.matchAll(/(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)/gy)];
  const length = parts.reduce((sum, part) => sum + part[0].length, 0);
  if (!parts.length || length !== duration.length) {
    throw new CronError(`failed to parse duration ${text}: time: invalid duration ${JSON.stringify(duration)}`);
  }
  const ms = parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit!]!, 0);
  return Math.max(1000, Math.floor(ms / 1000) * 1000);
}
