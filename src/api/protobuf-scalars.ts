// How scalars of the schema stand on the protobuf wire: many are messages of their own.

import { JsonError, parseJson } from './json.ts';
import { isObject, type JsonObject } from './json-values.ts';
import { BYTES, FIXED64, ProtobufError, WireReader, WireWriter } from './protobuf-wire.ts';
import { findStruct, type ScalarNode, type StructNode } from './schema.ts';

/** Reads one occurrence of a field; `before` is what earlier occurrences gave. Undefined: the value is not set. */
export type ReadField = (reader: WireReader, wire: number, before: unknown) => unknown;

type DecodeMessage = (struct: StructNode, bytes: Uint8Array) => JsonObject;

export function scalarReader(node: ScalarNode, message: DecodeMessage): ReadField {
  switch (node.scalar) {
    case 'string':
      return (reader) => reader.text();
    case 'bool':
      return (reader) => reader.varint() !== 0;
    case 'int32':
    case 'int64':
      return (reader) => reader.varint();
    case 'float64':
      return (reader, wire) => (wire === FIXED64 ? reader.double() : reader.varint());
    case 'bytes':
      return (reader) => base64Of(reader.bytes());
    case 'time':
      return (reader) => timeText(reader.bytes(), 0);
    case 'microTime':
      return (reader) => timeText(reader.bytes(), 6);
    case 'duration':
      return (reader) => `${(partsOf(reader.bytes()).get(1) as number | undefined) ?? 0}ns`;
    case 'quantity':
      return (reader) => textOf(partsOf(reader.bytes()).get(1)) || '0';
    case 'intOrString':
      return (reader) => {
        const parts = partsOf(reader.bytes());
        return parts.get(1) === 1 ? textOf(parts.get(3)) : (parts.get(2) ?? 0);
      };
    case 'any':
      return (reader) => anyValue(reader.bytes(), node.goType, message);
  }
}

/** The fields of a small message by number: varints as numbers, the rest as bytes; the last one wins. */
function partsOf(bytes: Uint8Array): Map<number, number | Uint8Array> {
  const parts = new Map<number, number | Uint8Array>();
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const [number, wire] = reader.tag();
    if (wire === BYTES) parts.set(number, reader.bytes());
    else if (wire === 0) parts.set(number, reader.varint());
    else reader.skip(wire);
  }
  return parts;
}

const decoder = new TextDecoder();
const textOf = (part: number | Uint8Array | undefined) => (part instanceof Uint8Array ? decoder.decode(part) : '');

export function base64Of(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

export const bytesOfBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** {1: seconds, 2: nanos}; the empty message is the zero time, which JSON shows as null or not at all. */
function timeText(bytes: Uint8Array, digits: 0 | 6): string | undefined {
  if (bytes.length === 0) return undefined;
  const parts = partsOf(bytes);
  const seconds = (parts.get(1) as number | undefined) ?? 0;
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) throw new ProtobufError('time out of range');
  const text = date.toISOString().slice(0, 19);
  if (digits === 0) return `${text}Z`;
  const micros = Math.floor(((parts.get(2) as number | undefined) ?? 0) / 1000);
  return `${text}.${String(micros).padStart(6, '0')}Z`;
}

function anyValue(bytes: Uint8Array, goType: string | undefined, message: DecodeMessage): unknown {
  const props = () => findStruct('apiextensions.v1.JSONSchemaProps')!;
  const parts = partsOf(bytes);
  const [one, two] = [parts.get(1), parts.get(2)];
  switch (goType) {
    case 'apiextensions.v1.JSONSchemaPropsOrBool':
      return two instanceof Uint8Array ? message(props(), two) : one === 1;
    case 'apiextensions.v1.JSONSchemaPropsOrArray':
      return one instanceof Uint8Array ? message(props(), one) : repeated(bytes).map((item) => message(props(), item));
    case 'apiextensions.v1.JSONSchemaPropsOrStringArray':
      return one instanceof Uint8Array ? message(props(), one) : repeated(bytes).map((item) => decoder.decode(item));
  }
  // RawExtension, FieldsV1, JSON: {1: the JSON text}
  if (!(one instanceof Uint8Array) || one.length === 0) return undefined;
  try {
    return parseJson(one).value;
  } catch (error) {
    if (error instanceof JsonError) throw new ProtobufError(error.message);
    throw error;
  }
}

/** The occurrences of field 2. */
function repeated(bytes: Uint8Array): Uint8Array[] {
  const out: Uint8Array[] = [];
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const [number, wire] = reader.tag();
    if (number === 2 && wire === BYTES) out.push(reader.bytes());
    else reader.skip(wire);
  }
  return out;
}

const encoder = new TextEncoder();
type EncodeMessage = (struct: StructNode, value: JsonObject) => Uint8Array;

/** Writes one occurrence of a field; `value` is in normal form. */
export function writeScalar(
  writer: WireWriter,
  number: number,
  node: ScalarNode,
  value: unknown,
  encode: EncodeMessage,
): void {
  switch (node.scalar) {
    case 'string':
      return writer.field(number, value as string);
    case 'bool':
      return writer.number(number, Number(value));
    case 'int32':
    case 'int64':
      return writer.number(number, value as number);
    case 'float64':
      writer.tag(number, FIXED64);
      return writer.double(value as number);
    case 'bytes':
      return writer.field(number, bytesOfBase64(value as string));
    default:
      return writer.field(number, scalarMessage(node, value, encode));
  }
}

function scalarMessage(node: ScalarNode, value: unknown, encode: EncodeMessage): Uint8Array {
  const writer = new WireWriter();
  switch (node.scalar) {
    case 'time':
    case 'microTime':
      if (value !== null && value !== undefined) {
        const text = value as string;
        writer.number(1, Math.floor(Date.parse(text) / 1000));
        writer.number(2, Number((/\.(\d+)/.exec(text)?.[1] ?? '').padEnd(9, '0')));
      }
      break;
    case 'quantity':
      writer.field(1, value as string);
      break;
    case 'duration':
      writer.number(1, Number.parseInt(value as string, 10));
      break;
    case 'intOrString':
      writer.number(1, typeof value === 'string' ? 1 : 0);
      writer.number(2, typeof value === 'string' ? 0 : (value as number));
      writer.field(3, typeof value === 'string' ? value : '');
      break;
    default:
      writeAny(writer, node.goType, value, encode);
  }
  return writer.finish();
}

function writeAny(writer: WireWriter, goType: string | undefined, value: unknown, encode: EncodeMessage): void {
  const props = () => findStruct('apiextensions.v1.JSONSchemaProps')!;
  switch (goType) {
    case 'apiextensions.v1.JSONSchemaPropsOrBool':
      writer.number(1, Number(value !== false));
      if (isObject(value)) writer.field(2, encode(props(), value));
      return;
    case 'apiextensions.v1.JSONSchemaPropsOrArray':
    case 'apiextensions.v1.JSONSchemaPropsOrStringArray':
      if (isObject(value)) writer.field(1, encode(props(), value));
      else
        for (const item of value as unknown[])
          writer.field(2, isObject(item) ? encode(props(), item) : (item as string));
      return;
    default:
      if (value !== null && value !== undefined) writer.field(1, encoder.encode(JSON.stringify(value)));
  }
}
