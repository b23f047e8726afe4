import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StatusError } from '../api/errors.ts';
import { Event } from '../api/kinds/core/event.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { PodDisruptionBudget } from '../api/kinds/policy/pod-disruption-budget.ts';
import { drainMicrotasks } from '../base/virtual-clock.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { runScheduler } from './scheduler.ts';

let t: TestServer;
let stop: AbortController;
let running: Promise<void>;
/** Refuses bindings with this text. */
let refuse: string | undefined;
const binds: string[] = [];

async function start(more: { schedulerName?: string } = {}) {
  stop = new AbortController();
  const { client, env } = t;
  const informers = createInformerFactory({ client, env }, { signal: stop.signal });
  running = runScheduler({ client, env, informers, ...more }, { signal: stop.signal });
  await settle();
}
beforeEach(async () => {
  refuse = undefined;
  binds.length = 0;
  t = createTestServer({
    authorizer: {
      authorize({ subresource, name }) {
        if (subresource !== 'binding') return { allowed: true, reason: '' };
        binds.push(name);
        if (refuse) throw new StatusError('InternalError', refuse);
        return { allowed: true, reason: '' };
      },
    },
  });
  await t.client.create(Namespace, { metadata: { name: 'default' } } as never);
});
afterEach(async () => {
  stop.abort();
  await running;
  t.close();
});

/** Runs through all foreground timers of the next ten minutes. */
async function settle() {
  const end = t.clock.now() + 600_000;
  for (;;) {
    for (let i = 0; i < 10; i++) await drainMicrotasks();
    const next = t.clock.nextForeground();
    if (next === undefined || next > end) return;
    await t.clock.advanceTo(next);
  }
}
const namespace = 'default';
async function node(name: string, cpu = '2', spec: object = {}, labels: object = {}) {
  const status = { allocatable: { cpu, memory: '4Gi', pods: '110' } };
  const made = await t.client.create(Node, { metadata: { name, labels }, spec } as never);
  await t.client.update(Node, { ...made, status } as never, { subresource: 'status' });
}
async function pod(name: string, spec: object = {}, metadata: object = {}, cpu = '1') {
  const containers = [{ name: 'c', image: 'i', resources: { requests: { cpu } } }];
  await t.client.create(Pod, { metadata: { name, namespace, ...metadata }, spec: { containers, ...spec } } as never);
}
const get = (name: string) => t.client.get(Pod, { namespace, name });
const where = async (name: string) => (await get(name)).spec.nodeName;
const condition = async (name: string) => (await get(name)).status?.conditions?.find((c) => c.type === 'PodScheduled');
const events = async (name: string) =>
  (await t.client.list(Event)).items
    .filter((e) => e.involvedObject.name === name)
    .map((e) => `${e.type} ${e.source?.component} ${e.reason}: ${e.message}`);
const remove = (name: string) => t.client.delete(Pod, { namespace, name }, { gracePeriodSeconds: 0 });

describe('placing', () => {
  test('binds, says so, and the condition follows', async () => {
    await node('n1');
    await start();
    await pod('a');
    await settle();
    expect(await where('a')).toBe('n1');
    expect(await condition('a')).toMatchObject({ status: 'True' });
    expect(await events('a')).toEqual(['Normal default-scheduler Scheduled: Successfully assigned default/a to n1']);
  });

  test('what fits nowhere is told why, once', async () => {
    await node('n1', '500m');
    await start();
    await pod('a');
    await settle();
    const message =
      '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.';
    expect(await condition('a')).toMatchObject({ status: 'False', reason: 'Unschedulable', message });
    expect(await events('a')).toEqual([`Warning default-scheduler FailedScheduling: ${message}`]);
  });

  test('no nodes at all', async () => {
    await start();
    await pod('a');
    await settle();
    expect(await condition('a')).toMatchObject({ message: 'no nodes available to schedule pods' });
  });

  test('pods of other schedulers, bound ones and finished ones are left alone', async () => {
    await node('n1');
    await start();
    await pod('a', { schedulerName: 'mine' });
    await pod('b', { nodeName: 'elsewhere' });
    await settle();
    expect(await where('a')).toBeUndefined();
    expect(binds).toEqual([]);
  });

  test('a scheduler of another name', async () => {
    await node('n1');
    await start({ schedulerName: 'mine' });
    await pod('a', { schedulerName: 'mine' });
    await settle();
    expect(await events('a')).toEqual(['Normal mine Scheduled: Successfully assigned default/a to n1']);
  });

  test('gates hold a pod until the last is gone', async () => {
    await node('n1');
    await start();
    await pod('a', { schedulingGates: [{ name: 'x' }] });
    await settle();
    expect(binds).toEqual([]);
    await t.client.patch(Pod, { namespace, name: 'a' }, 'merge', { spec: { schedulingGates: [] } });
    await settle();
    expect(await where('a')).toBe('n1');
  });

  test('the more important one first', async () => {
    await pod('low', { priority: 1 }, {}, '2');
    await pod('high', { priority: 10 }, {}, '2');
    await node('n1');
    await start();
    expect([await where('high'), await where('low')]).toEqual(['n1', undefined]);
  });

  test('what is being bound counts already', async () => {
    await node('n1');
    await start();
    await Promise.all(['a', 'b', 'c'].map((name) => pod(name)));
    await settle();
    expect((await Promise.all(['a', 'b', 'c'].map(where))).filter((n) => n).length).toBe(2);
    expect(binds).toHaveLength(2);
  });
});

