import { describe, expect, test } from 'vitest';
import { builtinKinds } from '../api/kinds/index.ts';
import { defineKind, type AnyKind } from '../api/kind.ts';
import { Discovery } from './discovery.ts';
import { discoveryHandler } from './discovery-handler.ts';
import { KindRegistry } from './kind-registry.ts';
import { TestExchange } from './test-exchange.ts';

const widget = (version: string) =>
  defineKind({
    group: 'example.org',
    version,
    kind: 'Widget',
    plural: 'widgets',
    shortNames: ['wd'],
    categories: ['all'],
    namespaced: true,
    status: {},
    schema: { node: 'struct', name: '', fields: new Map(), wireMessages: [], atomic: false },
  }) as AnyKind;

function setup() {
  const kinds = new KindRegistry([...builtinKinds, widget('v1alpha1'), widget('v1'), widget('v2beta1')]);
  const discovery = new Discovery(kinds);
  const ask = (path: string, accept = 'application/json') => {
    const document = discovery.document(path, accept);
    return document && { ...document, json: JSON.parse(new TextDecoder().decode(document.body)) as Json };
  };
  return { kinds, discovery, ask };
}
interface Json {
  readonly [key: string]: unknown;
  readonly kind: string;
  readonly groups: { name: string; versions: { groupVersion: string }[]; preferredVersion: object }[];
  readonly resources: { name: string; verbs: string[] }[];
  readonly items: { metadata: { name?: string }; versions: { version: string; resources: { resource: string }[] }[] }[];
}

const V2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const BETA = 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList';
const PLAIN = 'application/json';

describe('which form', () => {
  test.each<[string, string, string]>([
    ['kubectl 1.27-1.29', `${BETA},${PLAIN}`, BETA],
    ['kubectl 1.30 and later', `${V2},${BETA},${PLAIN}`, V2],
    ['the newest', `${V2};profile=nopeer,${V2},${BETA},${PLAIN}`, V2],
    ['with spaces', `${V2.replaceAll(';', '; ')}, ${PLAIN}`, V2],
    ['plain', PLAIN, PLAIN],
    ['plain preferred', `${PLAIN},${V2}`, PLAIN],
    ['anything', '*/*', PLAIN],
    ['nothing', '', PLAIN],
    ['a form nobody has', `application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,${PLAIN}`, PLAIN],
    ['protobuf', `application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,${V2}`, V2],
  ])('%s', (_, accept, contentType) => {
    const { ask } = setup();
    for (const path of ['/api', '/apis']) expect(ask(path, accept)!.contentType).toBe(contentType);
    expect(ask('/apis/apps/v1', accept)!.contentType).toBe(PLAIN);
  });
});

describe('plain documents', () => {
  const { ask } = setup();
  test('/api', () => expect(ask('/api')!.json).toMatchObject({ kind: 'APIVersions', versions: ['v1'] }));
  test('/apis: groups in upstream order, best version first', () => {
    const { kind, groups } = ask('/apis')!.json;
    expect(kind).toBe('APIGroupList');
    expect(groups[0]!.name).toBe('apps');
    expect(groups.at(-1)).toEqual({
      name: 'example.org',
      versions: ['v1', 'v2beta1', 'v1alpha1'].map((version) => ({ groupVersion: `example.org/${version}`, version })),
      preferredVersion: { groupVersion: 'example.org/v1', version: 'v1' },
    });
  });
  test('a group, a version, and what is not there', () => {
    expect(ask('/apis/example.org')!.json).toMatchObject({ kind: 'APIGroup', apiVersion: 'v1', name: 'example.org' });
    expect(ask('/apis/example.org/v1')!.json).toEqual({
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion: 'example.org/v1',
      resources: [
        {
          name: 'widgets',
          singularName: 'widget',
          namespaced: true,
          kind: 'Widget',
          verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
          shortNames: ['wd'],
          categories: ['all'],
        },
        {
          name: 'widgets/status',
          singularName: '',
          namespaced: true,
          kind: 'Widget',
          verbs: ['get', 'patch', 'update'],
        },
      ],
    });
    expect(ask('/apis/nobody.org')).toBeUndefined();
    expect(ask('/apis/example.org/v3')).toBeUndefined();
  });
  test('subresources speak their own kinds', () => {
    const { resources } = ask('/api/v1')!.json;
    const of = (name: string) => resources.find((r) => r.name === name);
    expect(of('pods')).toMatchObject({ shortNames: ['po'], categories: ['all'], kind: 'Pod' });
    expect(of('pods/eviction')).toMatchObject({ group: 'policy', version: 'v1', kind: 'Eviction', verbs: ['create'] });
    expect(of('pods/binding')).toMatchObject({ kind: 'Binding', verbs: ['create'] });
    expect(of('replicationcontrollers/scale')).toMatchObject({ group: 'autoscaling', version: 'v1', kind: 'Scale' });
    expect(of('serviceaccounts/token')).toMatchObject({ group: 'authentication.k8s.io', kind: 'TokenRequest' });
    expect(resources.map((r) => r.name)).toEqual(resources.map((r) => r.name).sort());
  });
});

