import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { StatusError } from '../api/errors.ts';
import type { ApiOp, ApiResult, NoUser, Transport, WatchSink } from '../api/op.ts';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { drainMicrotasks } from '../base/virtual-clock.ts';
import { Client } from './client.ts';
import { createInformer, createInformerFactory } from './create-informer.ts';
import { BY_CONTROLLER } from './informer.ts';

/** The real server's transport with a hand on the wire: it records calls, fails them, and ends watches. */
function breakable(test: TestServer) {
  const calls: string[] = [];
  const faults: { verb: string; error: Error }[] = [];
  let sink: WatchSink | undefined;
  const inner: Transport = (op, options) => test.client.do(op, options?.signal);
  const transport: Transport = async (op: NoUser<ApiOp>, options): Promise<ApiResult> => {
    if (op.verb === 'list' || op.verb === 'watch') calls.push(`${op.verb} ${op.options.resourceVersion ?? '-'}`);
    const at = faults.findIndex((f) => f.verb === op.verb);
    if (at >= 0) throw faults.splice(at, 1)[0]!.error;
    const result = await inner(op, options);
    if (result.type !== 'watch') return result;
    const { stream } = result;
    return {
      type: 'watch',
      stream: {
        start: (s) => {
          sink = s;
          stream.start(s);
        },
        stop: () => stream.stop(),
      },
    };
  };
  return {
    client: new Client(transport, 'test/1'),
    calls,
    fail: (verb: string, error: Error) => faults.push({ verb, error }),
    /** Cuts the watch: what happens from here on is not delivered. */
    end(error?: StatusError) {
      if (error) sink!.events([{ type: 'ERROR', object: error.toStatus() as never }]);
      else sink!.closed();
    },
  };
}

let test: TestServer;
let abort: AbortController;
beforeEach(async () => {
  test = createTestServer();
  abort = new AbortController();
  await test.client.create(Namespace, { metadata: { name: 'a' } } as never);
  await test.client.create(Namespace, { metadata: { name: 'b' } } as never);
});
afterEach(() => {
  abort.abort();
  test.close();
});

const make = (name: string, namespace = 'a', extra: object = {}) =>
  test.client.create(ConfigMap, { metadata: { name, namespace, ...extra }, data: { v: '1' } } as never);
const change = (name: string, v: string) =>
  test.client.patch(ConfigMap, { namespace: 'a', name }, 'merge', { data: { v } });
const remove = (name: string) => test.client.delete(ConfigMap, { namespace: 'a', name });

function start(client = test.client) {
  const informer = createInformer(ConfigMap, { client, env: test.env }, { signal: abort.signal });
  const seen: string[] = [];
  informer.on((object, old) => {
    const name = (object ?? old)!.metadata.name;
    seen.push(`${name} ${old?.data?.['v'] ?? '-'}>${object?.data?.['v'] ?? '-'}`);
  });
  return { informer, seen };
}

