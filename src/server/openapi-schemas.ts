// OpenAPI schemas out of the type nodes: the same structure that decoding and merging walk.

import type { AnyKind } from '../api/kind.ts';
import {
  structOf,
  type FieldNode,
  type ListNode,
  type ScalarNode,
  type StructNode,
  type TypeNode,
} from '../api/schema.ts';

/** Type -> field -> text; the field '' is the type itself. */
export type Descriptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

type Schema = Record<string, unknown>;

const PACKAGES: readonly [prefix: string, name: string][] = [
  ['meta.', 'io.k8s.apimachinery.pkg.apis.meta.'],
  ['machinery/', 'io.k8s.apimachinery.pkg.'],
  ['apiextensions.', 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.'],
  ['apiregistration.', 'io.k8s.kube-aggregator.pkg.apis.apiregistration.'],
];

/** `core.v1.Pod` -> `io.k8s.api.core.v1.Pod`. */
function publicName(type: string): string {
  for (const [prefix, name] of PACKAGES) {
    if (type.startsWith(prefix)) return name + type.slice(prefix.length).replaceAll('/', '.');
  }
  return `io.k8s.api.${type}`;
}

/** The component name of a kind's schema; for custom resources the reversed group, as upstream publishes them. */
export function schemaName(kind: AnyKind): string {
  if (kind.schema.name) return publicName(kind.schema.name);
  return `${kind.group.split('.').reverse().join('.')}.${kind.version}.${kind.kind}`;
}

/** Scalars whose Go type has a schema of its own. */
const NAMED: Readonly<Record<string, Schema>> = {
  'meta.v1.Time': { type: 'string', format: 'date-time' },
  'meta.v1.MicroTime': { type: 'string', format: 'date-time' },
  'meta.v1.Duration': { type: 'string' },
  'meta.v1.FieldsV1': { type: 'object' },
  'machinery/api/resource.Quantity': { oneOf: [{ type: 'string' }, { type: 'number' }] },
  'machinery/util/intstr.IntOrString': { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  'machinery/runtime.RawExtension': { type: 'object' },
};

const PLAIN: Readonly<Record<string, Schema>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  float64: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
  time: { type: 'string', format: 'date-time' },
  microTime: { type: 'string', format: 'date-time' },
  duration: { type: 'string' },
  quantity: { type: 'string' },
  intOrString: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  any: {},
};

/** Collects the schemas of kinds and of everything they refer to. */
export class OpenApiSchemas {
  readonly #descriptions: Descriptions;
  readonly #schemas = new Map<string, Schema>();

  constructor(descriptions: Descriptions) {
    this.#descriptions = descriptions;
  }

  addKind(kind: AnyKind): void {
    const gvk = [{ group: kind.group, version: kind.version, kind: kind.kind }];
    const name = schemaName(kind);
    if (kind.schema.name) this.#addStruct(kind.schema);
    else this.#schemas.set(name, this.#structSchema(kind.schema));
    Object.assign(this.#schemas.get(name)!, { 'x-kubernetes-group-version-kind': gvk });
    this.#schemas.set(`${name.slice(0, name.lastIndexOf('.') + 1)}${kind.listKind}`, {
      type: 'object',
      description: `${kind.listKind} is a list of ${kind.kind}`,
      required: ['items'],
      properties: {
        apiVersion: PLAIN['string'],
        kind: PLAIN['string'],
        items: { type: 'array', items: { $ref: reference(name) } },
        metadata: this.#ref('meta.v1.ListMeta'),
      },
      'x-kubernetes-group-version-kind': [{ ...gvk[0], kind: kind.listKind }],
    });
  }

  addBuiltin(type: string): void {
    this.#addStruct(structOf(type));
  }

  /** By component name, sorted. */
  all(): Record<string, Schema> {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #addStruct(struct: StructNode): void {
    const name = publicName(struct.name);
    if (this.#schemas.has(name)) return;
    const schema: Schema = {};
    // Registered before its fields are walked: types refer to themselves.
    this.#schemas.set(name, schema);
    Object.assign(schema, this.#structSchema(struct));
  }

  #structSchema(struct: StructNode): Schema {
    const texts = this.#descriptions[struct.name] ?? {};
    const properties: Record<string, Schema> = {};
    const required: string[] = [];
    for (const field of struct.fields.values()) {
      properties[field.name] = this.#fieldSchema(field, texts[field.name]);
      if (field.required) required.push(field.name);
    }
    return {
      ...(texts[''] ? { description: texts[''] } : {}),
      type: 'object',
      ...(struct.fields.size ? { properties } : {}),
      ...(required.length ? { required } : {}),
      ...(struct.preserveUnknown ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
    };
  }

  #fieldSchema(field: FieldNode, description: string | undefined): Schema {
    const schema = this.#typeSchema(field.type);
    const about = description ? { description } : {};
    const fallback =
      field.default !== undefined && !field.default.startsWith('ref(')
        ? { default: JSON.parse(field.default) as unknown }
        : {};
    // A reference may have no siblings in OpenAPI 3.0, so it is wrapped when there is more to say.
    if ('$ref' in schema) return { allOf: [schema], ...about, ...fallback };
    const patch = field.patchStrategy.length ? { 'x-kubernetes-patch-strategy': field.patchStrategy.join(',') } : {};
    return { ...about, ...schema, ...fallback, ...patch };
  }

  #typeSchema(type: TypeNode): Schema {
    if (type.node === 'scalar') return this.#scalarSchema(type);
    if (type.node === 'list') return this.#listSchema(type);
    if (type.node === 'map') {
      const atomic = type.atomic ? { 'x-kubernetes-map-type': 'atomic' } : {};
      return { type: 'object', additionalProperties: this.#typeSchema(type.values), ...atomic };
    }
    if (!type.name) return this.#structSchema(type);
    this.#addStruct(type.atomic ? structOf(type.name) : type);
    return { $ref: reference(publicName(type.name)) };
  }

  #scalarSchema(type: ScalarNode): Schema {
    const named = type.goType ? NAMED[type.goType] : undefined;
    if (named) return this.#ref(type.goType!, named);
    return { ...PLAIN[type.scalar] };
  }

  #listSchema(type: ListNode): Schema {
    const keys = type.listMapKeys.length ? { 'x-kubernetes-list-map-keys': type.listMapKeys } : {};
    const mergeKey = type.mergeKey ? { 'x-kubernetes-patch-merge-key': type.mergeKey } : {};
    return {
      type: 'array',
      items: this.#typeSchema(type.items),
      'x-kubernetes-list-type': type.listType,
      ...keys,
      ...mergeKey,
    };
  }

  #ref(type: string, schema?: Schema): Schema {
    const name = publicName(type);
    if (!this.#schemas.has(name)) {
      if (schema)
        this.#schemas.set(name, {
          ...(this.#descriptions[type]?.[''] ? { description: this.#descriptions[type][''] } : {}),
          ...schema,
        });
      else this.#addStruct(structOf(type));
    }
    return { $ref: reference(name) };
  }
}

const reference = (name: string) => `#/components/schemas/${name}`;
