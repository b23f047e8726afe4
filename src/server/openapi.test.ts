import { beforeAll, describe, expect, test } from 'vitest';
import { builtinKinds } from '../api/kinds/index.ts';
import { defineKind, type AnyKind } from '../api/kind.ts';
import { openApiHandler } from './discovery-handler.ts';
import { KindRegistry } from './kind-registry.ts';
import { OpenApi } from './openapi.ts';
import { TestExchange } from './test-exchange.ts';
import { tables } from './table.ts';

interface Schema {
  readonly [key: string]: unknown;
  readonly $ref?: string;
  readonly description?: string;
  readonly properties?: Record<string, Schema>;
}
interface Document {
  readonly paths: Record<string, Record<string, { parameters?: { name: string }[]; [key: string]: unknown }>>;
  readonly components: { readonly schemas: Record<string, Schema> };
}
const descriptions = { 'core.v1.Pod': { '': 'Pod is a pod.', spec: 'What is wanted.' } };
const kinds = new KindRegistry(builtinKinds);
const openApi = new OpenApi(kinds, { version: 'v1.36.0', descriptions: () => Promise.resolve(descriptions) });
const read = async (path: string, form?: 'full' | 'brief') => {
  const document = await openApi.document(path, form);
  return document && (JSON.parse(new TextDecoder().decode(document.body)) as Document);
};
const groupPaths = async () => Object.keys((await read('/openapi/v3'))!.paths).map((path) => `/openapi/v3/${path}`);

describe('the index', () => {
  test('names every group version, by the hash of its document', async () => {
    const { paths } = (await read('/openapi/v3'))!;
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['api/v1', 'apis/apps/v1', 'apis/policy/v1']));
    const { etag } = (await openApi.document('/openapi/v3/api/v1'))!;
    expect(paths['api/v1']).toEqual({ serverRelativeURL: `/openapi/v3/api/v1?hash=${etag.slice(1, -1)}` });
    expect(await read('/openapi/v3/apis/nobody/v1')).toBeUndefined();
  });
});

