import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { encodeProtobuf } from '../api/protobuf-encode.ts';
import type { UserInfo } from '../api/op.ts';
import { silentLogger } from '../base/log.ts';
import { Authenticator } from './authn/authenticator.ts';
import { fixedTokens } from './authn/token-authenticator.ts';
import type { Authorizer } from './authorizer.ts';
import { healthHandler } from './health.ts';
import { createHttpHandler } from './http.ts';
import type { PathHandler } from './http-exchange.ts';
import { versionHandler, type VersionInfo } from './plain-paths.ts';
import { TestExchange, type TestRequest } from './test-exchange.ts';

const USERS: readonly UserInfo[] = [
  { name: 'admin', groups: ['system:masters'] },
  { name: 'bob', groups: [] },
];
/** Masters may do all, others may read. */
const authorizer: Authorizer = {
  authorize: ({ user, verb }) => ({
    allowed: user.groups.includes('system:masters') || (user.name === 'bob' && ['get', 'list', 'watch'].includes(verb)),
    reason: '',
  }),
};

let test_: TestServer;
let handle: (exchange: TestExchange) => Promise<void>;
let broken: Error | undefined;

beforeEach(() => {
  broken = undefined;
  test_ = createTestServer({ authorizer });
  const paths: PathHandler[] = [
    healthHandler([
      { name: 'etcd', check: () => (broken ? Promise.reject(broken) : undefined) },
      { name: 'informers', endpoints: ['readyz'], check: () => {} },
    ]),
    versionHandler({ major: '1', minor: '36' } as VersionInfo),
  ];
  handle = createHttpHandler({
    server: test_.server,
    authenticator: new Authenticator({
      log: silentLogger,
      audiences: ['api'],
      tokens: [fixedTokens(new Map(USERS.map((u) => [u.name, u])))],
    }),
    paths,
  });
});
afterEach(() => test_.close());

async function send(request: TestRequest): Promise<TestExchange> {
  const exchange = new TestExchange({ ...request, headers: { authorization: 'Bearer admin', ...request.headers } });
  await handle(exchange);
  return exchange;
}
const BASE = '/api/v1/namespaces/default/configmaps';
const post = (body: unknown, headers: Record<string, string> = {}, query = '') =>
  send({ method: 'POST', url: BASE + query, body: typeof body === 'string' ? body : JSON.stringify(body), headers });
const make = (name: string, data: Record<string, string> = {}) => post({ metadata: { name }, data });
const failure = (x: TestExchange) => `${x.status} ${String(x.json['reason'])} ${String(x.json['message'])}`;

describe('objects', () => {
  test('come and go', async () => {
    const created = await post({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { k: 'v' } });
    expect(created.status).toBe(201);
    expect(created.json).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default' } });
    const read = await send({ url: `${BASE}/a` });
    expect(read.text).toBe(created.text);
    expect(read.sent).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    expect(read.sent['audit-id']).toMatch(/^[0-9a-f-]{36}$/);
    const patched = await send({
      method: 'PATCH',
      url: `${BASE}/a`,
      headers: { 'content-type': 'application/merge-patch+json' },
      body: '{"data":{"k":null,"l":"w"}}',
    });
    expect(patched.json['data']).toEqual({ l: 'w' });
    const removed = await send({ method: 'DELETE', url: `${BASE}/a`, headers: { 'content-type': 'application/json' } });
    expect(removed.json).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'a', kind: 'configmaps' },
    });
    expect(failure(await send({ url: `${BASE}/a` }))).toBe('404 NotFound configmaps "a" not found');
  });

  test('are read as YAML, as protobuf, and as JSON when nothing is said', async () => {
    const yaml = await post('metadata: {name: y}\ndata: {mode: "0644"}\n', { 'content-type': 'application/yaml' });
    expect(yaml.json['data']).toEqual({ mode: '0644' });
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'p' }, data: { k: 'v' } };
    const body = encodeProtobuf(object as never);
    const proto = await send({
      method: 'POST',
      url: BASE,
      headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
      body,
    });
    expect(proto.json).toMatchObject({ metadata: { name: 'p' }, data: { k: 'v' } });
  });

  test('are written as YAML or for people when asked', async () => {
    await make('a', { k: 'yes' });
    const yaml = await send({ url: `${BASE}/a`, headers: { accept: 'application/yaml' } });
    expect(yaml.text).toContain("  k: 'yes'\nkind: ConfigMap\n");
    expect((await send({ url: `${BASE}/a?pretty=true` })).text).toContain('\n  "kind": "ConfigMap",\n');
    const curl = await send({ url: `${BASE}/a`, headers: { 'user-agent': 'curl/8.0' } });
    expect(curl.text).toContain('\n  "kind"');
  });

  test('deletes take their options from body or query', async () => {
    await make('a');
    const wrong = { preconditions: { uid: 'other' } };
    const refused = await send({ method: 'DELETE', url: `${BASE}/a`, body: JSON.stringify(wrong) });
    expect(refused.status).toBe(409);
    const dry = await send({ method: 'DELETE', url: `${BASE}/a?dryRun=All` });
    expect(dry.status).toBe(200);
    expect((await send({ url: `${BASE}/a` })).status).toBe(200);
  });
});

