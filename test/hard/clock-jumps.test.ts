// The clock of a running server is put forward and back by an hour under its clients' hands. The long consequences are
// tested in virtual time (src/cluster/clock-jumps.test.ts); here it is the process with its port and its disk.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { ApiClient } from './support/api-client.ts';
import { startServerChild } from './support/server-child.ts';

const HOUR = 3_600_000;
const NAMESPACE = '/api/v1/namespaces/default';
const MAPS = `${NAMESPACE}/configmaps`;
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';

interface Condition {
  readonly type: string;
  readonly status: string;
}
interface Seen {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
  readonly status?: { readonly conditions?: readonly Condition[]; readonly token?: string };
}

const ready = ({ status }: Seen) => status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';

test('an hour forward and back, again and again: tokens, watches, leases, nodes and pods go on', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'coracle-clock-'));
  const server = await startServerChild({ dataDir, nodes: 2 });
  const client = new ApiClient(server);
  onTestFinished(async () => {
    client.close();
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const list = async (path: string) => (await client.ok('GET', path))['items'] as Seen[];
  const until = async (what: string, check: () => Promise<boolean>) => {
    for (let i = 0; !(await check()); i++) {
      if (i > 400) throw new Error(`not within 20 s: ${what}\n${server.log.slice(-20).join('\n')}`);
      await delay(50);
    }
  };
  const containers = [{ name: 'c', image: 'i' }];
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers } };
  const spec = { replicas: 4, selector: { matchLabels: { app: 'web' } }, template };
  await until('nodes are Ready', async () => (await list('/api/v1/nodes')).filter(ready).length === 2);
  await client.ok('POST', DEPLOYMENTS, { metadata: { name: 'web' }, spec });
  await until('pods are Ready', async () => (await list(`${NAMESPACE}/pods`)).filter(ready).length === 4);
  const pods = (await list(`${NAMESPACE}/pods`)).map((pod) => pod.metadata.uid).sort();

  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 7200 } };
  const issued = (await client.ok('POST', `${NAMESPACE}/serviceaccounts/default/token`, request)) as unknown as Seen;
  const account = new ApiClient({ port: server.port, ca: server.ca }, { token: issued.status!.token! });
  onTestFinished(() => account.close());
  const told: number[] = [];
  const watching = await client.watch(`${MAPS}?watch=true`, ({ object }) => {
    if (object.metadata.name?.startsWith('m-')) told.push(Number(object.metadata.resourceVersion));
  });
  onTestFinished(() => watching.stop());

  const written: number[] = [];
  for (const [i, shift] of [HOUR, 0, -HOUR, 0, HOUR, -HOUR, 0].entries()) {
    await server.shift(shift);
    const before = Number((await client.ok('GET', MAPS)).metadata.resourceVersion);
    const made = await client.ok('POST', MAPS, { metadata: { name: `m-${i}` } });
    written.push(Number(made.metadata.resourceVersion));
    expect(Date.parse(made.metadata.creationTimestamp!) - Date.now() - shift).toBeGreaterThan(-5000);
    // 403: known, without rights.
    expect((await account.request('GET', MAPS)).status).toBe(403);
    await delay(700);
    expect((await list('/api/v1/nodes')).filter(ready)).toHaveLength(2);
    expect((await list(`${NAMESPACE}/pods`)).map((pod) => pod.metadata.uid).sort()).toEqual(pods);
    // Nobody writes in a loop.
    const after = Number((await client.ok('GET', MAPS)).metadata.resourceVersion);
    expect(after - before).toBeLessThan(60);
  }
  expect(written).toEqual(written.toSorted((a, b) => a - b));
  await until('all is told', async () => told.length === written.length);
  expect(told).toEqual(written);
  await server.shift(HOUR);
  await client.ok('PUT', `${DEPLOYMENTS}/web/scale`, {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas: 2 },
  });
  await until('the deployment is scaled', async () => (await list(`${NAMESPACE}/pods`)).length === 2);
});
