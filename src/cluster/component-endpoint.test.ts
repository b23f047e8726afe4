import { createServer, type AddressInfo, type Server } from 'node:net';
import { get as httpGet } from 'node:http';
import { request } from 'node:https';
import { expect, onTestFinished, test } from 'vitest';
import { ClusterRole } from '../api/kinds/rbac/cluster-role.ts';
import { ClusterRoleBinding } from '../api/kinds/rbac/cluster-role-binding.ts';
import { parseExposition } from '../base/exposition.ts';
import { Metrics } from '../base/metrics.ts';
import { realEnv } from '../base/real-env.ts';
import { issue, newKey } from '../host/x509.ts';
import { openComponentEndpoint, openProxyEndpoints } from './component-endpoint.ts';
import { Flags } from './flags.ts';
import { SCHEDULER } from './identities.ts';
import { TestCluster } from './testing.ts';

async function taken(): Promise<number> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

function ask(
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, headers, rejectUnauthorized: false, agent: false };
    request(options, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    })
      .on('error', reject)
      .end();
  });
}

function authority(): string {
  const { publicKey, privateKey } = newKey();
  const subject = { commonName: 'ca' };
  const times = { notBefore: Date.now() - 1000, notAfter: Date.now() + 1e9 };
  return issue({ subject, publicKey, ca: true, ...times }, { subject, key: privateKey, publicKey }, realEnv().random);
}

test('health is for anybody, metrics for whom the API server lets', async () => {
  await using cluster = await TestCluster.start({ time: 'real' });
  const { client } = cluster;
  const env = { ...realEnv(), metrics: new Metrics() };
  const port = String(await taken());
  const values = { 'secure-port': port, 'bind-address': '127.0.0.1' };
  const options = { env, name: 'kube-scheduler', client: cluster.clientFor(SCHEDULER), clientCa: authority() };
  await expect(openComponentEndpoint({ ...options, flags: new Flags(values) })).rejects.toThrow(
    `port ${port} is taken by another program: end it, or choose another with --secure-port`,
  );
  expect(await openComponentEndpoint({ ...options, flags: new Flags({ 'secure-port': '0' }) })).toBeUndefined();
  let well = true;
  const check = () => {
    if (!well) throw new Error('unwell');
  };
  // The port of a default is no wish: another one does.
  const flags = new Flags(values, values);
  const endpoint = (await openComponentEndpoint({ ...options, flags, checks: [{ name: 'own', check }] }))!;
  onTestFinished(() => endpoint.close());
  for (const path of ['/healthz', '/livez', '/readyz', '/healthz/own'])
    expect(await ask(endpoint.port, path)).toEqual({ status: 200, text: 'ok' });
  well = false;
  expect((await ask(endpoint.port, '/readyz')).text).toContain('[-]own failed');
  expect(await ask(endpoint.port, '/metrics')).toEqual({
    status: 403,
    text: 'forbidden: User "system:anonymous" cannot get path "/metrics"\n',
  });
  expect((await ask(endpoint.port, '/metrics', { authorization: 'Bearer nonsense' })).status).toBe(401);
  const token = await client.do({
    verb: 'create',
    group: '',
    version: 'v1',
    resource: 'serviceaccounts',
    subresource: 'token',
    namespace: 'default',
    name: 'default',
    options: {},
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  });
  const authorization = `Bearer ${(token as unknown as { object: { status: { token: string } } }).object.status.token}`;
  expect((await ask(endpoint.port, '/metrics', { authorization })).status).toBe(403);
  const rules = [{ nonResourceURLs: ['/metrics', '/nowhere'], verbs: ['get'] }];
  await client.create(ClusterRole, { metadata: { name: 'scrape' }, rules } as never);
  const subjects = [{ kind: 'ServiceAccount', namespace: 'default', name: 'default' }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'scrape' };
  await client.create(ClusterRoleBinding, { metadata: { name: 'scrape' }, roleRef, subjects } as never);
  // The refusal is remembered for a while, by path.
  expect((await ask(endpoint.port, '/nowhere', { authorization })).status).toBe(404);
  const again = (await openComponentEndpoint({ ...options, flags }))!;
  onTestFinished(() => again.close());
  const { status, text } = await ask(again.port, '/metrics', { authorization });
  expect(status).toBe(200);
  const families = parseExposition(text);
  expect(families.get('process_cpu_seconds_total')!.type).toBe('counter');
  const [info] = families.get('kubernetes_build_info')!.samples;
  expect([info!.value, info!.labels.get('minor')]).toEqual([1, '36']);
  expect([...info!.labels.keys()].sort().join(' ')).toBe(
    'build_date compiler git_commit git_tree_state git_version go_version major minor platform',
  );
});

test('the proxy’s are open: health by its last transaction, metrics, mode', async () => {
  const env = { ...realEnv(), metrics: new Metrics() };
  const [health, metrics] = [await taken(), await taken()];
  const logged: Record<string, unknown>[] = [];
  const log = { ...env.log, warn: (_: string, fields: Record<string, unknown> = {}) => void logged.push(fields) };
  const values = { 'healthz-bind-address': `127.0.0.1:${health}`, 'metrics-bind-address': `127.0.0.1:${metrics}` };
  let healthy = true;
  const proxy = await openProxyEndpoints({ ...env, log }, new Flags(values, values), () => healthy);
  onTestFinished(() => proxy.close());
  expect(logged.map((fields) => fields['flag'])).toEqual(['healthz-bind-address', 'metrics-bind-address']);
  const [healthPort, metricsPort] = proxy.ports;
  const page = (port: number, path: string) =>
    new Promise<[number, string]>((resolve, reject) => {
      httpGet({ host: '127.0.0.1', port, path, agent: false }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        answer.on('end', () => resolve([answer.statusCode ?? 0, text]));
      }).on('error', reject);
    });
  expect((await page(healthPort!, '/healthz'))[0]).toBe(200);
  healthy = false;
  expect((await page(healthPort!, '/livez'))[0]).toBe(503);
  expect(await page(metricsPort!, '/proxyMode')).toEqual([200, 'nftables']);
  const [, text] = await page(metricsPort!, '/metrics');
  expect(parseExposition(text).has('process_resident_memory_bytes')).toBe(true);
  expect((await page(metricsPort!, '/debug'))[0]).toBe(404);
  const wrong = new Flags({ 'healthz-bind-address': 'here', 'metrics-bind-address': '' });
  await expect(openProxyEndpoints(env, wrong, () => true)).rejects.toThrow('write it like 127.0.0.1:10249');
});
