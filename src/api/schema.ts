// The structure of API types: what a field is called, what it holds, how it merges, where it sits on the wire.
// Built-in types come from the generated facts, lazily and memoised; a CustomResourceDefinition builds the same nodes
// from its OpenAPI schema. Decoding, merging, server-side apply, OpenAPI and protobuf all walk these nodes.

import { factsJson } from './generated/facts.ts';

export type Scalar =
  | 'string'
  | 'bool'
  | 'int32'
  | 'int64'
  | 'float64'
  | 'bytes' // base64 text in JSON
  | 'time' // RFC 3339, whole seconds
  | 'microTime' // RFC 3339, microseconds
  | 'duration' // Go duration text
  | 'quantity'
  | 'intOrString'
  | 'any'; // arbitrary JSON: RawExtension, FieldsV1, JSON schema defaults

export interface ScalarNode {
  readonly node: 'scalar';
  readonly scalar: Scalar;
  /** The known values of a named string; closed only when `closed`. */
  readonly values?: readonly string[];
  /** The declared Go type, for protobuf forms that differ from JSON (e.g. machinery/util/intstr.IntOrString). */
  readonly goType?: string;
}

export interface ListNode {
  readonly node: 'list';
  readonly items: TypeNode;
  /** Server-side apply. Defaults to atomic. */
  readonly listType: 'atomic' | 'set' | 'map';
  readonly listMapKeys: readonly string[];
  /** Strategic merge patch: the declared strategies and the merge key. */
  readonly patchStrategy: readonly ('merge' | 'replace' | 'retainKeys')[];
  readonly mergeKey: string | undefined;
}

export interface MapNode {
  readonly node: 'map';
  readonly values: TypeNode;
  readonly atomic: boolean;
}

export interface StructNode {
  readonly node: 'struct';
  /** e.g. `core.v1.Pod`; empty for anonymous structures of custom resources. */
  readonly name: string;
  /** Fields by JSON name; the fields of inlined structs are included. */
  readonly fields: ReadonlyMap<string, FieldNode>;
  /** Structs that are inline in JSON but a message of their own on the protobuf wire. */
  readonly wireMessages: readonly { readonly number: number; readonly struct: StructNode }[];
  /** Unknown fields are kept instead of refused (x-kubernetes-preserve-unknown-fields). */
  readonly preserveUnknown?: boolean;
  readonly atomic: boolean;
}

export interface FieldNode {
  readonly name: string;
  readonly type: TypeNode;
  /** Go pointer: a zero value is a set value. */
  readonly pointer: boolean;
  /** Left out of JSON when empty (for a struct: only with `omitZero`). */
  readonly omitEmpty: boolean;
  readonly omitZero: boolean;
  readonly required: boolean;
  /** The declared default as JSON text, or `ref(Name)`. */
  readonly default: string | undefined;
  /** Protobuf field number; undefined for fields reached through a wire message or not on the wire. */
  readonly number: number | undefined;
  /** Strategic merge on struct fields: retainKeys. */
  readonly patchStrategy: readonly ('merge' | 'replace' | 'retainKeys')[];
  /** The feature gate in front of the field, if any. */
  readonly gate: string | undefined;
}

export type TypeNode = ScalarNode | ListNode | MapNode | StructNode;

interface RawField {
  t: string;
  list?: 1;
  map?: 1;
  ptr?: 1;
  omit?: 1;
  omitzero?: 1;
  opt?: 1;
  req?: 1;
  inline?: 1;
  n?: number;
  default?: string;
  patch?: string;
  mergeKey?: string;
  listType?: 'atomic' | 'set' | 'map';
  listMapKeys?: string[];
  mapType?: string;
  structType?: string;
  gate?: string;
}
interface RawScalar {
  t: string;
  list?: 1;
  map?: 1;
  values?: string[];
}

const SCALARS: Readonly<Record<string, Scalar>> = {
  string: 'string',
  bool: 'bool',
  int32: 'int32',
  int64: 'int64',
  float64: 'float64',
  bytes: 'bytes',
  'meta.v1.Time': 'time',
  'meta.v1.MicroTime': 'microTime',
  'meta.v1.Duration': 'duration',
  'machinery/types.UID': 'string',
  'machinery/api/resource.Quantity': 'quantity',
  'machinery/util/intstr.IntOrString': 'intOrString',
  'machinery/runtime.RawExtension': 'any',
  'meta.v1.FieldsV1': 'any',
  'meta.v1.interface{}': 'any',
  'apiextensions.v1.JSON': 'any',
  'apiextensions.v1.JSONSchemaPropsOrBool': 'any',
  'apiextensions.v1.JSONSchemaPropsOrArray': 'any',
  'apiextensions.v1.JSONSchemaPropsOrStringArray': 'any',
};

