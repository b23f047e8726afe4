// The operator against a whole cluster in this process: its real API server, RBAC and controllers, and time that passes
// when the test says so.

import { ClusterRole, ClusterRoleBinding, ConfigMap, Event, Lease, Namespace } from 'coracle';
import { roleOf } from 'coracle/controller';
import { TestCluster } from 'coracle/testing';
import { expect, test } from 'vitest';
import { FINALIZER, mirrorOperator, runMirrorOperator, TO } from './mirror.ts';

const ref = { namespace: 'default', name: 'settings' };
const inTeam = (team: string) => ({ namespace: team, name: 'settings' });

/** A cluster with two namespaces, and a way to start the operator in it as a user with its role, and no other rights. */
async function start() {
  const cluster = await TestCluster.start({ seed: 1 });
  const { client, env } = cluster;
  const name = mirrorOperator.name;
  const role = roleOf(mirrorOperator);
  await client.create(ClusterRole, role);
  await client.create(ClusterRoleBinding, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role.metadata.name! },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name }],
  });
  for (const team of ['team-a', 'team-b']) await client.create(Namespace, { metadata: { name: team }, spec: {} });
  const startOperator = (identity: string) => {
    const stop = new AbortController();
    const user = cluster.clientFor({ name, groups: ['system:authenticated'] }, name);
    const running = runMirrorOperator({ client: user, env, identity }, stop);
    return async () => {
      stop.abort(new Error('the test is over'));
      await running;
    };
  };
  const reasons = async () => (await client.list(Event, { namespace: 'default' })).items.map((event) => event.reason);
  return { cluster, client, startOperator, reasons };
}

test('copies follow their source, and go before it does', async () => {
  const { cluster, client, startOperator, reasons } = await start();
  await using _ = cluster;
  const stop = startOperator('a');

  await client.create(ConfigMap, {
    metadata: { ...ref, annotations: { [TO]: 'team-a, team-c' } },
    data: { colour: 'blue' },
  });
  await cluster.settle();
  expect((await client.get(ConfigMap, inTeam('team-a'))).data).toEqual({ colour: 'blue' });
  expect(await reasons()).toEqual(expect.arrayContaining(['Mirrored', 'NoSuchNamespace']));

  // A namespace that appears gets its copy; a copy that is changed or lost comes back.
  await client.create(Namespace, { metadata: { name: 'team-c' }, spec: {} });
  await client.patch(ConfigMap, inTeam('team-a'), 'merge', { data: { colour: 'red', more: 'x' } });
  await cluster.settle();
  expect((await client.get(ConfigMap, inTeam('team-c'))).data).toEqual({ colour: 'blue' });
  expect((await client.get(ConfigMap, inTeam('team-a'))).data).toEqual({ colour: 'blue' });

  await client.patch(ConfigMap, ref, 'merge', {
    metadata: { annotations: { [TO]: 'team-b' } },
    data: { colour: 'green' },
  });
  await cluster.settle();
  expect((await client.get(ConfigMap, inTeam('team-b'))).data).toEqual({ colour: 'green' });
  await expect(client.get(ConfigMap, inTeam('team-a'))).rejects.toMatchObject({ reason: 'NotFound' });

  await client.delete(ConfigMap, ref);
  await cluster.settle();
  for (const gone of [ref, inTeam('team-b')]) {
    await expect(client.get(ConfigMap, gone)).rejects.toMatchObject({ reason: 'NotFound' });
  }
  const gone = cluster.history().filter((c) => c.type === 'DELETED' && c.name === 'settings');
  expect(gone.map((c) => c.namespace)).toEqual(['team-a', 'team-c', 'team-b', 'default']);
  await stop();
});

test('without the operator the finalizer holds', async () => {
  const { cluster, client, startOperator } = await start();
  await using _ = cluster;
  const stop = startOperator('a');
  await client.create(ConfigMap, { metadata: { ...ref, annotations: { [TO]: 'team-a' } } });
  await cluster.settle();
  await stop();
  await client.delete(ConfigMap, ref);
  await cluster.advance('1h');
  expect((await client.get(ConfigMap, ref)).metadata.finalizers).toEqual([FINALIZER]);
  const again = startOperator('b');
  await cluster.settle();
  await expect(client.get(ConfigMap, ref)).rejects.toMatchObject({ reason: 'NotFound' });
  await again();
});

test('what belongs to somebody else is left alone', async () => {
  const { cluster, client, startOperator, reasons } = await start();
  await using _ = cluster;
  const stop = startOperator('a');
  await client.create(ConfigMap, { metadata: inTeam('team-a'), data: { mine: 'yes' } });
  await client.create(ConfigMap, { metadata: { ...ref, annotations: { [TO]: 'team-a' } }, data: { colour: 'blue' } });
  await cluster.settle();
  expect(await reasons()).toContain('Occupied');
  await client.delete(ConfigMap, ref);
  await cluster.settle();
  expect((await client.get(ConfigMap, inTeam('team-a'))).data).toEqual({ mine: 'yes' });
  await stop();
});

test('of two operators one leads, and the other follows it', async () => {
  const { cluster, client, startOperator } = await start();
  await using _ = cluster;
  const stopFirst = startOperator('first');
  await cluster.settle();
  const stopSecond = startOperator('second');
  await cluster.advance('1m');
  const holder = async () =>
    (await client.get(Lease, { namespace: 'default', name: mirrorOperator.name })).spec.holderIdentity;
  expect(await holder()).toBe('first');
  await stopFirst();
  await cluster.advance('10s');
  expect(await holder()).toBe('second');
  await client.create(ConfigMap, { metadata: { ...ref, annotations: { [TO]: 'team-a' } } });
  await cluster.settle();
  expect(await client.get(ConfigMap, inTeam('team-a'))).toBeDefined();
  await stopSecond();
});

test('its role allows what it does, and no more', () => {
  const { rules } = roleOf(mirrorOperator);
  expect(rules?.flatMap((rule) => [...(rule.resources ?? []), ...rule.verbs])).not.toContain('*');
});
