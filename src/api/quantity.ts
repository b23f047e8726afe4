// resource.Quantity: exact decimal numbers with a suffix (500m, 1Gi, 12e6), rounded up to nano, and their canonical text.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
// Parsed values are memoised by text: a cluster uses few distinct quantities, and reads each of them very often.

export type QuantityFormat = 'BinarySI' | 'DecimalSI' | 'DecimalExponent';

const NANO = 1_000_000_000n;
const MAX_BINARY = (1n << 63n) - 1n;
/** Exponents beyond this are refused: no resource is that large, and the digits would only cost memory. */
const MAX_EXPONENT = 400;
/** Texts beyond this are refused for the same reason: reading their digits takes time by the square of the length. */
const MAX_LENGTH = 1024;

const SPLIT = /^([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$/;
const EXPONENT = /^[eE]([-+]?[0-9]+)$/;
const ERR_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const ERR_SUFFIX = "unable to parse quantity's suffix";

const DECIMAL = new Map([
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['', 0],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
]);
const DECIMAL_BY_EXPONENT = new Map([...DECIMAL].map(([suffix, exponent]) => [exponent, suffix]));
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** The text is no quantity; the message is upstream's. */
export class QuantityError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'QuantityError';
  }
}

export class Quantity {
  /** The exact amount in billionths. */
  readonly nano: bigint;
  readonly format: QuantityFormat;
  #text: string | undefined;
  #value: number | undefined;
  #milli: number | undefined;

  constructor(nano: bigint, format: QuantityFormat = 'DecimalSI') {
    this.nano = nano;
    this.format = format;
  }

