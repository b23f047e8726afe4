// Compiles the nodes of the schema into decoders, once per struct. Structs without a name belong to custom resources:
// there values of the wrong type and nulls are left for the schema's validation.

import { structOf, type FieldNode, type StructNode, type TypeNode } from './schema.ts';
import { KEY_MARK, type DecodeContext } from './typed-context.ts';
import { goName, hasEmptyValue, mismatchText, scalarDecoder, scalarZero, type Decode } from './typed-scalars.ts';

type Fields = Record<string, unknown>;

interface FieldDecoder {
  readonly decode: Decode;
  /** Holds structs somewhere below: worth a step on the path. */
  readonly nested: boolean;
  /** The decoded value is left out of JSON. */
  readonly drops: (value: unknown) => boolean;
}

/** What stands in JSON when a field is missing. */
interface Fill {
  readonly name: string;
  readonly value: () => unknown;
}

const decoders = new WeakMap<StructNode, StructDecoder>();

export function structDecoder(node: StructNode): StructDecoder {
  let decoder = decoders.get(node);
  if (!decoder) decoders.set(node, (decoder = new StructDecoder(node)));
  return decoder;
}

/** A plain assignment of `__proto__` would change the object's prototype instead. */
function set(target: Fields, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else target[key] = value;
}

/** The fields of a whole object that come first, for the encoder's sake. */
const OBJECT_HEAD = ['apiVersion', 'kind', 'metadata'];

export class StructDecoder {
  readonly #name: string;
  readonly #type: string;
  readonly #preserve: boolean;
  readonly #isObject: boolean;
  readonly #nodes: ReadonlyMap<string, FieldNode>;
  /** Types may contain themselves, so a field is compiled when it is first met. */
  readonly #fields = new Map<string, FieldDecoder>();
  #fills: readonly Fill[] | undefined;

  constructor(node: StructNode) {
    this.#name = node.name;
    this.#type = node.name ? goName(node.name) : 'map[string]interface {}';
    this.#preserve = node.preserveUnknown ?? false;
    this.#isObject = OBJECT_HEAD.every((name) => node.fields.has(name));
    this.#nodes = node.fields;
  }

