// What the conformance suite asks of the API over HTTP: discovery, versions, field validation, Tables. Tests are named
// after its behaviours.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigMap } from '../../api/kinds/core/config-map.ts';
import { silentLogger } from '../../base/log.ts';
import { Authenticator } from '../../server/authn/authenticator.ts';
import { fixedTokens } from '../../server/authn/token-authenticator.ts';
import { reviewHandlers } from '../../server/authz/reviews.ts';
import { Discovery } from '../../server/discovery.ts';
import { discoveryHandler } from '../../server/discovery-handler.ts';
import { createHttpHandler } from '../../server/http.ts';
import { versionHandler } from '../../server/plain-paths.ts';
import { TestExchange, type TestRequest } from '../../server/test-exchange.ts';
import { ADMIN, createTestServer, type TestServer } from '../test-server.ts';
import { versionInfo } from '../version.ts';
import { make, workload } from './support.ts';

let server: TestServer;
let handle: (exchange: TestExchange) => Promise<void>;
beforeAll(() => {
  server = createTestServer({ handlers: [...reviewHandlers(undefined)] });
  handle = createHttpHandler({
    server: server.server,
    authenticator: new Authenticator({
      log: silentLogger,
      audiences: ['api'],
      tokens: [fixedTokens(new Map([['t', ADMIN]]))],
    }),
    paths: [versionHandler(versionInfo()), discoveryHandler(new Discovery(server.server.kinds))],
  });
});
afterAll(() => server.close());

async function send(url: string, more: Partial<TestRequest> = {}): Promise<TestExchange> {
  const exchange = new TestExchange({ url, ...more, headers: { authorization: 'Bearer t', ...more.headers } });
  await handle(exchange);
  return exchange;
}
const accepting = (url: string, accept: string) => send(url, { headers: { accept } });

interface Group {
  name: string;
  versions: { groupVersion: string; version: string }[];
  preferredVersion: { groupVersion: string };
}
const groups = async () => (await send('/apis')).json['groups'] as Group[];

test('Discovery, confirm the PreferredVersion for each api group', async () => {
  for (const { name, versions, preferredVersion } of await groups()) {
    expect(
      versions.map((v) => v.groupVersion),
      name,
    ).toContain(preferredVersion.groupVersion);
    expect((await send(`/apis/${name}`)).json).toMatchObject({ kind: 'APIGroup', name, versions, preferredVersion });
  }
});

test('Discovery, confirm the groupVerion and a resourcefrom each apiGroup', async () => {
  const all = await groups();
  expect(all.map((g) => g.name)).toEqual(
    expect.arrayContaining(['apps', 'batch', 'policy', 'events.k8s.io']) as string[],
  );
  for (const { groupVersion } of all.flatMap((g) => g.versions)) {
    const { json } = await send(`/apis/${groupVersion}`);
    expect(json).toMatchObject({ kind: 'APIResourceList', groupVersion });
    expect((json['resources'] as unknown[]).length, groupVersion).toBeGreaterThan(0);
  }
});

test('Aggregated Discovery Endpoint Accept Headers + Aggregated Discovery Interface', async () => {
  const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  for (const path of ['/api', '/apis']) {
    const found = await accepting(path, aggregated);
    expect(found.sent['content-type']).toBe(aggregated);
    expect(found.json).toMatchObject({ kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2' });
    const both = await accepting(path, `${aggregated},application/json`);
    expect(both.json).toMatchObject({ kind: 'APIGroupDiscoveryList' });
    const plain = await accepting(path, 'application/json');
    expect(plain.json).toMatchObject({ kind: path === '/api' ? 'APIVersions' : 'APIGroupList' });
  }
  const items = (await accepting('/apis', aggregated)).json['items'] as {
    metadata: { name: string };
    versions: { version: string; resources: { resource: string }[] }[];
  }[];
  const apps = items.find((g) => g.metadata.name === 'apps')!;
  expect(apps.versions.map((v) => v.version)).toEqual(['v1']);
  expect(apps.versions[0]!.resources.map((r) => r.resource)).toContain('deployments');
});

test('Confirm a server version', async () => {
  const { json } = await send('/version');
  expect(json).toMatchObject({ major: '1', minor: expect.stringMatching(/^\d+\+?$/) as string });
});

const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
const strict = (method: string, url: string, body: string, contentType = 'application/json') =>
  send(`${url}?fieldValidation=Strict&fieldManager=e2e`, { method, body, headers: { 'content-type': contentType } });
const deployment = (name: string, metadata = '', spec = '') =>
  `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"${name}"${metadata}},"spec":{${spec}${JSON.stringify(workload('v')).slice(1)}}`;

test('Server side field validation, typed object', async () => {
  const body = deployment(
    'typed',
    '',
    '"unknown1":"val","unknownDupe":"a","unknownDupe":"b","paused":true,"paused":false,',
  );
  const refused = await strict('POST', DEPLOYMENTS, body);
  expect(refused.status).toBe(400);
  expect(refused.json['message']).toBe(
    'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: ' +
      'unknown field "spec.unknown1", unknown field "spec.unknownDupe", duplicate field "spec.paused"',
  );
  expect((await strict('POST', DEPLOYMENTS, deployment('typed'))).status).toBe(201);
  const patched = await strict(
    'PATCH',
    `${DEPLOYMENTS}/typed`,
    '{"spec":{"unknown1":"val"}}',
    'application/merge-patch+json',
  );
  expect(patched.json).toMatchObject({
    status: 'Failure',
    message: expect.stringContaining('strict decoding error: unknown field "spec.unknown1"') as string,
  });
});

test('Server side field validation, typed unknown metadata', async () => {
  const body = deployment('meta', ',"unknownMeta":"foo","labels":{"a":"b"}', '');
  const refused = await strict('PATCH', `${DEPLOYMENTS}/meta`, body, 'application/apply-patch+yaml');
  expect(refused.json).toMatchObject({ status: 'Failure', message: expect.stringMatching(/unknownMeta/) as string });
  expect((await send(`${DEPLOYMENTS}/meta`)).status).toBe(404);
});

test('API metadata HTTP return', async () => {
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const review = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const answer = await send(review, {
    method: 'POST',
    body: '{"spec":{"nonResourceAttributes":{"path":"/","verb":"get"}}}',
    headers: { accept: table },
  });
  expect(answer.status).toBe(406);
  await make(server.client, ConfigMap, 'm');
  expect((await accepting('/api/v1/namespaces/default/configmaps', table)).json).toMatchObject({ kind: 'Table' });
});