  /** Whole units, rounded away from zero. Exact up to 2^53. */
  get value(): number {
    return (this.#value ??= roundAway(this.nano, NANO));
  }

  /** Thousandths, rounded away from zero. Exact up to 2^53. */
  get milliValue(): number {
    return (this.#milli ??= roundAway(this.nano, 1_000_000n));
  }

  get isZero(): boolean {
    return this.nano === 0n;
  }

  /** -1, 0 or 1. */
  get sign(): number {
    return this.nano > 0n ? 1 : this.nano < 0n ? -1 : 0;
  }

  /** -1, 0 or 1. */
  compare(other: Quantity): number {
    return this.nano < other.nano ? -1 : this.nano > other.nano ? 1 : 0;
  }

  /** Keeps this quantity's format, or takes the other's when this one is zero. */
  add(other: Quantity): Quantity {
    return new Quantity(this.nano + other.nano, this.isZero ? other.format : this.format);
  }

  sub(other: Quantity): Quantity {
    return new Quantity(this.nano - other.nano, this.isZero ? other.format : this.format);
  }

  neg(): Quantity {
    return new Quantity(-this.nano, this.format);
  }

  /** Multiplied by a whole number. */
  mul(factor: number): Quantity {
    return new Quantity(this.nano * BigInt(factor), this.format);
  }

  /** Rounded away from zero to thousandths, as resource lists are when they are defaulted. */
  roundedToMilli(): Quantity {
    if (this.nano % 1_000_000n === 0n) return this;
    const step = this.nano > 0n ? 1n : -1n;
    return new Quantity((this.nano / 1_000_000n + step) * 1_000_000n, this.format);
  }

  toNumber(): number {
    return Number(this.nano) / 1e9;
  }

  /** The canonical text: the largest suffix that keeps the number whole. */
  toString(): string {
    return (this.#text ??= canonical(this.nano, this.format));
  }

  toJSON(): string {
    return this.toString();
  }

  static ofMilli(milli: number, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(BigInt(milli) * 1_000_000n, format);
  }

  static ofValue(value: number, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(BigInt(value) * NANO, format);
  }
}

export const ZERO = new Quantity(0n);

const MEMO_SIZE = 8192;
const memo = new Map<string, Quantity>();

/** Throws QuantityError. JSON numbers are accepted as upstream does. */
export function parseQuantity(text: string | number): Quantity {
  const key = typeof text === 'string' ? text : String(text);
  if (key.length > MAX_LENGTH) throw new QuantityError(ERR_FORMAT);
  const known = memo.get(key);
  if (known) return known;
  const parsed = parse(key.trim());
  if (memo.size >= MEMO_SIZE) memo.clear();
  memo.set(key, parsed);
  return parsed;
}

/** Upstream's error text for a text that is no quantity, else undefined. */
export function quantityError(text: string | number): string | undefined {
  try {
    parseQuantity(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** `1000m` -> `1`. Throws QuantityError. */
export const canonicalQuantity = (text: string | number): string => parseQuantity(text).toString();

/** -1, 0 or 1. Throws QuantityError. */
export const compareQuantities = (a: string, b: string): number =>
  a === b ? 0 : parseQuantity(a).compare(parseQuantity(b));

/** Whole units of a quantity that may be absent (0). Throws QuantityError. */
export const quantityValue = (text: string | number | undefined): number =>
  text === undefined ? 0 : parseQuantity(text).value;

/** Thousandths of a quantity that may be absent (0). Throws QuantityError. */
export const quantityMilliValue = (text: string | number | undefined): number =>
  text === undefined ? 0 : parseQuantity(text).milliValue;

function parse(text: string): Quantity {
  const match = text === '' ? null : SPLIT.exec(text);
  if (!match) throw new QuantityError(ERR_FORMAT);
  const [, sign, whole = '', fraction = '', suffix = ''] = match;
  const negative = sign === '-';
  const digits = BigInt(whole + fraction || '0');
  const binary = BINARY.indexOf(suffix);
  if (binary > 0) return binaryQuantity(digits << BigInt(10 * binary), fraction.length, negative);
  let exponent = DECIMAL.get(suffix);
  let format: QuantityFormat = 'DecimalSI';
  if (exponent === undefined) {
    const match = EXPONENT.exec(suffix);
    if (!match) throw new QuantityError(ERR_SUFFIX);
    exponent = Number(match[1]);
    if (exponent > MAX_EXPONENT) throw new QuantityError(ERR_SUFFIX);
    exponent = Math.max(exponent, -MAX_EXPONENT);
    format = 'DecimalExponent';
  }
  const nano = scaleUp(digits, exponent + 9 - fraction.length);
  return new Quantity(negative ? -nano : nano, format);
}

function binaryQuantity(digits: bigint, fraction: number, negative: boolean): Quantity {
  let nano = scaleUp(digits, 9 - fraction);
  if (nano > MAX_BINARY * NANO) nano = MAX_BINARY * NANO;
  const format = nano < NANO ? 'DecimalSI' : 'BinarySI';
  return new Quantity(negative ? -nano : nano, format);
}

/** digits * 10^power, rounded up. */
function scaleUp(digits: bigint, power: number): bigint {
  if (power >= 0) return digits * 10n ** BigInt(power);
  const divisor = 10n ** BigInt(-power);
  return (digits + divisor - 1n) / divisor;
}

function roundAway(nano: bigint, unit: bigint): number {
  const quotient = nano / unit;
  if (nano % unit === 0n) return Number(quotient);
  return Number(nano > 0n ? quotient + 1n : quotient - 1n);
}

function canonical(nano: bigint, format: QuantityFormat): string {
  if (nano === 0n) return '0';
  const size = nano < 0n ? -nano : nano;
  if (format === 'BinarySI' && size >= 1024n * NANO && nano % NANO === 0n) {
    let number = nano / NANO;
    let step = 0;
    while (step < BINARY.length - 1 && (number & 1023n) === 0n) {
      number >>= 10n;
      step++;
    }
    return `${number}${BINARY[step]}`;
  }
  let number = nano;
  let exponent = -9;
  while (number % 1000n === 0n) {
    number /= 1000n;
    exponent += 3;
  }
  const suffix = format === 'DecimalExponent' ? undefined : DECIMAL_BY_EXPONENT.get(exponent);
  return `${number}${suffix ?? (exponent === 0 ? '' : `e${exponent}`)}`;
}
