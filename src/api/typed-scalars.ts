// Decoders of scalars: one function per scalar, from a JSON value that is not null to its normal form.

import { canonicalQuantity } from './quantity.ts';
import type { Scalar, ScalarNode } from './schema.ts';
import { DecodeError, describe, type DecodeContext } from './typed-context.ts';

export type Decode = (value: unknown, context: DecodeContext) => unknown;

/** `core.v1.PodPhase` -> `v1.PodPhase`: how Go prints a type. */
export function goName(qualified: string): string {
  const slash = qualified.lastIndexOf('/');
  const parts = qualified.slice(slash + 1).split('.');
  return parts.slice(-2).join('.');
}

export function scalarDecoder(node: ScalarNode): Decode {
  const type = node.goType ? goName(node.goType) : node.scalar;
  switch (node.scalar) {
    case 'string':
    case 'duration':
      return (value, context) => (typeof value === 'string' ? value : context.mismatch(value, type));
    case 'bool':
      return (value, context) => (typeof value === 'boolean' ? value : context.mismatch(value, type));
    case 'int32':
      return (value, context) =>
        typeof value === 'number' && value === (value | 0) ? value : context.mismatch(value, type);
    case 'int64':
      return (value, context) =>
        Number.isInteger(value) && Math.abs(value as number) <= 2 ** 63 ? value : context.mismatch(value, type);
    case 'float64':
      return (value, context) => (typeof value === 'number' ? value : context.mismatch(value, type));
    case 'bytes':
      return (value, context) =>
        typeof value === 'string' ? base64(value, context) : context.mismatch(value, '[]uint8');
    case 'quantity':
      return quantity;
    case 'intOrString':
      return intOrString;
    case 'time':
      return time;
    case 'microTime':
      return microTime;
    case 'any':
      return (value) => value;
  }
}

/** What JSON shows for a Go zero value; undefined: nothing. Structs (times, quantities) are shown even with omitempty. */
export function scalarZero(scalar: Scalar, omitEmpty: boolean, goType: string | undefined): unknown {
  switch (scalar) {
    case 'time':
    case 'microTime':
      return null;
    case 'quantity':
      return '0';
    case 'intOrString':
      return 0;
    case 'duration':
      return '0s';
    case 'any':
      return goType === 'machinery/runtime.RawExtension' || !omitEmpty ? null : undefined;
    default:
      if (omitEmpty) return undefined;
  }
  if (scalar === 'bytes') return null;
  return scalar === 'string' ? '' : scalar !== 'bool' && 0;
}

/** True for types whose zero value `omitempty` drops. */
export const hasEmptyValue = (scalar: Scalar): boolean =>
  scalar === 'string' || scalar === 'bool' || scalar === 'bytes' || /^(int|float)\d/.test(scalar);

function quantity(value: unknown, context: DecodeContext): unknown {
  try {
    return canonicalQuantity(typeof value === 'number' ? value : typeof value === 'string' ? value : 'no quantity');
  } catch (error) {
    return context.refuse(value, (error as Error).message);
  }
}

function intOrString(value: unknown, context: DecodeContext): unknown {
  if (typeof value === 'string' || (typeof value === 'number' && value === (value | 0))) return value;
  return context.refuse(value, `json: cannot unmarshal ${describe(value, 'int32')} into Go value of type int32`);
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function base64(text: string, context: DecodeContext): unknown {
  const clean = text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]/g, '') : text;
  if (clean.length % 4 === 0 && BASE64.test(clean)) return clean;
  const good = /^[A-Za-z0-9+/]*/.exec(clean)![0].length;
  const at = good === clean.length ? good - (good % 4) : good;
  return context.refuse(text, `illegal base64 data at input byte ${at}`);
}

const PLAIN_TIME = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;
const ANY_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,](\d+))?(?:Z|[+-]\d\d:\d\d)$/;
const ZERO_TIME = '0001-01-01T00:00:00Z';

function time(value: unknown, context: DecodeContext): unknown {
  if (typeof value === 'string' && PLAIN_TIME.test(value)) return value === ZERO_TIME ? null : value;
  const ms = parseTime(value, context, '2006-01-02T15:04:05Z07:00');
  return typeof ms === 'number' ? `${new Date(ms).toISOString().slice(0, 19)}Z` : ms;
}

function microTime(value: unknown, context: DecodeContext): unknown {
  const layout = '2006-01-02T15:04:05.000000Z07:00';
  const ms = parseTime(value, context, layout);
  if (typeof ms !== 'number') return ms;
  const fraction = ANY_TIME.exec(value as string)![1] ?? '';
  if (fraction.length !== 6) return context.refuse(value, timeError(value as string, layout, 19, '.000000'));
  if (value === '0001-01-01T00:00:00.000000Z') return null;
  return `${new Date(ms).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** Milliseconds; or whatever refusing yields. */
function parseTime(value: unknown, context: DecodeContext, layout: string): unknown {
  if (typeof value !== 'string')
    return context.refuse(value, `json: cannot unmarshal ${describe(value)} into Go value of type string`);
  if (!ANY_TIME.test(value)) return context.refuse(value, timeError(value, layout, 0, '2006'));
  const ms = Date.parse(value.replace(',', '.'));
  const day = Number(value.slice(8, 10));
  const real = day <= new Date(Date.UTC(Number(value.slice(0, 4)), Number(value.slice(5, 7)), 0)).getUTCDate();
  if (Number.isNaN(ms) || !real)
    return context.refuse(value, `parsing time ${JSON.stringify(value)}: ${real ? 'value' : 'day'} out of range`);
  return ms;
}

/** Go names the part of the layout it could not read; `part` stands at `offset` of the text. */
function timeError(text: string, layout: string, offset: number, part: string): string {
  const quoted = (s: string) => JSON.stringify(s);
  return `parsing time ${quoted(text)} as ${quoted(layout)}: cannot parse ${quoted(text.slice(offset))} as ${quoted(part)}`;
}

/** Fails the way Go does for a value that is no struct, list or map. */
export function mismatchText(value: unknown, type: string): DecodeError {
  return new DecodeError(`json: cannot unmarshal ${describe(value)} into Go value of type ${type}`);
}
