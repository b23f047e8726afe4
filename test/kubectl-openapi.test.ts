// What kubectl makes of the OpenAPI documents: validation, applying, explain, one after the other over its cache on disk.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { realEnv } from '../src/base/real-env.ts';
import { startServer, type RunningServer } from '../src/cluster/server.ts';
import { kubeconfigText } from '../src/host/kubeconfig.ts';
import { Kubectl, kubectls } from './support/kubectl.ts';

const versions = kubectls();
const stop = new AbortController();
let dir: string;
let server: RunningServer;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-openapi-'));
  server = await startServer(
    {
      env: realEnv(),
      dataDir: dir,
      store: 'memory',
      bindAddress: '127.0.0.1',
      port: 0,
      advertiseAddress: '192.0.2.1',
      serviceCidr: '10.96.0.0/16',
      clusterCidr: '10.244.0.0/16',
      clusterDomain: 'cluster.local',
    },
    { signal: stop.signal },
  );
  const { cert, key } = server.pki.admin();
  const url = `https://127.0.0.1:${server.listener.port}`;
  const text = kubeconfigText({ name: 'test', server: url, ca: server.pki.ca, cert, key });
  writeFileSync(join(dir, 'kubeconfig'), text, { mode: 0o600 });
});

afterAll(async () => {
  stop.abort();
  await server?.ended;
  rmSync(dir, { recursive: true, force: true });
});

const map = (name: string, body: string) => `apiVersion: v1
kind: ConfigMap
metadata:
  name: ${name}
  namespace: default
${body}
`;

describe.each([...versions.keys()])('kubectl %s', (version) => {
  const name = `map-${version.replace('.', '-')}`;
  const kubectl = () => new Kubectl(versions.get(version)!, join(dir, 'kubeconfig'), join(dir, `cache-${version}`));

  test('applies, explains, applies again', async () => {
    const k = kubectl();
    expect(await k.ok('apply -f -', map(name, 'data: {a: b}'))).toContain('created');
    const explained = await k.ok('explain pod.spec.containers.ports');
    expect(explained).toContain('ContainerPort');
    expect(explained).toContain('Defaults to "TCP".');
    expect(await k.ok('apply -f -', map(name, 'data: {a: b}'))).toContain('unchanged');
    expect(await k.ok('apply -f -', map(name, 'data: {a: c}'))).toContain('configured');
    expect(await k.ok('explain deployment --recursive')).toContain('matchLabels');
    expect(await k.ok('explain service.spec.type')).toMatch(/type determines how the Service is exposed/i);
  });

  test('leaves validation to the server', async () => {
    const { err } = await kubectl().run(['apply', '-f', '-'], map(`${name}-wrong`, 'datta: {a: b}'));
    expect(err).toContain('unknown field "datta"');
  });
});
