// Objects in normal form to Kubernetes protobuf, as Go's encoders write them: the zero of every field that is no
// pointer is on the wire.

import type { KubeObject } from './object.ts';
import { writeScalar } from './protobuf-scalars.ts';
import { WireWriter } from './protobuf-wire.ts';
import { MAGIC, structForType } from './protobuf.ts';
import { isObject, type JsonObject } from './json-values.ts';
import type { FieldNode, ScalarNode, StructNode, TypeNode } from './schema.ts';

/** The whole body of an object: envelope and message. Throws an Error for a type without a structure. */
export function encodeProtobuf(object: Partial<KubeObject>, struct?: StructNode): Uint8Array {
  const { apiVersion = '', kind = '' } = object;
  const known = struct ?? structForType(apiVersion, kind);
  if (!known)
    throw new Error(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
  const type = new WireWriter();
  type.field(1, apiVersion);
  type.field(2, kind);
  const envelope = new WireWriter();
  envelope.field(1, type.finish());
  envelope.field(2, encodeMessage(known, object as JsonObject));
  envelope.field(3, '');
  envelope.field(4, '');
  const body = envelope.finish();
  const out = new Uint8Array(MAGIC.length + body.length);
  out.set(MAGIC);
  out.set(body, MAGIC.length);
  return out;
}

type WireField = { readonly number: number } & ({ readonly inner: StructNode } | { readonly field: FieldNode });
const layouts = new WeakMap<StructNode, readonly WireField[]>();

/** What a message holds, in the order of the wire. */
function layoutOf(struct: StructNode): readonly WireField[] {
  let layout = layouts.get(struct);
  if (layout) return layout;
  const fields: WireField[] = struct.wireMessages.map(({ number, struct: inner }) => ({ number, inner }));
  for (const field of struct.fields.values()) {
    if (field.number !== undefined) fields.push({ number: field.number, field });
  }
  layout = fields.sort((a, b) => a.number - b.number);
  layouts.set(struct, layout);
  return layout;
}

export function encodeMessage(struct: StructNode, value: JsonObject): Uint8Array {
  const writer = new WireWriter();
  for (const part of layoutOf(struct)) {
    if ('inner' in part) writer.field(part.number, encodeMessage(part.inner, value));
    else writeField(writer, part.number, part.field, value[part.field.name]);
  }
  return writer.finish();
}

function writeField(writer: WireWriter, number: number, field: FieldNode, value: unknown): void {
  const { type } = field;
  if (value === undefined || value === null) {
    if (field.pointer) return;
    if (type.node === 'struct') writer.field(number, encodeMessage(type, {}));
    else if (type.node === 'scalar' && type.scalar !== 'bytes') {
      if (type.scalar !== 'any' || !/JSON/.test(type.goType ?? '')) writeItem(writer, number, type, zeroOf(type));
    }
  } else if (type.node === 'list') {
    for (const item of value as unknown[]) writeItem(writer, number, type.items, item);
  } else if (type.node === 'map') {
    const map = value as JsonObject;
    for (const key of Object.keys(map).sort()) writer.field(number, entry(key, type.values, map[key]));
  } else writeItem(writer, number, type, value);
}

function zeroOf({ scalar }: ScalarNode): unknown {
  if (scalar === 'string') return '';
  if (scalar === 'quantity') return '0';
  if (scalar === 'duration') return '0s';
  return scalar === 'time' || scalar === 'microTime' || scalar === 'any' ? null : 0;
}

function writeItem(writer: WireWriter, number: number, type: TypeNode, value: unknown): void {
  if (type.node === 'scalar') return writeScalar(writer, number, type, value, encodeMessage);
  writer.field(number, encodeMessage(type as StructNode, isObject(value) ? value : {}));
}

function entry(key: string, values: TypeNode, value: unknown): Uint8Array {
  const writer = new WireWriter();
  writer.field(1, key);
  if (values.node === 'list') {
    const list = new WireWriter();
    for (const item of value as unknown[]) writeItem(list, 1, values.items, item);
    writer.field(2, list.finish());
  } else writeItem(writer, 2, values, value);
  return writer.finish();
}