interface Facts {
  types: Record<string, { fields?: Record<string, RawField>; markers?: string[] }>;
  scalars: Record<string, RawScalar>;
}
let parsed: Facts | undefined;
const facts = () => (parsed ??= JSON.parse(factsJson) as Facts);

const structs = new Map<string, StructNode>();
const qualified = (t: string) => t.replace(/^metav1\./, 'meta.v1.');
const ANY: ScalarNode = { node: 'scalar', scalar: 'any' };

/** The node of a built-in struct, if this release has it. */
export const findStruct = (name: string): StructNode | undefined => (facts().types[name] ? structOf(name) : undefined);

/** The node of a built-in struct, e.g. `core.v1.Pod`. Throws for a name the release does not have. */
export function structOf(name: string): StructNode {
  const known = structs.get(name);
  if (known) return known;
  const raw = facts().types[name];
  if (!raw) throw new Error(`no API type ${name} in this release`);
  const struct: StructNode & { fields: Map<string, FieldNode> } = {
    node: 'struct',
    name,
    fields: new Map(),
    wireMessages: [],
    atomic: raw.markers?.includes('structType=atomic') ?? false,
  };
  structs.set(name, struct);
  addFields(struct.fields, struct.wireMessages as { number: number; struct: StructNode }[], raw.fields ?? {}, true);
  return struct;
}

function addFields(
  into: Map<string, FieldNode>,
  messages: { number: number; struct: StructNode }[],
  raw: Record<string, RawField>,
  onWire: boolean,
): void {
  for (const [name, field] of Object.entries(raw)) {
    if (field.inline) {
      const inner = qualified(field.t);
      if (field.n !== undefined && onWire) messages.push({ number: field.n, struct: structOf(inner) });
      const innerOnWire = onWire && field.n === undefined && inner !== 'meta.v1.TypeMeta';
      addFields(into, messages, facts().types[inner]?.fields ?? {}, innerOnWire);
    } else if (!name.startsWith('~')) {
      into.set(name, fieldNode(name, field, onWire));
    }
  }
}

function fieldNode(name: string, raw: RawField, onWire: boolean): FieldNode {
  let type: TypeNode | undefined;
  return {
    name,
    get type() {
      return (type ??= typeOf(raw));
    },
    pointer: raw.ptr === 1,
    omitEmpty: raw.omit === 1,
    omitZero: raw.omitzero === 1,
    required: raw.req === 1 || (raw.opt !== 1 && raw.omit !== 1),
    default: raw.default,
    number: onWire ? raw.n : undefined,
    patchStrategy: (raw.patch?.split(',') ?? []) as FieldNode['patchStrategy'],
    gate: raw.gate,
  };
}

function typeOf(raw: RawField): TypeNode {
  let inner = namedType(raw.t);
  const treated = raw.structType ?? (raw.map ? undefined : raw.mapType);
  if (treated !== undefined && inner.node === 'struct') inner = { ...inner, atomic: treated === 'atomic' };
  if (raw.map) return { node: 'map', values: inner, atomic: raw.mapType === 'atomic' };
  if (!raw.list) return inner.node === 'map' && raw.mapType === 'atomic' ? { ...inner, atomic: true } : inner;
  return {
    node: 'list',
    items: inner,
    listType: raw.listType ?? 'atomic',
    listMapKeys: raw.listMapKeys ?? [],
    patchStrategy: (raw.patch?.split(',') ?? []) as ListNode['patchStrategy'],
    mergeKey: raw.mergeKey,
  };
}

function namedType(t: string): TypeNode {
  const name = qualified(t);
  const scalar = SCALARS[name];
  if (scalar) return { node: 'scalar', scalar, goType: name };
  const named = facts().scalars[name];
  if (named) {
    const inner = namedType(named.t);
    if (named.map) return { node: 'map', values: inner, atomic: false };
    if (named.list)
      return {
        node: 'list',
        items: inner,
        listType: 'atomic',
        listMapKeys: [],
        patchStrategy: [],
        mergeKey: undefined,
      };
    if (inner.node !== 'scalar') return inner;
    return { ...inner, goType: name, ...(named.values ? { values: named.values } : {}) };
  }
  return facts().types[name] ? structOf(name) : ANY;
}