describe('a binding that fails', () => {
  test('is told, tried again, and its room is free meanwhile', async () => {
    await node('n1');
    await start();
    refuse = 'the store is away';
    await pod('a', {}, {}, '2');
    await drainMicrotasks();
    await t.clock.advance(10);
    expect(await condition('a')).toMatchObject({
      status: 'False',
      reason: 'SchedulerError',
      message: 'binding rejected: the store is away',
    });
    refuse = undefined;
    await pod('b', {}, {}, '2');
    await t.clock.advance(10);
    expect(await where('b')).toBe('n1');
    await remove('b');
    await settle();
    expect(await where('a')).toBe('n1');
    expect(await events('a')).toContain(
      'Warning default-scheduler FailedScheduling: binding rejected: the store is away',
    );
  });

  test('a pod that is gone is forgotten', async () => {
    await node('n1');
    await start();
    refuse = 'no';
    await pod('a');
    await t.clock.advance(10);
    await remove('a');
    refuse = undefined;
    await settle();
    await pod('b', {}, {}, '2');
    await settle();
    expect(await where('b')).toBe('n1');
  });
});

describe('a pod that waits is tried again', () => {
  test.each<[string, () => Promise<unknown>, (() => Promise<unknown>)?]>([
    ['when a node comes', () => node('n2')],
    [
      'when a taint goes',
      () => t.client.patch(Node, { name: 'tainted' }, 'merge', { spec: { taints: null } }),
      () => node('tainted', '2', { taints: [{ key: 'k', effect: 'NoSchedule' }] }),
    ],
    [
      'when a node is uncordoned',
      () => t.client.patch(Node, { name: 'cordoned' }, 'merge', { spec: { unschedulable: false } }),
      () => node('cordoned', '2', { unschedulable: true }),
    ],
    ['when a pod goes', () => remove('big')],
    [
      'when a pod ends',
      () =>
        t.client.patch(
          Pod,
          { namespace, name: 'big' },
          'merge',
          { status: { phase: 'Succeeded' } },
          { subresource: 'status' },
        ),
    ],
    [
      'when a node grows',
      () =>
        t.client.patch(
          Node,
          { name: 'n1' },
          'merge',
          { status: { allocatable: { cpu: '8' } } },
          { subresource: 'status' },
        ),
    ],
  ])('%s', async (_, change, prepare) => {
    await node('n1');
    await prepare?.();
    await start();
    await pod('big', {}, {}, '2');
    await settle();
    await pod('a');
    await settle();
    expect(await where('a')).toBeUndefined();
    await change();
    await settle();
    expect(await where('a')).toBeDefined();
  });

  test('not when nothing that concerns it has changed', async () => {
    await node('n1');
    await start();
    await pod('a', { nodeSelector: { disk: 'ssd' } });
    await settle();
    const before = (await get('a')).metadata.resourceVersion;
    await pod('other');
    await remove('other');
    await t.client.patch(Node, { name: 'n1' }, 'merge', { metadata: { annotations: { a: 'b' } } });
    await settle();
    expect((await get('a')).metadata.resourceVersion).toBe(before);
    expect(await events('a')).toHaveLength(1);
    await t.client.patch(Node, { name: 'n1' }, 'merge', { metadata: { labels: { disk: 'ssd' } } });
    await settle();
    expect(await where('a')).toBe('n1');
  });
});

