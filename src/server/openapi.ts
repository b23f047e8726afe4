// OpenAPI v3: an index, and one document per group version, in two forms. The full one has the schemas `kubectl explain`
// prints. The brief one has only what every other command of kubectl looks for, that writes take `fieldValidation`: kubectl
// parses the document again for each object it applies, which costs up to 60 ms with the full one and 1 ms with this.
// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3

import { fnv1a64 } from '../api/hash.ts';
import type { AnyKind } from '../api/kind.ts';
import type { KindSource } from './discovery.ts';
import { OpenApiSchemas, schemaName, type Descriptions } from './openapi-schemas.ts';

export interface OpenApiDocument {
  readonly contentType: string;
  readonly etag: string;
  readonly body: Uint8Array;
}

const encoder = new TextEncoder();
const gvkOf = (kind: AnyKind) => ({ group: kind.group, version: kind.version, kind: kind.kind });
const pathOf = (group: string, version: string) => (group ? `apis/${group}/${version}` : `api/${version}`);

const text = (name: string, description: string) => ({
  name,
  in: 'query',
  description,
  schema: { type: 'string', uniqueItems: true },
});
const WRITE_PARAMETERS = [
  text('dryRun', 'When present, changes are not persisted; the only valid value is All.'),
  text('fieldManager', 'The name of the actor that makes the change.'),
  text('fieldValidation', 'What to do about unknown or duplicate fields: Ignore, Warn or Strict.'),
];

/** The operations of a kind's main resource, with what clients read of them: the kind, the action and the parameters. */
function pathItems(kind: AnyKind): Record<string, unknown> {
  const has = (verb: string) => !kind.verbs || (kind.verbs as readonly string[]).includes(verb);
  const gvk = gvkOf(kind);
  const body = { content: { 'application/json': { schema: { $ref: `#/components/schemas/${schemaName(kind)}` } } } };
  const operation = (action: string, write: boolean) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
    ...(write ? { parameters: WRITE_PARAMETERS } : {}),
    responses: { 200: { description: 'OK', ...body } },
  });
  const base = `/${pathOf(kind.group, kind.version)}/${kind.namespaced ? 'namespaces/{namespace}/' : ''}${kind.plural}`;
  const collection = {
    ...(has('list') ? { get: operation('list', false) } : {}),
    ...(has('create') ? { post: operation('post', true) } : {}),
  };
  const single = {
    ...(has('get') ? { get: operation('get', false) } : {}),
    ...(has('update') ? { put: operation('put', true) } : {}),
    ...(has('patch') ? { patch: operation('patch', true) } : {}),
    ...(has('delete') ? { delete: operation('delete', false) } : {}),
  };
  return {
    ...(Object.keys(collection).length ? { [base]: collection } : {}),
    ...(Object.keys(single).length ? { [`${base}/{name}`]: single } : {}),
  };
}

/** What kubectl's validation looks for: that a PATCH of this kind has the parameter. */
function briefPathItems(kind: AnyKind): Record<string, unknown> {
  if (kind.verbs && !(kind.verbs as readonly string[]).includes('patch')) return {};
  const base = `/${pathOf(kind.group, kind.version)}/${kind.namespaced ? 'namespaces/{namespace}/' : ''}${kind.plural}`;
  const parameters = [{ name: 'fieldValidation', in: 'query', schema: { type: 'string' } }];
  const patch = { 'x-kubernetes-group-version-kind': gvkOf(kind), parameters, responses: {} };
  return { [`${base}/{name}`]: { patch } };
}

export type OpenApiForm = 'full' | 'brief';

interface Group {
  readonly kinds: readonly AnyKind[];
  readonly documents: Map<OpenApiForm, Promise<OpenApiDocument>>;
}

const INDEX = '/openapi/v3';
const samePath = (kind: AnyKind) => `${INDEX}/${pathOf(kind.group, kind.version)}`;

/** Documents are made once for the kinds of their group version; descriptions are loaded on first use. */
export class OpenApi {
  readonly #source: KindSource;
  readonly version: string;
  readonly #loadDescriptions: () => Promise<Descriptions>;
  #descriptions: Promise<Descriptions> | undefined;
  #seen = -1;
  #groups: ReadonlyMap<string, Group> = new Map();
  #index: Promise<OpenApiDocument> | undefined;

  constructor(
    source: KindSource,
    options: { readonly version: string; readonly descriptions: () => Promise<Descriptions> },
  ) {
    this.#source = source;
    this.version = options.version;
    this.#loadDescriptions = options.descriptions;
  }

  /** `/openapi/v3`, `/openapi/v3/api/v1`, `/openapi/v3/apis/<group>/<version>`; undefined for any other path. */
  async document(path: string, form: OpenApiForm = 'full'): Promise<OpenApiDocument | undefined> {
    this.#refresh();
    if (path === INDEX) return (this.#index ??= this.#makeIndex());
    const group = this.#groups.get(path);
    return group && this.#of(group, form);
  }

  /** Groups whose kinds are still the same keep their documents. */
  #refresh(): void {
    const { generation } = this.#source;
    if (generation === this.#seen) return;
    this.#seen = generation;
    this.#index = undefined;
    const before = this.#groups;
    const now = new Map<string, Group>();
    for (const [path, kinds] of Map.groupBy(this.#source.list(), samePath)) {
      const old = before.get(path);
      const same = old?.kinds.length === kinds.length && old.kinds.every((kind, i) => kind === kinds[i]);
      now.set(path, same ? old : { kinds, documents: new Map() });
    }
    this.#groups = now;
  }

  #of(group: Group, form: OpenApiForm): Promise<OpenApiDocument> {
    let document = group.documents.get(form);
    if (!document) {
      document = (form === 'full' ? this.#full(group.kinds) : this.#brief(group.kinds)).then(encode);
      group.documents.set(form, document);
      document.catch(() => group.documents.delete(form));
    }
    return document;
  }

  async #makeIndex(): Promise<OpenApiDocument> {
    const paths: Record<string, { serverRelativeURL: string }> = {};
    for (const [path, group] of this.#groups) {
      const hash = (await this.#of(group, 'full')).etag.slice(1, -1);
      paths[path.slice(INDEX.length + 1)] = { serverRelativeURL: `${path}?hash=${hash}` };
    }
    return encode({ paths });
  }

  async #brief(kinds: readonly AnyKind[]): Promise<unknown> {
    const paths: unknown = Object.assign({}, ...kinds.map(briefPathItems));
    return { ...this.#head(), paths, components: { schemas: {} } };
  }

  async #full(kinds: readonly AnyKind[]): Promise<unknown> {
    const schemas = new OpenApiSchemas(await (this.#descriptions ??= this.#loadDescriptions()));
    for (const kind of kinds) schemas.addKind(kind);
    // Served by every group: the options and answers of writes.
    schemas.addBuiltin('meta.v1.DeleteOptions');
    schemas.addBuiltin('meta.v1.Status');
    const paths: unknown = Object.assign({}, ...kinds.map(pathItems));
    return { ...this.#head(), paths, components: { schemas: schemas.all() } };
  }

  #head() {
    return { openapi: '3.0.0', info: { title: 'Kubernetes', version: this.version } };
  }
}

function encode(value: unknown): OpenApiDocument {
  const json = JSON.stringify(value);
  const etag = `"${fnv1a64(json).toString(16).toUpperCase()}"`;
  return { contentType: 'application/json', etag, body: encoder.encode(json) };
}