describe('full documents', () => {
  let core: Document;
  beforeAll(async () => {
    core = (await read('/openapi/v3/api/v1'))!;
  });

  test('every reference leads somewhere in the same document', async () => {
    for (const path of await groupPaths()) {
      const document = (await read(path))!;
      const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g);
      const missing = [...references].map((m) => m[1]!).filter((name) => !document.components.schemas[name]);
      expect([path, missing]).toEqual([path, []]);
    }
  });

  test('a kind: its schema, its list, its operations', () => {
    const { schemas } = core.components;
    expect(schemas['io.k8s.api.core.v1.Pod']).toMatchObject({
      description: 'Pod is a pod.',
      type: 'object',
      'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'Pod' }],
      properties: {
        apiVersion: { type: 'string' },
        metadata: { allOf: [{ $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' }] },
        spec: { allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.PodSpec' }], description: 'What is wanted.' },
      },
    });
    expect(schemas['io.k8s.api.core.v1.PodList']).toMatchObject({ properties: { items: { type: 'array' } } });
    const pod = core.paths['/api/v1/namespaces/{namespace}/pods/{name}']!;
    const gvk = { group: '', version: 'v1', kind: 'Pod' };
    expect(pod['get']).toMatchObject({ 'x-kubernetes-action': 'get', 'x-kubernetes-group-version-kind': gvk });
    expect(pod['patch']!.parameters!.map((p) => p.name)).toEqual(['dryRun', 'fieldManager', 'fieldValidation']);
    expect(core.paths['/api/v1/nodes']).toHaveProperty('post');
    expect(core.paths).not.toHaveProperty(['/api/v1/namespaces/{namespace}/nodes']);
  });

  test('fields: scalars, lists, maps, merge keys, what must be there', () => {
    const { schemas } = core.components;
    const spec = schemas['io.k8s.api.core.v1.PodSpec']!;
    expect(spec['required']).toEqual(['containers']);
    expect(spec.properties).toMatchObject({
      containers: {
        type: 'array',
        items: { $ref: '#/components/schemas/io.k8s.api.core.v1.Container' },
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        'x-kubernetes-patch-merge-key': 'name',
        'x-kubernetes-patch-strategy': 'merge',
      },
      nodeSelector: { type: 'object', additionalProperties: { type: 'string' } },
      hostNetwork: { type: 'boolean' },
      terminationGracePeriodSeconds: { type: 'integer', format: 'int64' },
    });
    expect(schemas['io.k8s.apimachinery.pkg.util.intstr.IntOrString']).toMatchObject({ format: 'int-or-string' });
    expect(schemas['io.k8s.apimachinery.pkg.apis.meta.v1.Time']).toEqual({ type: 'string', format: 'date-time' });
  });
});

describe('brief documents', () => {
  test('only say that a PATCH of each kind takes fieldValidation', async () => {
    for (const path of await groupPaths()) {
      const brief = (await read(path, 'brief'))!;
      const full = (await read(path))!;
      const patched = (document: Document) =>
        Object.values(document.paths).flatMap(({ patch }) => (patch ? [patch['x-kubernetes-group-version-kind']] : []));
      expect(patched(brief)).toEqual(patched(full));
      expect(brief.components.schemas).toEqual({});
    }
    expect((await openApi.document('/openapi/v3/api/v1', 'brief'))!.body.length).toBeLessThan(8_000);
  });
});

describe('on their paths', () => {
  const handler = openApiHandler(openApi);
  const get = async (url: string, headers: Record<string, string> = {}) => {
    const exchange = new TestExchange({ url, headers });
    await handler.handle(exchange, { path: exchange.path } as never);
    return exchange;
  };
  const sizeOf = async (headers: Record<string, string>) =>
    (await get('/openapi/v3/api/v1', headers)).chunks.reduce((sum, chunk) => sum + chunk.length, 0);

  test('kubectl gets what its command reads, and does not keep it for another', async () => {
    const full = await sizeOf({});
    expect(await sizeOf({ 'kubectl-command': 'kubectl explain' })).toBe(full);
    expect(await sizeOf({ 'kubectl-command': 'kubectl apply' })).toBeLessThan(full / 10);
    const caching = async (headers = {}, url = '/openapi/v3/api/v1') => (await get(url, headers)).sent['cache-control'];
    expect(await caching()).toBe('public');
    expect(await caching({ 'kubectl-command': 'kubectl apply' })).toBe('no-store');
    expect(await caching({ 'kubectl-command': 'kubectl apply' }, '/openapi/v3')).toBe('public');
  });

  test('304, 404', async () => {
    const etag = String((await get('/openapi/v3')).sent['etag']);
    expect((await get('/openapi/v3', { 'if-none-match': etag })).status).toBe(304);
    await expect(get('/openapi/v3/apis/nobody/v1')).rejects.toMatchObject({ code: 404 });
  });

  test('version 2 is an empty document', async () => {
    const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
    const protobuf = await get('/openapi/v2', { accept });
    expect([protobuf.status, protobuf.chunks.length]).toEqual([200, 0]);
    expect(protobuf.sent['content-type']).toBe('application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
    const json = await get('/openapi/v2', { accept: 'application/json' });
    expect(JSON.parse(new TextDecoder().decode(json.chunks[0]))).toMatchObject({ swagger: '2.0', paths: {} });
  });
});

test('a new kind costs only its own group', async () => {
  const widget = defineKind({
    group: 'example.org',
    version: 'v1',
    kind: 'Widget',
    plural: 'widgets',
    namespaced: true,
    schema: { node: 'struct', name: '', fields: new Map(), wireMessages: [], atomic: false, preserveUnknown: true },
  }) as AnyKind;
  const before = await openApi.document('/openapi/v3/apis/apps/v1');
  kinds.add(widget);
  expect((await read('/openapi/v3'))!.paths).toHaveProperty(['apis/example.org/v1']);
  const { schemas } = (await read('/openapi/v3/apis/example.org/v1'))!.components;
  expect(schemas['org.example.v1.Widget']).toMatchObject({ 'x-kubernetes-preserve-unknown-fields': true });
  expect(await openApi.document('/openapi/v3/apis/apps/v1')).toBe(before);
  kinds.remove(widget);
  expect(await openApi.document('/openapi/v3/apis/example.org/v1')).toBeUndefined();
});

test('kinds without columns show name and age', () => {
  const plain = defineKind({ group: 'g', version: 'v1', kind: 'K', plural: 'ks', namespaced: true }) as AnyKind;
  expect(tables.columns(plain).map((c) => `${c.name} ${c.type} ${c.format} ${c.priority}`)).toEqual([
    'Name string name 0',
    'Created At date  0',
  ]);
  const object = { metadata: { name: 'a', creationTimestamp: 't', uid: '', resourceVersion: '' } };
  expect(tables.cells(plain, object, 0)).toEqual(['a', 't']);
});