describe('lists', () => {
  test('are put together from the objects', async () => {
    await make('a');
    await make('b');
    const list = await send({ url: BASE });
    const { items, ...rest } = list.json as { items: Record<string, unknown>[] };
    expect(rest).toMatchObject({
      apiVersion: 'v1',
      kind: 'ConfigMapList',
      metadata: { resourceVersion: expect.any(String) },
    });
    expect(items.map((i) => Object.keys(i).includes('kind'))).toEqual([false, false]);
    expect((await send({ url: `${BASE}?limit=1&pretty=1` })).json).toMatchObject({
      items: [{ metadata: { name: 'a' } }],
      metadata: { continue: expect.any(String) },
    });
  });

  test('as Tables and bare metadata', async () => {
    await make('a', { secret: 'x' });
    const accept = (as: string) => ({ accept: `application/json;as=${as};v=v1;g=meta.k8s.io` });
    const table = await send({ url: BASE, headers: accept('Table') });
    expect(table.json).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      columnDefinitions: [{ name: 'Name', type: 'string', format: 'name', priority: 0 }, {}, {}].slice(
        0,
        (table.json['columnDefinitions'] as []).length,
      ),
      rows: [
        { cells: expect.arrayContaining(['a']), object: { kind: 'PartialObjectMetadata', metadata: { name: 'a' } } },
      ],
    });
    const whole = await send({ url: `${BASE}?includeObject=Object`, headers: accept('Table') });
    expect(whole.json['rows']).toMatchObject([{ object: { data: { secret: 'x' } } }]);
    const bad = await send({ url: `${BASE}?includeObject=All`, headers: accept('Table') });
    expect(bad.status).toBe(400);
    const partial = await send({ url: BASE, headers: accept('PartialObjectMetadataList') });
    expect(partial.json).toMatchObject({ kind: 'PartialObjectMetadataList', items: [{ metadata: { name: 'a' } }] });
    expect(partial.text).not.toContain('"secret"');
    const one = await send({ url: `${BASE}/a`, headers: accept('Table') });
    expect(one.json['rows']).toHaveLength(1);
    // An error stays a Status.
    expect(failure(await send({ url: `${BASE}/b`, headers: accept('Table') }))).toMatch(/^404 NotFound/);
  });

  test('large ones are compressed for those who can read that', async () => {
    await make('a', { big: 'x'.repeat(200_000) });
    const exchange = new TestExchange({
      url: BASE,
      headers: { authorization: 'Bearer admin', 'accept-encoding': 'gzip' },
    });
    const gzip = () => Promise.resolve(new TextEncoder().encode('small'));
    await handle(Object.assign(exchange, { gzip }));
    expect(exchange.sent['content-encoding']).toBe('gzip');
    expect(exchange.text).toBe('small');
  });
});

