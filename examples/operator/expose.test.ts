// The operator's loop against a whole cluster in this process: its real API server, its real controllers.

import { Deployment, Event, Service, type Client } from 'coracle';
import { createInformerFactory, roleOf, runController } from 'coracle/controller';
import { TestCluster } from 'coracle/testing';
import { expect, test } from 'vitest';
import { exposeOperator, PORT } from './expose.ts';

const ref = { namespace: 'default', name: 'web' };
const web = (annotations: Record<string, string>) => ({
  metadata: { ...ref, annotations },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'web:1' }] } },
  },
});

test('a Deployment is exposed on the port it names, for as long as it names one', async () => {
  await using cluster = await TestCluster.start();
  const { client, env } = cluster;
  const stop = new AbortController();
  const informers = createInformerFactory({ client, env }, { signal: stop.signal });
  const running = runController(exposeOperator, { client, env, informers }, { signal: stop.signal });

  await client.create(Deployment, web({ [PORT]: '8080' }) as never);
  await cluster.settle();
  const service = await client.get(Service, ref);
  expect(service.spec).toMatchObject({ selector: { app: 'web' }, ports: [{ port: 8080 }] });
  expect((await reasons(client)).includes('Exposed')).toBe(true);

  await client.patch(Deployment, ref, 'merge', { metadata: { annotations: { [PORT]: '9090' } } });
  await cluster.settle();
  expect((await client.get(Service, ref)).spec.ports?.[0]?.port).toBe(9090);

  await client.patch(Deployment, ref, 'merge', { metadata: { annotations: { [PORT]: 'http' } } });
  await cluster.settle();
  expect((await reasons(client)).includes('InvalidPort')).toBe(true);

  await client.patch(Deployment, ref, 'merge', { metadata: { annotations: { [PORT]: null } } });
  await cluster.settle();
  await expect(client.get(Service, ref)).rejects.toMatchObject({ reason: 'NotFound' });
  stop.abort(new Error('the test is over'));
  await running;
});

test('its role allows what it does, and no more', () => {
  const { rules } = roleOf(exposeOperator) as { rules: readonly { resources?: readonly string[] }[] };
  expect(rules.flatMap((rule) => rule.resources ?? [])).not.toContain('*');
});

async function reasons(client: Client): Promise<(string | undefined)[]> {
  return (await client.list(Event, { namespace: 'default' })).items.map((event) => event.reason);
}