describe('informer', () => {
  it('lists, then follows in order, with the very objects of the server', async () => {
    await make('one');
    const { informer, seen } = start();
    expect(informer.revision).toBe(0);
    await informer.synced;
    await drainMicrotasks();
    const two = await make('two');
    await change('one', '2');
    await remove('two');
    await drainMicrotasks();
    expect(seen).toEqual(['one ->1', 'two ->1', 'one 1>2', 'two 1>-']);
    expect(informer.list().map((o) => o.metadata.name)).toEqual(['one']);
    expect(informer.get('a/two')).toBeUndefined();
    expect(informer.revision).toBeGreaterThan(Number(two.metadata.resourceVersion));
    const other = createInformer(ConfigMap, { client: test.client, env: test.env }, { signal: abort.signal });
    await other.synced;
    expect(other.get('a/one')).toBe(informer.get('a/one'));
  });

  it('keeps namespaces and indexes current', async () => {
    const owner = (uid: string) => ({
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid, controller: true }],
    });
    await make('one', 'a', owner('u1'));
    await make('two', 'b');
    const { informer } = start();
    await informer.synced;
    await drainMicrotasks();
    informer.addIndex('v', (o) => [o.data?.['v'] ?? '']);
    informer.addIndex('v', () => ['ignored']);
    const names = (list: readonly { metadata: { name: string } }[]) => list.map((o) => o.metadata.name);
    expect(names(informer.list('b'))).toEqual(['two']);
    expect(names(informer.byIndex(BY_CONTROLLER, 'u1'))).toEqual(['one']);
    expect(names(informer.byIndex('v', '1'))).toEqual(['one', 'two']);
    await change('one', '2');
    await make('three');
    await drainMicrotasks();
    expect(names(informer.byIndex('v', '1'))).toEqual(['two', 'three']);
    expect(names(informer.byIndex('v', '2'))).toEqual(['one']);
    expect(names(informer.list('a'))).toEqual(['one', 'three']);
    expect(informer.list('a')).toBe(informer.list('a'));
    await remove('one');
    await drainMicrotasks();
    expect(informer.byIndex(BY_CONTROLLER, 'u1')).toEqual([]);
    expect(informer.byIndex('v', '2')).toEqual([]);
    expect(() => informer.byIndex('nobody', '')).toThrow('no index nobody');
  });

  it('resumes a closed watch without listing again or missing anything', async () => {
    const wire = breakable(test);
    const { informer, seen } = start(wire.client);
    await informer.synced;
    await make('one');
    await drainMicrotasks();
    wire.end();
    await make('two');
    await test.clock.advance(2000);
    expect(seen).toEqual(['one ->1', 'two ->1']);
    expect(wire.calls.filter((c) => c.startsWith('list'))).toEqual(['list 0']);
    expect(wire.calls.filter((c) => c.startsWith('watch')).length).toBe(2);
  });

  it.each([
    ['an ERROR event', (wire: ReturnType<typeof breakable>) => wire.end(new StatusError('Expired', 'too old'))],
    [
      'the watch call',
      (wire: ReturnType<typeof breakable>) => {
        wire.fail('watch', new StatusError('Expired', 'too old'));
        wire.end();
      },
    ],
  ])('lists again after 410 from %s and tells the exact difference', async (_, expire) => {
    const wire = breakable(test);
    await make('kept');
    await make('changed');
    await make('gone');
    await make('replaced');
    const { informer, seen } = start(wire.client);
    await informer.synced;
    await drainMicrotasks();
    seen.length = 0;
    expire(wire);
    await change('changed', '2');
    await remove('gone');
    await remove('replaced');
    await make('replaced');
    await make('new');
    await test.clock.advance(10_000);
    expect(seen.sort()).toEqual(['changed 1>2', 'gone 1>-', 'new ->1', 'replaced ->1', 'replaced 1>-'].sort());
    expect(informer.list().length).toBe(4);
  });

  it('tries again with growing pauses while the server fails', async () => {
    const wire = breakable(test);
    for (let i = 0; i < 4; i++) wire.fail('list', new StatusError('ServiceUnavailable', 'starting'));
    const { informer } = start(wire.client);
    const began = test.clock.now();
    await drainMicrotasks();
    expect(wire.calls.length).toBe(1);
    await test.clock.advance(1600);
    expect(wire.calls.length).toBeLessThanOrEqual(2);
    await test.clock.advance(60_000);
    await informer.synced;
    expect(wire.calls.slice(0, 5)).toEqual(Array(5).fill('list 0'));
    expect(test.clock.now() - began).toBeGreaterThan(800 * (1 + 2 + 4 + 8));
  });

  it('resolves reached() with the event, not before', async () => {
    const { informer } = start();
    await informer.synced;
    await informer.reached(informer.revision);
    let reached = 0;
    void informer.reached(informer.revision + 1).then(() => reached++);
    await drainMicrotasks();
    expect(reached).toBe(0);
    const one = await make('one');
    await informer.reached(Number(one.metadata.resourceVersion));
    expect(informer.get('a/one')).toBeDefined();
    await drainMicrotasks();
    expect(reached).toBe(1);
  });

  it('goes on when a handler throws, and stops when told', async () => {
    const { informer, seen } = start();
    informer.on(() => {
      throw new Error('bad handler');
    });
    const off = informer.on(() => seen.push('second'));
    await informer.synced;
    await drainMicrotasks();
    await make('one');
    await drainMicrotasks();
    off();
    await make('two');
    await drainMicrotasks();
    expect(seen).toEqual(['one ->1', 'second', 'two ->1']);
    abort.abort();
    await make('three');
    await test.clock.advance(100_000);
    expect(informer.get('a/three')).toBeUndefined();
  });

  it('rejects synced when it ends before the first list', async () => {
    const wire = breakable(test);
    wire.fail('list', new StatusError('ServiceUnavailable', 'starting'));
    const { informer } = start(wire.client);
    await drainMicrotasks();
    abort.abort(new Error('over'));
    await expect(informer.synced).rejects.toThrow('over');
    expect(test.clock.nextForeground()).toBeUndefined();
  });

  it('filters on the server', async () => {
    await make('one', 'a', { labels: { app: 'x' } });
    await make('two', 'a');
    const informer = createInformer(
      ConfigMap,
      { client: test.client, env: test.env },
      { namespace: 'a', labelSelector: 'app=x', signal: abort.signal },
    );
    await informer.synced;
    await drainMicrotasks();
    expect(informer.list().map((o) => o.metadata.name)).toEqual(['one']);
    await test.client.patch(ConfigMap, { namespace: 'a', name: 'one' }, 'merge', {
      metadata: { labels: { app: null } },
    });
    await drainMicrotasks();
    expect(informer.list()).toEqual([]);
  });
});

it('shares one informer per kind and filter', () => {
  const factory = createInformerFactory({ client: test.client, env: test.env }, { signal: abort.signal });
  expect(factory.informer(ConfigMap)).toBe(factory.informer(ConfigMap, {}));
  expect(factory.informer(ConfigMap)).not.toBe(factory.informer(ConfigMap, { namespace: 'a' }));
});