describe('watches', () => {
  test('are lines of events, the same bytes for all', async () => {
    const [one, two] = await Promise.all([
      send({ url: `${BASE}?watch=1` }),
      send({ url: '/api/v1/configmaps?watch=true' }),
    ]);
    await make('a');
    await send({ method: 'DELETE', url: `${BASE}/a` });
    expect(one.events.map((e) => e.type)).toEqual(['ADDED', 'DELETED']);
    expect(two.chunks[0]).toBe(one.chunks[0]);
    expect(one.events[0]!.object).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'a' } });
    one.leave();
    await make('b');
    expect(one.events).toHaveLength(2);
    expect(two.events).toHaveLength(3);
  });

  test('end on time', async () => {
    const watch = await send({ url: `${BASE}?watch=1&timeoutSeconds=10` });
    const unlimited = await send({ url: `${BASE}?watch=1` });
    await test_.clock.advance(10_000);
    expect([watch.ended, unlimited.ended]).toEqual([true, false]);
    await test_.clock.advance(3_600_000);
    expect(unlimited.ended).toBe(true);
  });

  test('as Tables name the columns once', async () => {
    const watch = await send({
      url: `${BASE}?watch=1`,
      headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' },
    });
    await make('a');
    await make('b');
    const tables = watch.events.map((e) => e.object);
    expect(tables.map((t) => [t['kind'], Array.isArray(t['columnDefinitions'])])).toEqual([
      ['Table', true],
      ['Table', false],
    ]);
  });

  test('wait for slow clients, but not forever', async () => {
    for (let i = 0; i < 20; i++) await make(`early-${i}`);
    const slow = new TestExchange({ url: `${BASE}?watch=1`, headers: { authorization: 'Bearer admin' } });
    slow.room = 10;
    await handle(slow);
    expect(slow.events.length).toBeLessThanOrEqual(20);
    await make('late');
    slow.drain(Infinity);
    expect(slow.events.map((e) => (e.object['metadata'] as { name: string }).name)).toEqual([
      ...Array.from({ length: 20 }, (_, i) => `early-${i}`).sort(),
      'late',
    ]);
    slow.room = 1;
    const client = test_.client;
    await make('x');
    for (let i = 0; i < 10_001; i++) {
      await client.patch(ConfigMap, { namespace: 'default', name: 'x' }, 'merge', { data: { i: String(i) } });
      if (slow.aborted) break;
    }
    expect(slow.aborted).toBe(true);
  });
});

describe('who asks', () => {
  test('nobody is anonymous, bad tokens are refused', async () => {
    const anonymous = new TestExchange({ url: BASE });
    await handle(anonymous);
    expect(failure(anonymous)).toBe(
      '403 Forbidden configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "default"',
    );
    const wrong = await send({ url: BASE, headers: { authorization: 'Bearer nope' } });
    expect(wrong.status).toBe(401);
    expect(wrong.json).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'Unauthorized',
      reason: 'Unauthorized',
      code: 401,
    });
  });

  test('is decided before anything is read', async () => {
    const bob = await send({ method: 'POST', url: BASE, body: '{', headers: { authorization: 'Bearer bob' } });
    expect(bob.status).toBe(403);
    const path = await send({ method: 'POST', url: '/nowhere', headers: { authorization: 'Bearer bob' } });
    expect(failure(path)).toBe('403 Forbidden forbidden: User "bob" cannot post path "/nowhere"');
  });

  test('may be somebody else for those who may', async () => {
    await make('a');
    const as = (who: string, user: string, more: Record<string, string | string[]> = {}) =>
      send({
        method: 'DELETE',
        url: `${BASE}/a`,
        headers: { authorization: `Bearer ${who}`, 'impersonate-user': user, ...more },
      });
    expect(failure(await as('admin', 'bob'))).toContain('User "bob" cannot delete resource "configmaps"');
    expect(failure(await as('bob', 'admin'))).toBe(
      '403 Forbidden users "admin" is forbidden: User "bob" cannot impersonate resource "users" in API group "" at the cluster scope',
    );
    expect((await as('admin', 'x', { 'impersonate-group': ['a', 'system:masters'] })).status).toBe(200);
    const headless = await send({ url: BASE, headers: { 'impersonate-group': 'g' } });
    expect(headless.status).toBe(500);
  });
});

