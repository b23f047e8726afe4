// A kind is one value: everything the machinery needs to know about a resource, in one place. Built-in kinds are made
// by `defineKind` in kinds/<group>/<kind>.ts; a CustomResourceDefinition becomes the same value at run time.

import type { Random } from '../base/env.ts';
import type { FieldError } from './errors.ts';
import { joinApiVersion, type KubeObject } from './object.ts';
import type { UserInfo, Verb } from './op.ts';
import { structOf, type StructNode } from './schema.ts';

export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  /** OpenAPI format; `name` marks the column that names the object. */
  readonly format?: string;
  /** 0 is always shown, 1 with -o wide. */
  readonly priority?: number;
  readonly description?: string;
}
export type Cell = string | number | boolean | null;

/** What a strategy may know about the request besides the objects. */
export interface StrategyContext {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly random: Random;
  readonly user: UserInfo;
}

export interface ScaleSubresource {
  /** Reads desired and observed replicas and the selector's text form. */
  read(object: KubeObject): { readonly replicas: number; readonly statusReplicas: number; readonly selector: string };
  /** A copy of the object with the desired replicas set. */
  write(object: KubeObject, replicas: number): KubeObject;
}

/** A method type, so that kinds of any object type fit in one collection (methods are bivariant). */
type FieldReader<T> = { read(object: T): string }['read'];

/** `T` is the kind's object type. Functions that take a `draft` may change it; all others must not. */
export interface KindDefinition<T extends KubeObject> {
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The resource's plural, lower case. */
  readonly plural: string;
  readonly singular?: string;
  readonly listKind?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly namespaced: boolean;
  /** The type's name in the facts; by default `<group's first label>.<version>.<kind>`. */
  readonly type?: string;
  /** Overrides `type`: the structure of a custom resource. */
  readonly schema?: StructNode;
  /** What the main resource allows; all verbs unless told. `[]` hides it (e.g. only subresources exist). */
  readonly verbs?: readonly Exclude<Verb, 'connect'>[];
  /** Not stored: create answers at once (SubjectAccessReview, TokenReview); a handler in server/ computes the answer. */
  readonly virtual?: boolean;

  /** This kind is another form of a stored one (events.k8s.io/v1 Event of core/v1 Event): how to convert both ways. */
  readonly storedAs?: { readonly kind: AnyKind; to(object: T): KubeObject; from(stored: KubeObject): T };

  /** How names are checked: `subdomain` (RFC 1123, default), `label` (RFC 1123), `service` (RFC 1035), `path` (a path segment). */
  readonly names?: 'subdomain' | 'label' | 'service' | 'path';
  /** PUT of a missing object creates it. */
  readonly createOnUpdate?: boolean;
  /** PUT without resourceVersion is refused (upstream's AllowUnconditionalUpdate false). */
  readonly requireVersionOnUpdate?: boolean;

  /** Fills in default values, on create, update and read of what a client sent. */
  default?(draft: T): void;
  /** Drops what a creator may not set (status) and sets what the server owns. */
  prepareForCreate?(draft: T, context: StrategyContext): void;
  /** Restores what an updater of the main resource may not change besides status (which the registry restores). */
  prepareForUpdate?(draft: T, old: T, context: StrategyContext): void;
  validate?(object: T, context: StrategyContext): FieldError[];
  /** Runs besides `validate` on update: immutable fields. */
  validateUpdate?(object: T, old: T, context: StrategyContext): FieldError[];
  /** Texts for Warning headers. */
  warnings?(object: T, old: T | undefined): string[];
  /** metadata.generation starts at 1 and grows when anything but metadata and status changes. */
  readonly generation?: boolean;
  /** Further changes that make the generation grow. */
  bumpsGeneration?(draft: T, old: T): boolean;

  /** Has /status: the main resource ignores status, /status ignores the rest. */
  readonly status?: {
    /** A write to status leaves labels, annotations, finalizers and owners alone: custom resources, and some newer kinds. */
    readonly keepsMetadata?: boolean;
    /**
     * What `default` does to status alone. Where it is given, a write to status that sends the rest back as it was read
     * need not be defaulted there.
     */
    default?(draft: T): void;
    prepareForUpdate?(draft: T, old: T, context: StrategyContext): void;
    validateUpdate?(object: T, old: T, context: StrategyContext): FieldError[];
  };
  readonly scale?: ScaleSubresource;
  /** Further subresources, for discovery: verbs and the kind they speak when it is another. Handlers live in server/subresources. */
  readonly subresources?: Readonly<
    Record<
      string,
      { readonly verbs: readonly string[]; readonly group?: string; readonly version?: string; readonly kind?: string }
    >
  >;
  /** Fields usable in field selectors besides metadata.name and metadata.namespace. */
  readonly selectableFields?: Readonly<Record<string, FieldReader<T>>>;
  /** Seconds until a delete without explicit period removes the object: pods. Undefined: at once. */
  gracefulDeletion?(object: T, requestedSeconds: number | undefined): number | undefined;
  /** Propagation when a delete does not say: ReplicationControllers and the like of old orphan. Background by default. */
  readonly defaultPropagation?: 'Background' | 'Orphan';
  /** Table columns and the cells of one row; by default Name and Age. */
  readonly columns?: readonly Column[];
  row?(object: T, now: number): Cell[];
}

export interface Kind<T extends KubeObject = KubeObject> extends KindDefinition<T> {
  readonly apiVersion: string;
  readonly singular: string;
  readonly listKind: string;
  readonly schema: StructNode;
  /** `plural.group`, or the plural alone in the core group: the form of RBAC and messages. */
  readonly resource: string;
  /** Type marker; never set. */
  readonly _object?: T;
}

export function defineKind<T extends KubeObject>(definition: KindDefinition<T>): Kind<T> {
  const { group, version, kind, plural } = definition;
  let schema = definition.schema;
  return {
    singular: kind.toLowerCase(),
    listKind: `${kind}List`,
    ...definition,
    apiVersion: joinApiVersion(group, version),
    resource: group ? `${plural}.${group}` : plural,
    get schema() {
      return (schema ??= structOf(definition.type ?? `${group.split('.')[0] || 'core'}.${version}.${kind}`));
    },
  };
}

/** The object type of a kind: `ObjectOf<typeof Pod>`. */
export type ObjectOf<K> = K extends Kind<infer T> ? T : never;
/** Any kind, whatever its object type. */
export type AnyKind = Kind<KubeObject>;
