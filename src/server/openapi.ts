// OpenAPI v3: an index, and one document per group version with the schemas `kubectl explain` prints and the few path
// items field validation looks for. Kept small on purpose: kubectl parses a document again for each object it applies.
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

/** Descriptions are loaded on first use. */
export class OpenApi {
  readonly #source: KindSource;
  readonly #version: string;
  readonly #loadDescriptions: () => Promise<Descriptions>;
  #descriptions: Promise<Descriptions> | undefined;
  #seen = -1;
  #documents = new Map<string, Promise<OpenApiDocument>>();

  constructor(
    source: KindSource,
    options: { readonly version: string; readonly descriptions: () => Promise<Descriptions> },
  ) {
    this.#source = source;
    this.#version = options.version;
    this.#loadDescriptions = options.descriptions;
  }

  /** `/openapi/v3`, `/openapi/v3/api/v1`, `/openapi/v3/apis/<group>/<version>`; undefined for any other path. */
  async document(path: string): Promise<OpenApiDocument | undefined> {
    const generation = this.#source.generation;
    if (generation !== this.#seen) {
      this.#seen = generation;
      this.#documents = new Map();
    }
    if (path === '/openapi/v3') return this.#once(path, () => this.#index());
    const kinds = this.#source.list().filter((k) => `/openapi/v3/${pathOf(k.group, k.version)}` === path);
    return kinds.length ? this.#once(path, () => this.#group(kinds)) : undefined;
  }

  #once(path: string, make: () => Promise<unknown>): Promise<OpenApiDocument> {
    const known = this.#documents.get(path);
    if (known) return known;
    const document = make().then((value): OpenApiDocument => {
      const json = JSON.stringify(value);
      const etag = fnv1a64(json).toString(16).toUpperCase();
      return { contentType: 'application/json', etag: `"${etag}"`, body: encoder.encode(json) };
    });
    this.#documents.set(path, document);
    return document;
  }

  async #index(): Promise<unknown> {
    const paths: Record<string, { serverRelativeURL: string }> = {};
    for (const kind of this.#source.list()) {
      const path = pathOf(kind.group, kind.version);
      if (paths[path]) continue;
      const document = await this.document(`/openapi/v3/${path}`);
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${document!.etag.slice(1, -1)}` };
    }
    return { paths };
  }

  async #group(kinds: readonly AnyKind[]): Promise<unknown> {
    const schemas = new OpenApiSchemas(await (this.#descriptions ??= this.#loadDescriptions()));
    for (const kind of kinds) {
      schemas.addKind(kind);
      // Served by every group: the options and answers of writes.
      schemas.addBuiltin('meta.v1.DeleteOptions');
      schemas.addBuiltin('meta.v1.Status');
    }
    return {
      openapi: '3.0.0',
      info: { title: 'Kubernetes', version: this.#version },
      paths: Object.assign({}, ...kinds.map(pathItems)) as Record<string, unknown>,
      components: { schemas: schemas.all() },
    };
  }
}