describe('what makes no sense', () => {
  test.each<[string, TestRequest, string]>([
    [
      'bad JSON',
      { method: 'POST', url: BASE, body: '{"a":' },
      '400 BadRequest the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"a":)',
    ],
    [
      'no JSON at all',
      { method: 'POST', url: BASE, body: 'hello' },
      "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'h' looking for beginning of value (68656c6c6f)",
    ],
    [
      'an empty body',
      { method: 'POST', url: BASE },
      "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)",
    ],
    ['a scalar', { method: 'POST', url: BASE, body: '3' }, '400 BadRequest'],
    ['a list', { method: 'POST', url: BASE, body: '[]' }, '400 BadRequest'],
    [
      'deep nesting',
      { method: 'POST', url: BASE, body: '{"a":'.repeat(50_000) + '1' + '}'.repeat(50_000) },
      '400 BadRequest',
    ],
    [
      'bad YAML',
      { method: 'POST', url: BASE, body: 'a: [', headers: { 'content-type': 'application/yaml' } },
      '400 BadRequest',
    ],
    [
      'bad protobuf',
      {
        method: 'POST',
        url: BASE,
        body: 'k8s\0rubbish',
        headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
      },
      '400 BadRequest',
    ],
    [
      'an unknown content type',
      { method: 'POST', url: BASE, body: '{}', headers: { 'content-type': 'text/plain' } },
      '415 UnsupportedMediaType the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    ],
    [
      'a patch of no kind',
      { method: 'PATCH', url: `${BASE}/a`, body: '{}', headers: { 'content-type': 'application/json' } },
      '415 UnsupportedMediaType',
    ],
    [
      'a huge body',
      { method: 'POST', url: BASE, body: 'x'.repeat(3 * 1024 * 1024 + 1) },
      '413 RequestEntityTooLarge Request entity too large: limit is 3145728',
    ],
    ['a bad option', { url: `${BASE}?limit=many` }, '400 BadRequest strconv.ParseInt: parsing "many": invalid syntax'],
    ['a bad selector', { url: `${BASE}?labelSelector=a%3D%3D%3Db` }, '400 BadRequest'],
    [
      'nothing acceptable',
      { url: BASE, headers: { accept: 'image/png' } },
      '406 NotAcceptable only the following media types are accepted: application/json, application/yaml',
    ],
    ['a watch in YAML', { url: `${BASE}?watch=1`, headers: { accept: 'application/yaml' } }, '406 NotAcceptable'],
    [
      'an unknown resource',
      { url: '/api/v1/unicorns' },
      '404 NotFound the server could not find the requested resource',
    ],
    ['an unknown subresource', { url: `${BASE}/a/horn` }, '404 NotFound'],
    ['a cluster object in a namespace', { url: '/api/v1/namespaces/default/nodes' }, '404 NotFound'],
    ['a namespaced object outside of one', { url: '/api/v1/configmaps/a' }, '404 NotFound'],
    ['no namespace at all', { url: '/api/v1/namespaces//configmaps' }, '404 NotFound'],
    [
      'creating outside of a namespace',
      { method: 'POST', url: '/api/v1/configmaps', body: '{}' },
      '405 MethodNotAllowed the server does not allow this method on the requested resource',
    ],
    ['creating by name', { method: 'POST', url: `${BASE}/a`, body: '{}' }, '405 MethodNotAllowed'],
    ['a strange method', { method: 'BREW', url: BASE }, '405 MethodNotAllowed'],
    ['posting to a path', { method: 'POST', url: '/version' }, '405 MethodNotAllowed'],
  ])('%s', async (_, request, expected) => {
    const answer = await send(request);
    expect(failure(answer).startsWith(expected), failure(answer)).toBe(true);
    expect(answer.json).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: answer.status });
  });

  test('unknown groups and paths get plain text', async () => {
    for (const url of ['/apis/nowhere.io/v1/things', '/nothing', '/api/v2']) {
      const answer = await send({ url });
      expect([answer.status, answer.text]).toEqual([404, '404 page not found\n']);
      expect(answer.sent['content-type']).toBe('text/plain; charset=utf-8');
    }
    expect((await send({ url: '/api/v1/nodes/%zz' })).status).toBe(400);
  });

  test('warnings become headers', async () => {
    const answer = await post('{"metadata":{"name":"w"},"data":{"a":"1","a":"2"},"x":1}');
    expect(answer.status).toBe(201);
    const texts = [answer.sent['warning'] ?? []].flat();
    expect(texts).toContainEqual(expect.stringMatching(/^299 - ".*duplicate field \\"data.a\\""$/));
    const long = await post(`{"metadata":{"name":"u"},"${'é'.repeat(100_000)}":1,"y":1}`);
    expect(long.status).toBe(201);
    const cut = [long.sent['warning'] ?? []].flat();
    expect(cut).toHaveLength(2);
    for (const text of cut) expect(text.length).toBeLessThan(600);
    const strict = await post('{"metadata":{"name":"v"},"x":1}', {}, '?fieldValidation=Strict');
    expect(strict.status).toBe(400);
  });
});