describe('aggregated documents', () => {
  const { ask } = setup();
  test.each([
    [V2, 'apidiscovery.k8s.io/v2'],
    [BETA, 'apidiscovery.k8s.io/v2beta1'],
  ])('%s', (accept, apiVersion) => {
    const core = ask('/api', accept)!.json;
    expect(core).toMatchObject({ kind: 'APIGroupDiscoveryList', apiVersion, metadata: {} });
    expect(core.items.map((i) => i.metadata.name)).toEqual([undefined]);
    const pods = core.items[0]!.versions[0]!.resources.find((r) => r.resource === 'pods');
    expect(pods).toMatchObject({
      responseKind: { group: '', version: 'v1', kind: 'Pod' },
      scope: 'Namespaced',
      singularResource: 'pod',
      shortNames: ['po'],
      subresources: expect.arrayContaining([
        {
          subresource: 'status',
          responseKind: { group: '', version: 'v1', kind: 'Pod' },
          verbs: ['get', 'patch', 'update'],
        },
        {
          subresource: 'eviction',
          responseKind: { group: 'policy', version: 'v1', kind: 'Eviction' },
          verbs: ['create'],
        },
      ]) as unknown,
    });
    const others = ask('/apis', accept)!.json;
    expect(others.items.at(-1)).toMatchObject({
      metadata: { name: 'example.org', creationTimestamp: null },
      versions: ['v1', 'v2beta1', 'v1alpha1'].map((version) => ({ version, freshness: 'Current' })),
    });
  });
});

describe('on their paths', () => {
  const get = async (url: string, headers: Record<string, string> = {}) => {
    const { discovery } = setup();
    const exchange = new TestExchange({ url, headers: { accept: V2, ...headers } });
    const handler = discoveryHandler(discovery);
    if (handler.match!(exchange.path)) await handler.handle(exchange, { path: exchange.path } as never);
    return exchange;
  };
  test('an ETag saves the body', async () => {
    const first = await get('/apis');
    expect(first.status).toBe(200);
    expect(first.sent).toMatchObject({
      'content-type': V2,
      vary: 'Accept',
      etag: expect.stringMatching(/^"[0-9A-F]+"$/) as string,
    });
    const again = await get('/apis', { 'if-none-match': String(first.sent['etag']) });
    expect([again.status, again.chunks.length, again.sent['etag']]).toEqual([304, 0, first.sent['etag']]);
    expect((await get('/apis', { 'if-none-match': String(first.sent['etag']), accept: PLAIN })).status).toBe(200);
  });
  test.each(['/api', '/api/', '/api/v1', '/apis', '/apis/', '/apis/apps', '/apis/apps/', '/apis/apps/v1'])(
    '%s',
    async (url) => {
      expect((await get(url)).status).toBe(200);
    },
  );
  test('not resources', async () => {
    expect((await get('/api/v1/pods')).status).toBe(0);
    expect((await get('/apis/apps/v1/deployments')).status).toBe(0);
    await expect(get('/apis/nobody.org')).rejects.toMatchObject({ code: 404 });
  });
});

test('documents follow the kinds, and guesses fill no memory', () => {
  const { kinds, ask } = setup();
  const before = ask('/apis')!;
  expect(ask('/apis')!.etag).toBe(before.etag);
  for (let i = 0; i < 2000; i++) expect(ask(`/apis/x${i}`)).toBeUndefined();
  kinds.add(defineKind({ ...widget('v1'), group: 'other.org', plural: 'others', kind: 'Other' }) as AnyKind);
  expect(ask('/apis/other.org/v1')!.json.resources).toHaveLength(2);
  expect(ask('/apis')!.etag).not.toBe(before.etag);
});
