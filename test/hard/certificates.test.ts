// A control plane that was off for so long that its certificates ended: the next start heals what it can, and says what
// its clients have to do. The first start of each test lies in the past, so that for TLS itself, which goes by the clock
// of this machine, the certificates of then are over now.

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ApiClient } from './support/api-client.ts';
import { startServerChild, type ServerChild } from './support/server-child.ts';

const DAY = 86_400_000;
const YEAR = 365 * DAY;
const NAMESPACE = '/api/v1/namespaces/default';
const MAPS = `${NAMESPACE}/configmaps`;

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-expired-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function start(dataDir: string, shift: number): Promise<ServerChild> {
  const server = await startServerChild({ dataDir, shift, nodes: 1 });
  onTestFinished(() => server.kill());
  return server;
}

function clientOf(access: ConstructorParameters<typeof ApiClient>[0], token?: string): ApiClient {
  const client = new ApiClient(access, token ? { token } : {});
  onTestFinished(() => client.close());
  return client;
}

const endOf = (pem: string) => Date.parse(new X509Certificate(pem).validTo);
const shown = (dataDir: string, name: string) => readFileSync(join(dataDir, 'pki', `${name}.crt`), 'utf8');

/** Runs a server `ago` milliseconds in the past, with an object to be found later. */
async function past(dataDir: string, ago: number) {
  const server = await start(dataDir, -ago);
  // No TLS client of today takes its certificate: what was written then is written by its nodes and controllers.
  await expect(clientOf(server).ok('GET', MAPS)).rejects.toThrow(/expired/);
  const { ca, cert, key } = server;
  await server.stop();
  return { ca, cert, key };
}

test('off for more than a year: the server heals itself, an old kubeconfig is told what it lacks', async () => {
  const dataDir = temporary();
  const before = await past(dataDir, YEAR + 40 * DAY);
  expect(endOf(before.cert)).toBeLessThan(Date.now());
  const server = await start(dataDir, 0);
  expect(server.ca).toBe(before.ca);
  for (const name of ['apiserver', 'admin'])
    expect(endOf(shown(dataDir, name))).toBeGreaterThan(Date.now() + YEAR - DAY);
  const client = clientOf(server);
  expect(((await client.ok('GET', '/api/v1/nodes'))['items'] as unknown[]).length).toBe(1);
  await client.ok('POST', MAPS, { metadata: { name: 'today' } });

  const old = await clientOf({ ...before, port: server.port }).request('GET', MAPS);
  expect(old.status).toBe(401);
  expect(old.object).toMatchObject({
    kind: 'Status',
    reason: 'Unauthorized',
    message: 'Unauthorized: the client certificate has expired or is not yet valid; get a new kubeconfig',
  });
  expect((await clientOf({ ...before, port: server.port }).request('DELETE', `${MAPS}/today`)).status).toBe(401);
  expect((await client.request('GET', `${MAPS}/today`)).status).toBe(200);
});

test('off for eleven years: the authority gets a new certificate for its key, and pods the new bundle', async () => {
  const dataDir = temporary();
  const before = await past(dataDir, 11 * YEAR);
  expect(endOf(before.ca)).toBeLessThan(Date.now());
  const server = await start(dataDir, 0);
  expect(endOf(server.ca)).toBeGreaterThan(Date.now() + 9 * YEAR);
  const [old, renewed] = [before.ca, server.ca].map((pem) => new X509Certificate(pem));
  expect(renewed!.publicKey.equals(old!.publicKey)).toBe(true);
  const client = clientOf(server);
  await client.ok('POST', MAPS, { metadata: { name: 'today' } });
  for (let i = 0; ; i++) {
    const bundle = (await client.ok('GET', `${MAPS}/kube-root-ca.crt`))['data'] as Record<string, string>;
    if (bundle['ca.crt'] === server.ca) break;
    expect(i, 'the bundle for pods is the new one').toBeLessThan(200);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect((await clientOf({ ...before, ca: server.ca, port: server.port }).request('GET', MAPS)).status).toBe(401);
});

test('a certificate that ends while its connection lasts: the next request is refused', async () => {
  const dataDir = temporary();
  const server = await start(dataDir, 0);
  const client = clientOf(server);
  await client.ok('POST', MAPS, { metadata: { name: 'm' } });
  await server.shift(YEAR + DAY);
  const answer = await client.request('GET', `${MAPS}/m`);
  expect(answer.status).toBe(401);
  expect(answer.text).toMatch(/the client certificate expired on \d{4}-\d\d-\d\dT[\d:]+Z; get a new kubeconfig/);
  await server.shift(0);
  await client.ok('GET', `${MAPS}/m`);
});