test('nothing a client sends is an internal error', async () => {
  const word = fc.oneof(
    fc.constantFrom(
      'api',
      'apis',
      'v1',
      'namespaces',
      'default',
      'configmaps',
      'pods',
      'a',
      'status',
      'log',
      'watch',
      'proxy',
      '',
      '%00',
      '..',
      '%2F',
    ),
    fc.string(),
  );
  const parameter = fc.constantFrom(
    'watch',
    'limit',
    'continue',
    'labelSelector',
    'fieldSelector',
    'resourceVersion',
    'resourceVersionMatch',
    'dryRun',
    'timeoutSeconds',
    'pretty',
    'fieldValidation',
    'fieldManager',
    'gracePeriodSeconds',
    'propagationPolicy',
    'includeObject',
    'force',
    'sendInitialEvents',
  );
  const json = fc.json().map((text) => text.replace(/^\{/, '{"metadata":{"name":"x"},'));
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'),
    path: fc.array(word, { maxLength: 8 }).map((words) => `/${words.join('/').replaceAll('?', '')}`),
    near: fc.boolean(),
    query: fc.dictionary(parameter, fc.oneof(fc.string(), fc.constantFrom('1', 'true', 'All', '-1', '0', 'a=b')), {
      maxKeys: 3,
    }),
    type: fc.constantFrom(
      undefined,
      'application/json',
      'application/yaml',
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/strategic-merge-patch+json',
      'application/apply-patch+yaml',
      'application/vnd.kubernetes.protobuf',
    ),
    accept: fc.constantFrom(
      undefined,
      '*/*',
      'application/yaml',
      'application/json;as=Table;v=v1;g=meta.k8s.io',
      'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
    ),
    body: fc.oneof(json, fc.json(), fc.string(), fc.uint8Array()),
  });
  await make('x', { k: 'v' });
  await fc.assert(
    fc.asyncProperty(request, async ({ method, path, near, query, type, accept, body }) => {
      const url = `${near ? `${BASE}/x` : path}?${new URLSearchParams(query).toString()}`;
      const headers = { ...(type ? { 'content-type': type } : {}), ...(accept ? { accept } : {}) };
      const sent = send({ method, url, body, headers });
      // A version that is yet to come is waited for.
      await test_.clock.advance(4000);
      const answer = await sent;
      expect([answer.status, answer.text]).not.toEqual([500, expect.anything()]);
      expect(answer.status).toBeGreaterThanOrEqual(200);
      answer.leave();
    }),
    { numRuns: 400, seed: 1 },
  );
});

describe('plain paths', () => {
  test('health', async () => {
    expect((await send({ url: '/healthz' })).text).toBe('ok');
    expect((await send({ url: '/readyz?verbose' })).text).toBe(
      '[+]ping ok\n[+]etcd ok\n[+]informers ok\nreadyz check passed\n',
    );
    broken = new Error('store is gone');
    const bad = await send({ url: '/livez' });
    expect([bad.status, bad.text]).toEqual([500, '[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed\n']);
    expect((await send({ url: '/livez?exclude=etcd&verbose' })).text).toBe(
      '[+]ping ok\n[+]etcd excluded: ok\nlivez check passed\n',
    );
    expect((await send({ url: '/livez/ping' })).text).toBe('ok');
    expect((await send({ url: '/livez/etcd' })).text).toBe('internal server error: store is gone\n');
    expect((await send({ url: '/livez/nothing' })).status).toBe(404);
  });

  test('version and index', async () => {
    expect((await send({ url: '/version' })).json).toEqual({ major: '1', minor: '36' });
    expect((await send({ url: '/' })).json['paths']).toContain('/readyz/informers');
  });
});