  decode(input: unknown, context: DecodeContext): unknown {
    if (typeof input !== 'object' || input === null || Array.isArray(input)) {
      if (context.path.length === 0) throw mismatchText(input, this.#type);
      return context.mismatch(input, this.#type);
    }
    const { struct, field } = context;
    const out: Fields = {};
    const values = input as Fields;
    if (this.#isObject) {
      const head =
        context.type && context.path.length === 0 ? { ...context.type, metadata: values['metadata'] } : values;
      for (const name of OBJECT_HEAD) this.#decodeField(name, (head as Fields)[name], out, context);
    }
    for (const key in values) {
      if (this.#isObject && OBJECT_HEAD.includes(key)) continue;
      this.#decodeField(key, values[key], out, context);
    }
    this.#fill(out);
    context.struct = struct;
    context.field = field;
    return out;
  }

  #decodeField(key: string, value: unknown, out: Fields, context: DecodeContext): void {
    const field = this.#fields.get(key) ?? this.#compile(key);
    if (!field) {
      if (this.#preserve) set(out, key, value);
      else if (value !== undefined) context.unknownField(key);
      return;
    }
    if (value === undefined) return;
    if (value === null) {
      if (this.#name === '') out[key] = null;
      return;
    }
    if (context.known !== undefined && context.isKnown(key, value)) {
      out[key] = value;
      return;
    }
    context.struct = this.#name;
    let result: unknown;
    if (field.nested) {
      context.field = '';
      context.path.push(key);
      result = field.decode(value, context);
      context.path.pop();
    } else {
      context.field = key;
      result = field.decode(value, context);
    }
    if (result !== undefined && !field.drops(result)) out[key] = result;
  }

  #compile(key: string): FieldDecoder | undefined {
    const node = this.#nodes.get(key);
    if (!node) return undefined;
    const { type } = node;
    const field = { decode: decoderOf(type), nested: holdsStructs(type), drops: dropRule(node) };
    this.#fields.set(key, field);
    return field;
  }

  #fill(out: Fields): void {
    this.#fills ??= fillsOf(this.#nodes);
    for (const { name, value } of this.#fills) if (out[name] === undefined) out[name] = value();
  }

  /** The zero value of the struct as JSON shows it. */
  zero(): Fields {
    const out: Fields = {};
    this.#fill(out);
    return out;
  }
}

function fillsOf(nodes: ReadonlyMap<string, FieldNode>): Fill[] {
  const fills: Fill[] = [];
  for (const node of nodes.values()) {
    const value = fillRule(node);
    if (value) fills.push({ name: node.name, value });
  }
  return fills;
}

/** JSON schemas are arbitrary JSON to the schema (`items` is an object or a list), but structs to Go. */
const isSchemaUnion = (type: TypeNode) =>
  type.node === 'scalar' &&
  type.scalar === 'any' &&
  (type.goType ?? '').startsWith('apiextensions.v1.JSONSchemaPropsOr');

function schemaUnionDecoder(): Decode {
  const props = structOf('apiextensions.v1.JSONSchemaProps');
  const list = listDecoder(props, '[]v1.JSONSchemaProps');
  return (value, context) => {
    if (Array.isArray(value)) return typeof value[0] === 'string' ? value : list(value, context);
    return typeof value === 'object' ? structDecoder(props).decode(value, context) : value;
  };
}

function holdsStructs(type: TypeNode): boolean {
  if (type.node === 'struct' || isSchemaUnion(type)) return true;
  return type.node === 'list' ? holdsStructs(type.items) : type.node === 'map' && holdsStructs(type.values);
}

const never = () => false;

function dropRule({ type, pointer, omitEmpty, omitZero }: FieldNode): (value: unknown) => boolean {
  if (type.node === 'scalar') {
    if (type.scalar === 'time' || type.scalar === 'microTime') return omitZero ? (value) => value === null : never;
    if (!pointer && omitEmpty && hasEmptyValue(type.scalar))
      return (value) => value === '' || value === 0 || value === false;
    return never;
  }
  if (type.node === 'struct') return omitZero && !pointer ? isEmptyObject : never;
  if (pointer || !omitEmpty) return never;
  return type.node === 'list' ? (value) => Array.isArray(value) && value.length === 0 : isEmptyObject;
}

function isEmptyObject(value: unknown): boolean {
  if (typeof value !== 'object') return false;
  for (const _ in value) return false;
  return true;
}

function fillRule({ type, pointer, omitEmpty, omitZero }: FieldNode): (() => unknown) | undefined {
  if (pointer || type.node === 'list' || type.node === 'map') return omitEmpty ? undefined : () => null;
  if (omitZero) return undefined;
  if (type.node === 'struct') return () => structDecoder(type).zero();
  const zero = scalarZero(type.scalar, omitEmpty, type.goType);
  return zero === undefined ? undefined : () => zero;
}

function typeText(type: TypeNode): string {
  if (type.node === 'list') return `[]${typeText(type.items)}`;
  if (type.node === 'map') return `map[string]${typeText(type.values)}`;
  if (type.node === 'struct') return goName(type.name);
  return type.scalar === 'bytes' ? '[]uint8' : goName(type.goType ?? type.scalar);
}

function decoderOf(type: TypeNode): Decode {
  if (isSchemaUnion(type)) return schemaUnionDecoder();
  if (type.node === 'scalar') return scalarDecoder(type);
  if (type.node === 'list') return listDecoder(type.items, typeText(type));
  if (type.node === 'map') return mapDecoder(type.values, typeText(type));
  let decoder: StructDecoder | undefined;
  return (value, context) => (decoder ??= structDecoder(type)).decode(value, context);
}

/** What a null inside a list or map stands for. */
function zeroOf(type: TypeNode): unknown {
  if (type.node === 'struct') return structDecoder(type).zero();
  return type.node === 'scalar' ? scalarZero(type.scalar, false, type.goType) : null;
}

function listDecoder(items: TypeNode, type: string): Decode {
  const decode = decoderOf(items);
  const nested = holdsStructs(items);
  return (value, context) => {
    if (!Array.isArray(value)) return context.mismatch(value, type);
    const out: unknown[] = [];
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      if (nested) context.path.push(i);
      out.push(item === null || item === undefined ? zeroOf(items) : decode(item, context));
      if (nested) context.path.pop();
    }
    return out;
  };
}

function mapDecoder(values: TypeNode, type: string): Decode {
  const decode = decoderOf(values);
  const nested = holdsStructs(values);
  return (value, context) => {
    if (typeof value !== 'object' || Array.isArray(value)) return context.mismatch(value, type);
    const out: Fields = {};
    for (const key in value) {
      const item = (value as Fields)[key];
      if (item === undefined) continue;
      if (nested) context.path.push(KEY_MARK + key);
      set(out, key, item === null ? zeroOf(values) : decode(item, context));
      if (nested) context.path.pop();
    }
    return out;
  };
}
