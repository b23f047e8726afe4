import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StatusError } from '../api/errors.ts';
import { Event } from '../api/kinds/core/event.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Secret } from '../api/kinds/core/secret.ts';
import { controllerOf, keyOf, refOfKey } from '../api/object.ts';
import type { ApiResult, Transport, WatchSink } from '../api/op.ts';
import type { LogRecord } from '../base/log.ts';
import { createLogger } from '../base/log.ts';
import { drainMicrotasks } from '../base/virtual-clock.ts';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { Client } from './client.ts';
import { NOTHING, watch, type Action, type ControllerDefinition, type Plan, type View } from './controller.ts';
import { runController } from './controller-runtime.ts';
import { createInformerFactory } from './create-informer.ts';
import { BY_CONTROLLER } from './informer.ts';

let test: TestServer;
let abort: AbortController;
let logged: LogRecord[];
/** Called before each operation; may throw. */
let onCall: (verb: string, resource: string, name: string | undefined) => void;
/** Watch batches wait here while set. */
let held: (() => void)[] | undefined;
let running: Promise<void>[];

beforeEach(async () => {
  logged = [];
  test = createTestServer({ log: createLogger({ sink: (r) => logged.push(r), level: 'warn' }) });
  abort = new AbortController();
  onCall = () => {};
  held = undefined;
  running = [];
  await test.client.create(Namespace, { metadata: { name: 'a' } } as never);
});
afterEach(async () => {
  abort.abort();
  await Promise.all(running);
  test.close();
});

const transport: Transport = async (op, options): Promise<ApiResult> => {
  onCall(op.verb, op.resource, op.name ?? (op.body as { metadata?: { name?: string } })?.metadata?.name);
  const result = await test.client.do(op, options?.signal);
  if (result.type !== 'watch') return result;
  const { stream } = result;
  const start = (sink: WatchSink) =>
    stream.start({
      closed: () => sink.closed(),
      events: (batch) => (held ? held.push(() => sink.events(batch)) : sink.events(batch)),
    });
  return { type: 'watch', stream: { start, stop: () => stream.stop() } };
};
const release = () => {
  const batches = held ?? [];
  held = undefined;
  for (const deliver of batches) deliver();
};

async function start(definition: Partial<ControllerDefinition>): Promise<void> {
  const client = new Client(transport, 'test/1');
  const informers = createInformerFactory({ client, env: test.env }, { signal: abort.signal });
  const whole: ControllerDefinition = {
    name: 'test-controller',
    primary: ConfigMap,
    watches: [watch({ kind: ConfigMap, keys: 'self' }), watch({ kind: Secret, keys: 'controller' })],
    grants: [],
    ...definition,
  };
  running.push(runController(whole, { client, env: test.env, informers }, { signal: abort.signal }));
  await idle();
}
const idle = async () => {
  for (let i = 0; i < 10; i++) await drainMicrotasks();
};
const config = (name: string, data: Record<string, string> = {}) =>
  test.client.create(ConfigMap, { metadata: { name, namespace: 'a' }, data } as never);
const secrets = async () => (await test.client.list(Secret)).items.map((s) => s.metadata.name);

const secret = (owner: ConfigMap, name: string): Action => ({
  do: 'create',
  kind: Secret,
  object: {
    metadata: {
      name,
      namespace: 'a',
      ownerReferences: [
        { apiVersion: 'v1', kind: 'ConfigMap', name: owner.metadata.name, uid: owner.metadata.uid, controller: true },
      ],
    },
  },
  done: (made) => ({ type: 'Normal', reason: 'Made', message: `made ${made?.metadata.name}` }),
  failed: (error) => ({ type: 'Warning', reason: 'NotMade', message: error.message }),
});