test('a cordon in two steps, spec and taint, is undone at once: the half way does not count as a try', async () => {
  const taints = [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }];
  await node('n1', '2', { unschedulable: true, taints });
  await start();
  await pod('a');
  await t.clock.advance(10);
  await t.client.patch(Node, { name: 'n1' }, 'merge', { spec: { unschedulable: null } });
  await t.clock.advance(10);
  expect(await where('a')).toBeUndefined();
  await t.client.patch(Node, { name: 'n1' }, 'merge', { spec: { taints: null } });
  await t.clock.advance(10);
  expect(await where('a')).toBe('n1');
});

describe('preemption', () => {
  const victim = (name: string, priority = 1, cpu = '1') => pod(name, { priority }, { labels: { app: 'low' } }, cpu);

  test('the least important go; the room is kept until they are gone', async () => {
    await node('n1');
    await start();
    await victim('low', 1);
    await victim('lower', 0);
    await settle();
    await pod('high', { priority: 10 }, {}, '1');
    await settle();
    expect((await get('high')).status?.nominatedNodeName).toBe('n1');
    expect((await get('low')).metadata.deletionTimestamp).toBeUndefined();
    const going = await get('lower');
    expect(going.metadata.deletionTimestamp).toBeDefined();
    expect(going.status!.conditions).toContainEqual(
      expect.objectContaining({
        type: 'DisruptionTarget',
        reason: 'PreemptionByScheduler',
        message: 'default-scheduler: preempting to accommodate a higher priority pod',
      }),
    );
    const { uid } = (await get('high')).metadata;
    expect(await events('lower')).toContain(`Normal default-scheduler Preempted: Preempted by pod ${uid} on node n1`);
    // One that matters less than the preemptor does not get the room while the victim goes.
    await pod('middle', { priority: 5, preemptionPolicy: 'Never' }, {}, '1');
    await remove('lower');
    await settle();
    expect([await where('high'), await where('middle')]).toEqual(['n1', undefined]);
    expect((await condition('middle'))?.message).toContain('not eligible due to preemptionPolicy=Never.');
  });

  test('waits while its victims take their time', async () => {
    await node('n1');
    await start();
    await victim('low', 1, '2');
    await settle();
    await pod('high', { priority: 10 });
    await settle();
    await node('too-small', '100m');
    await settle();
    const { message } = (await condition('high'))!;
    expect(message).toContain('preemption: not eligible due to a terminating pod on the nominated node.');
    expect((await get('high')).status?.nominatedNodeName).toBe('n1');
  });

  test('spares what a disruption budget protects, where it can', async () => {
    await node('n1', '1');
    await node('n2', '1');
    await start();
    await pod('guarded', { priority: 0, nodeName: 'n1' }, { labels: { app: 'guarded' } });
    await pod('free', { priority: 1, nodeName: 'n2' });
    const metadata = { name: 'b', namespace };
    const spec = { minAvailable: 1, selector: { matchLabels: { app: 'guarded' } } };
    await t.client.create(PodDisruptionBudget, { metadata, spec } as never);
    await pod('high', { priority: 10 });
    await settle();
    expect((await get('free')).metadata.deletionTimestamp).toBeDefined();
    expect((await get('guarded')).metadata.deletionTimestamp).toBeUndefined();
  });

  test('helps nobody where nothing less important is in the way', async () => {
    await node('n1');
    await node('n2', '2', { taints: [{ key: 'k', effect: 'NoSchedule' }] });
    await start();
    await victim('equal', 10, '2');
    await settle();
    await pod('high', { priority: 10 });
    await settle();
    expect((await condition('high'))?.message).toBe(
      '0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: }. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.',
    );
  });

  test('gets a pod with anti-affinity out of the way', async () => {
    await node('n1', '8', {}, { zone: 'a' });
    await start();
    const term = { topologyKey: 'zone', labelSelector: { matchLabels: { app: 'x' } } };
    const podAntiAffinity = { requiredDuringSchedulingIgnoredDuringExecution: [term] };
    await pod('shy', { priority: 0, affinity: { podAntiAffinity } }, { labels: { app: 'y' } });
    await settle();
    await pod('high', { priority: 5 }, { labels: { app: 'x' } });
    await settle();
    expect((await get('shy')).metadata.deletionTimestamp).toBeDefined();
    await remove('shy');
    await settle();
    expect(await where('high')).toBe('n1');
  });

  test('a nomination outlives the scheduler', async () => {
    await node('n1');
    await start();
    await victim('low', 1, '2');
    await settle();
    await pod('high', { priority: 10 }, {}, '2');
    await settle();
    stop.abort();
    await running;
    await remove('low');
    await pod('greedy', { priority: 5 }, {}, '2');
    await start();
    expect([await where('high'), await where('greedy')]).toEqual(['n1', undefined]);
  });
});
