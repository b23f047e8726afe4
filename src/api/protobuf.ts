// Kubernetes protobuf bodies to the JSON form of the object: the envelope, and messages by the schema's field numbers.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
// Encoders write the zero of every field that is no pointer; typed decoding drops those, so both passes together give
// the normal form.

import { splitApiVersion } from './object.ts';
import { scalarReader, type ReadField } from './protobuf-scalars.ts';
import { BYTES, ProtobufError, VARINT, WireReader } from './protobuf-wire.ts';
import { findStruct, type FieldNode, type StructNode, type TypeNode } from './schema.ts';
import { setKey, type JsonObject } from './json-values.ts';

export { ProtobufError };

export const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf';
/** `k8s\0` */
export const MAGIC = Uint8Array.of(0x6b, 0x38, 0x73, 0);

export const isProtobuf = (bytes: Uint8Array): boolean => MAGIC.every((byte, i) => bytes[i] === byte);

/** The structure of a built-in type: of the group itself, or one of meta's (DeleteOptions and the like). */
export function structForType(apiVersion: string, kind: string): StructNode | undefined {
  const [group, version] = splitApiVersion(apiVersion);
  return findStruct(`${group.split('.')[0] || 'core'}.${version}.${kind}`) ?? findStruct(`meta.v1.${kind}`);
}

export interface Envelope {
  readonly apiVersion: string;
  readonly kind: string;
  readonly raw: Uint8Array;
  readonly contentType: string;
}

/** Opens the envelope. Throws ProtobufError. */
export function openEnvelope(bytes: Uint8Array): Envelope {
  if (!isProtobuf(bytes)) throw new ProtobufError('provided data does not appear to be a protobuf message');
  const envelope = { apiVersion: '', kind: '', raw: new Uint8Array(0) as Uint8Array, contentType: '' };
  const reader = new WireReader(bytes.subarray(MAGIC.length));
  while (!reader.done) {
    const [number, wire] = reader.tag();
    if (number === 1) {
      const type = new WireReader(reader.bytes());
      while (!type.done) {
        const [number, wire] = type.tag();
        if (number === 1) envelope.apiVersion = type.text();
        else if (number === 2) envelope.kind = type.text();
        else type.skip(wire);
      }
    } else if (number === 2) envelope.raw = reader.bytes();
    else if (number === 4) envelope.contentType = reader.text();
    else reader.skip(wire);
  }
  return envelope;
}

/**
 * A body as JSON, with apiVersion and kind, not yet normalised: typed decoding follows.
 * Throws ProtobufError for bad bytes and for types without a structure.
 */
export function decodeProtobuf(bytes: Uint8Array, find: typeof structForType = structForType): JsonObject {
  const { apiVersion, kind, raw } = openEnvelope(bytes);
  const struct = find(apiVersion, kind);
  if (!struct)
    throw new ProtobufError(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
  const out: JsonObject = { apiVersion, kind };
  decodeMessage(struct, raw, out);
  return out;
}

interface MessageField {
  readonly name: string;
  readonly read: ReadField;
}
interface Message {
  readonly fields: ReadonlyMap<number, MessageField>;
  /** Messages whose fields stand beside the others in JSON. */
  readonly inlined: ReadonlyMap<number, StructNode>;
}
const messages = new WeakMap<StructNode, Message>();

function messageOf(struct: StructNode): Message {
  let message = messages.get(struct);
  if (message) return message;
  const fields = new Map<number, MessageField>();
  for (const field of struct.fields.values()) {
    if (field.number !== undefined) fields.set(field.number, { name: field.name, read: lazyReader(field) });
  }
  message = { fields, inlined: new Map(struct.wireMessages.map(({ number, struct }) => [number, struct])) };
  messages.set(struct, message);
  return message;
}

/** Reads a message's fields into `out`. Unknown fields are skipped, as protobuf wants it. */
export function decodeMessage(struct: StructNode, bytes: Uint8Array, out: JsonObject = {}): JsonObject {
  const { fields, inlined } = messageOf(struct);
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const [number, wire] = reader.tag();
    const field = fields.get(number);
    if (field) {
      const value = field.read(reader, wire, out[field.name]);
      if (value !== undefined) out[field.name] = value;
      continue;
    }
    const inner = wire === BYTES ? inlined.get(number) : undefined;
    if (inner) decodeMessage(inner, reader.bytes(), out);
    else reader.skip(wire);
  }
  return out;
}

/** Types may contain themselves, so a field is compiled when it is first met. */
function lazyReader(field: FieldNode): ReadField {
  let read: ReadField | undefined;
  return (reader, wire, before) => (read ??= readerOf(field.type))(reader, wire, before);
}

function readerOf(type: TypeNode): ReadField {
  switch (type.node) {
    case 'scalar':
      return scalarReader(type, decodeMessage);
    case 'struct':
      // A message that comes in parts is merged.
      return (reader, _wire, before) => decodeMessage(type, reader.bytes(), (before as JsonObject | undefined) ?? {});
    case 'list':
      return listReader(type.items);
    case 'map':
      return mapReader(type.values);
  }
}

function listReader(items: TypeNode): ReadField {
  const read = readerOf(items);
  const packable = items.node === 'scalar' && /^(int|bool|float)/.test(items.scalar);
  const packed = items.node === 'scalar' && items.scalar === 'float64' ? 1 : VARINT;
  return (reader, wire, before) => {
    const list = (before as unknown[] | undefined) ?? [];
    if (packable && wire === BYTES) {
      const inner = new WireReader(reader.bytes());
      while (!inner.done) list.push(read(inner, packed, undefined));
    } else list.push(read(reader, wire, undefined) ?? null);
    return list;
  };
}

/** Each entry is a message {1: key, 2: value}; a list as a value is a message {1: items}. */
function mapReader(values: TypeNode): ReadField {
  const read = values.node === 'list' ? wrappedListReader(values.items) : readerOf(values);
  const zero = values.node === 'struct' ? {} : values.node === 'list' ? [] : null;
  return (reader, _wire, before) => {
    const map = (before as JsonObject | undefined) ?? {};
    const entry = new WireReader(reader.bytes());
    let key = '';
    let value: unknown = zero;
    while (!entry.done) {
      const [number, wire] = entry.tag();
      if (number === 1) key = entry.text();
      else if (number === 2) value = read(entry, wire, undefined) ?? null;
      else entry.skip(wire);
    }
    setKey(map, key, value);
    return map;
  };
}

function wrappedListReader(items: TypeNode): ReadField {
  const read = listReader(items);
  return (reader) => {
    const message = new WireReader(reader.bytes());
    let list: unknown = [];
    while (!message.done) {
      const [number, wire] = message.tag();
      if (number === 1) list = read(message, wire, list);
      else message.skip(wire);
    }
    return list;
  };
}