/** As many secrets as the config map's `data.count` says, named by chance: doing it twice would show. */
function planSecrets(key: string, view: View): Plan {
  const owner = view.of(ConfigMap).get(key);
  if (!owner) return NOTHING;
  const missing =
    Number(owner.data?.['count'] ?? 0) - view.of(Secret).byIndex(BY_CONTROLLER, owner.metadata.uid).length;
  const creates = Array.from({ length: Math.max(0, missing) }, (_, i) => {
    const action = secret(owner, '') as Action & { do: 'create' };
    const metadata = { ...action.object.metadata, name: undefined as never, generateName: `${i}-` };
    return { ...action, object: { metadata } } as Action;
  });
  return creates.length ? { actions: [creates] } : NOTHING;
}

describe('runController', () => {
  it('plans on every change of the object and of what it controls', async () => {
    const planned: string[] = [];
    await config('one', { count: '2' });
    await start({
      plan(key, view, now) {
        planned.push(key);
        expect(now).toBe(test.clock.now());
        return planSecrets(key, view);
      },
    });
    expect(planned[0]).toBe('a/one');
    const [first] = (await test.client.list(Secret)).items;
    expect(controllerOf(first!)?.name).toBe('one');
    expect((await secrets()).length).toBe(2);
    const before = planned.length;
    await test.client.delete(Secret, first!.metadata);
    await idle();
    expect(planned.length).toBeGreaterThan(before);
    expect((await secrets()).length).toBe(2);
  });

  it('holds a key until the caches show its own writes', async () => {
    await start({ plan: planSecrets });
    await config('one', { count: '3' });
    await idle();
    expect((await secrets()).length).toBe(3);
    held = [];
    const doomed = await secrets();
    await test.client.delete(Secret, { namespace: 'a', name: doomed[0]! });
    // The cache does not know yet; whatever else happens, nothing is planned on what it believes.
    await test.client.patch(ConfigMap, { namespace: 'a', name: 'one' }, 'merge', { data: { count: '5' } });
    await idle();
    expect((await secrets()).length).toBe(2);
    release();
    await idle();
    expect((await secrets()).length).toBe(5);
  });

  it('does not repeat a create whose event is late', async () => {
    await config('one', { count: '1' });
    let plans = 0;
    onCall = (verb, resource) => {
      if (verb === 'create' && resource === 'secrets') held ??= [];
    };
    await start({
      plan(key, view) {
        plans++;
        return planSecrets(key, view);
      },
    });
    expect((await secrets()).length).toBe(1);
    expect(plans).toBe(1);
    await test.clock.advance(60_000);
    expect(plans).toBe(1);
    release();
    await idle();
    expect(plans).toBe(2);
    expect((await secrets()).length).toBe(1);
  });

  it('after the answer to a create was lost, plans nothing before the cache has what was made', async () => {
    await config('one');
    let plans = 0;
    let lose = true;
    const made = { metadata: { name: 'fixed', namespace: 'a' } };
    onCall = (verb, resource) => {
      if (verb !== 'create' || resource !== 'secrets' || !lose) return;
      lose = false;
      held = [];
      void test.client.create(Secret, made as never);
      throw new Error('the connection was lost');
    };
    await start({
      plan(key, view) {
        plans++;
        const owner = view.of(ConfigMap).get(key);
        return owner && !view.of(Secret).get('a/fixed') ? { actions: [secret(owner, 'fixed')] } : NOTHING;
      },
    });
    await test.clock.advance(60_000);
    expect(plans).toBe(2);
    expect(logged.map((r) => String(r.fields?.['error'])).at(-1)).toContain('already exists');
    release();
    await idle();
    await test.clock.advance(60_000);
    expect(plans).toBeGreaterThan(2);
    expect(logged.filter((r) => String(r.fields?.['error']).includes('already exists'))).toHaveLength(1);
    expect(await secrets()).toEqual(['fixed']);
  });

  it('gives up holding after five minutes', async () => {
    await config('one', { count: '1' });
    let plans = 0;
    onCall = (verb, resource) => {
      if (verb === 'create' && resource === 'secrets') held ??= [];
    };
    await start({
      plan(key, view) {
        plans++;
        return { ...planSecrets(key, view), again: 1000 };
      },
    });
    await test.clock.advance(299_000);
    expect(plans).toBe(1);
    await test.clock.advance(2_000);
    expect(plans).toBe(2);
    expect(logged.map((r) => r.message)).toContain('own writes do not show up in the cache');
  });

  it('retries failures with growing pauses, without repeating itself about conflicts', async () => {
    const at: number[] = [];
    await config('one');
    let error: Error = new StatusError('Conflict', 'outdated');
    await start({
      plan: (key) => ({
        actions: [{ do: 'patch', kind: ConfigMap, ref: refOfKey(key), type: 'merge', patch: { data: { x: '1' } } }],
      }),
    });
    onCall = (verb) => {
      if (verb !== 'patch') return;
      at.push(test.clock.now());
      throw error;
    };
    await test.client.patch(ConfigMap, { namespace: 'a', name: 'one' }, 'merge', { data: { y: '1' } });
    await test.clock.advance(100);
    expect(at.slice(1, 5).map((t, i) => t - at[i]!)).toEqual([5, 10, 20, 40]);
    expect(logged).toEqual([]);
    error = new StatusError('InternalError', 'broken');
    await test.clock.advance(1000);
    expect(logged[0]).toMatchObject({ message: 'failed, trying again', component: 'test-controller' });
  });

  it('survives a plan that throws', async () => {
    let plans = 0;
    await config('one');
    await start({
      plan() {
        if (plans++ < 2) throw new Error('bug');
        return NOTHING;
      },
    });
    await test.clock.advance(100);
    expect(plans).toBe(3);
    expect(logged.length).toBe(2);
  });

  it('starts parallel creates slowly and stops at the first failing batch', async () => {
    let asked = 0;
    await start({ plan: planSecrets });
    onCall = (verb, resource) => {
      if (verb !== 'create' || resource !== 'secrets') return;
      if (++asked > 4) throw new StatusError('Forbidden', 'quota');
    };
    const one = await config('one', { count: '100' });
    await drainMicrotasks();
    // 1 + 2 + 4; then, because the four that were made are news, one more try.
    expect(asked).toBe(8);
    expect((await secrets()).length).toBe(4);
    await idle();
    const { items } = await test.client.list(Event);
    expect(items.map((e) => `${e.reason} ${e.count}`).sort()).toEqual([
      'Made 1',
      'Made 1',
      'Made 1',
      'Made 1',
      'NotMade 4',
    ]);
    expect(items[0]).toMatchObject({
      involvedObject: { kind: 'ConfigMap', name: 'one', namespace: 'a', uid: one.metadata.uid, apiVersion: 'v1' },
      source: { component: 'test-controller' },
      reportingComponent: 'test-controller',
    });
  });

  it('runs what a plan wants done after a failure, then ends the plan', async () => {
    const one = await config('one');
    onCall = (verb, _, name) => {
      if (verb === 'create' && name === 'bad') throw new StatusError('Forbidden', 'no');
    };
    let retries = 0;
    await start({
      plan: (key) =>
        retries++ > 0
          ? NOTHING
          : {
              actions: [secret(one, 'first'), secret(one, 'bad'), secret(one, 'never')],
              failed: (error, action) => [
                {
                  do: 'patch',
                  kind: ConfigMap,
                  ref: refOfKey(key),
                  type: 'merge',
                  patch: { data: { failure: `${error.message} ${action.do}` } },
                },
              ],
            },
    });
    expect(await secrets()).toEqual(['first']);
    expect((await test.client.get(ConfigMap, { namespace: 'a', name: 'one' })).data).toEqual({ failure: 'no create' });
  });

  it('ignores what it is told to ignore, and a namespace on its way out', async () => {
    const one = await config('one');
    const terminating = new StatusError('Forbidden', 'terminating', { causes: [{ reason: 'NamespaceTerminating' }] });
    onCall = (verb, _, name) => {
      if (verb === 'create' && name === 'late') throw terminating;
    };
    let plans = 0;
    await start({
      plan() {
        plans++;
        return {
          actions:
            plans > 1
              ? []
              : [
                  { do: 'delete', kind: Secret, ref: { namespace: 'a', name: 'none' }, ignore: ['NotFound'] },
                  secret(one, 'late'),
                  secret(one, 'then'),
                ],
        };
      },
    });
    expect(await secrets()).toEqual(['then']);
    await test.clock.advance(10_000);
    expect(logged).toEqual([]);
  });

  it('drops the rest of a plan when the owner is no longer what it was', async () => {
    const one = await config('one');
    const confirm = (uid: string): Action => ({
      do: 'confirm',
      kind: ConfigMap,
      ref: { namespace: 'a', name: 'one' },
      uid,
    });
    let plan: Plan = { actions: [confirm('another'), secret(one, 'no')] };
    await start({ plan: () => plan });
    expect(await secrets()).toEqual([]);
    plan = { actions: [confirm(one.metadata.uid), secret(one, 'yes')] };
    await test.client.patch(ConfigMap, { namespace: 'a', name: 'one' }, 'merge', { data: { y: '1' } });
    await drainMicrotasks();
    plan = NOTHING;
    await idle();
    expect(await secrets()).toEqual(['yes']);
  });

  it('plans again when asked to, and hands memory on', async () => {
    const seen: unknown[] = [];
    await config('one');
    await start({
      plan(_key, _view, _now, memory) {
        seen.push(memory);
        return { actions: [], again: 1000, idle: seen.length > 2, ...(seen.length < 4 ? { memory: seen.length } : {}) };
      },
    });
    expect(test.clock.nextForeground()).toBe(test.clock.now() + 1000);
    await test.clock.advance(2000);
    expect(test.clock.nextForeground()).toBeUndefined();
    await test.clock.advance(2000);
    expect(seen).toEqual([undefined, 1, 2, 3, undefined]);
  });

  it('lets a key rest while changes gather', async () => {
    let plans = 0;
    await config('one');
    await start({
      plan() {
        plans++;
        return { actions: [], rest: 100 };
      },
    });
    for (let i = 0; i < 10; i++) {
      await test.client.patch(ConfigMap, { namespace: 'a', name: 'one' }, 'merge', { data: { i: String(i) } });
      await idle();
    }
    expect(plans).toBe(1);
    await test.clock.advance(100);
    expect(plans).toBe(2);
    await test.clock.advance(1000);
    expect(plans).toBe(2);
  });

  it('works on as many keys at once as it has workers, never twice on one', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await config(name);
    const open = new Map<string, () => void>();
    let most = 0;
    await start({
      workers: 2,
      async reconcile(key) {
        expect(open.has(key)).toBe(false);
        await new Promise<void>((resolve) => {
          open.set(key, resolve);
          most = Math.max(most, open.size);
        });
        open.delete(key);
        return NOTHING;
      },
    });
    expect([...open.keys()]).toEqual(['a/a', 'a/b']);
    await test.client.patch(ConfigMap, { namespace: 'a', name: 'a' }, 'merge', { data: { y: '1' } });
    const worked: string[] = [];
    for (let i = 0; i < 5; i++) {
      const [key, end] = [...open][0]!;
      worked.push(key);
      end();
      await idle();
    }
    expect(worked).toEqual(['a/a', 'a/b', 'a/c', 'a/d', 'a/a']);
    expect(most).toBe(2);
  });

  it('runs whole loops with caches in sync, and waits for what is under way when told to stop', async () => {
    await config('one');
    const seen: string[] = [];
    let end = () => {};
    await start({
      watches: [watch({ kind: ConfigMap, keys: 'none' })],
      async run({ view, signal, event }) {
        seen.push(...view.of(ConfigMap).list().map(keyOf));
        event({ type: 'Normal', reason: 'Ran', message: 'x', about: view.of(ConfigMap).get('a/one')! });
        expect(() => view.of(Secret)).toThrow('Secret is not watched by this controller');
        await new Promise<void>((resolve) => (end = resolve));
        expect(signal.aborted).toBe(true);
        seen.push('ended');
      },
    });
    expect(seen).toEqual(['a/one']);
    abort.abort();
    let stopped = false;
    void running[0]!.then(() => (stopped = true));
    await idle();
    expect(stopped).toBe(false);
    end();
    await running[0];
    expect(seen).toEqual(['a/one', 'ended']);
  });
});
