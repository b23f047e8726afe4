// IntOrString: a count, or a percentage of some total (maxSurge, maxUnavailable, minAvailable).

export type IntOrString = number | string;

const PERCENT = /^[+-]?[0-9]+%$/;

/**
 * The count a value stands for: itself, or its percentage of `total`, rounded up or down.
 * Throws an Error with upstream's text when the value is absent or is neither.
 */
export function scaledValue(value: IntOrString | undefined, total: number, roundUp: boolean): number {
  if (value === undefined || value === null) throw new Error('nil value for IntOrString');
  if (typeof value === 'number') return value;
  const percent = percentOf(value);
  const exact = (percent * total) / 100;
  return roundUp ? Math.ceil(exact) : Math.floor(exact);
}

/** True for `25%`, false for a count and for any other text. */
export const isPercent = (value: IntOrString): boolean => typeof value === 'string' && PERCENT.test(value);

function percentOf(text: string): number {
  if (!text.endsWith('%')) throw new Error('invalid value for IntOrString: invalid type: string is not a percentage');
  if (!PERCENT.test(text)) {
    const number = JSON.stringify(text.slice(0, -1));
    const why = `strconv.Atoi: parsing ${number}: invalid syntax`;
    throw new Error(`invalid value for IntOrString: invalid value ${JSON.stringify(text)}: ${why}`);
  }
  return Number.parseInt(text, 10);
}
