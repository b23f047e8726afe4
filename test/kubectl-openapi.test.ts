// What kubectl makes of the OpenAPI documents: validation, applying, explain, one after the other over its cache on disk.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningServer } from '../src/cluster/server.ts';
import { startApiServer } from './support/api-server.ts';
import { Kubectl, kubectls } from './support/kubectl.ts';

const versions = kubectls();
const stop = new AbortController();
let dir: string;
let server: RunningServer;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-openapi-'));
  ({ server } = await startApiServer(dir, stop.signal));
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
